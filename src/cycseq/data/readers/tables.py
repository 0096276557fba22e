"""CSV and TSV: cells x genes with label columns among the genes, or genes x cells with the labels in another file."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.arrays import Cells, Matrix
from cycseq.data.readers.base import (
    Loaded,
    Orientation,
    Reader,
    ReadSettings,
    first_line,
    read_csv,
    read_labels,
    separator,
    without_gz,
)
from cycseq.data.usual_names import BATCH_NAMES, CONTEXT_NAMES, DOSE_NAMES, PERTURBATION_NAMES
from cycseq.errors import CycseqError, DataError, FileError

ENDINGS = (".csv", ".tsv", ".txt")
QUALITY_NAMES = (
    *("n_counts", "ncounts", "n_count", "total_counts", "ncount_rna", "n_genes", "ngenes", "n_genes_by_counts"),
    *("leiden", "louvain", "cluster", "seurat_clusters", "s_score", "g2m_score", "s.score", "g2m.score", "pseudotime"),
    *("nfeature_rna", "percent_mito", "percent.mt", "pct_counts_mt", "umi_count", "guide_umi", "nperts", "dose_unit"),
)
LABEL_NAMES = frozenset((*PERTURBATION_NAMES, *CONTEXT_NAMES, *BATCH_NAMES, *DOSE_NAMES, *QUALITY_NAMES))
"""Columns of numbers that are no genes, in lower case."""
BARCODE = re.compile(r"[ACGT]{8,}([-.]\d+)?")
SPARSE_BELOW = 0.4
"""A table with a smaller share of non-zeros is kept sparse: it then takes less memory."""


def fits(path: Path) -> bool:
    """By name."""
    return without_gz(path).endswith(ENDINGS)


def read_table(path: Path, settings: ReadSettings) -> Loaded:
    """Read a table; which way round it lies is inferred from its header, or said."""
    header_line = first_line(path)
    if not header_line.strip():
        msg = f"{path} is empty: expected a header and one line for each cell (or gene)."
        raise FileError(msg)
    sep = separator(header_line)
    head = _parsed(path, sep, None, nrows=20)
    labels = _label_columns(head, settings)
    lies, why = _orientation(head, labels, settings)
    notes = [f"orientation: {lies} ({why})"]
    taken_for_labels = labels if lies == "cells-by-genes" else []
    texts = [column for column in taken_for_labels if not pd.api.types.is_numeric_dtype(head[column])]
    numbers = [column for column in map(str, head.columns) if column not in taken_for_labels]
    frame = _parsed(path, sep, dict.fromkeys(numbers, "float32") | dict.fromkeys(texts, "str"))
    obs = frame[taken_for_labels]
    x = _numbers(path, frame[numbers])
    in_header = _repeated(header_line, sep, head)
    genes = pd.Index([in_header.get(column, column) for column in numbers])
    if lies == "genes-by-cells":
        obs, genes, x = pd.DataFrame(index=genes), frame.index, x.T
    elif labels:
        notes.append(f"{len(labels)} columns are labels ({', '.join(labels[:6])}), {len(genes):,} are genes")
    obs.index = obs.index.astype(str)
    adata = ad.AnnData(X=_compact(x), obs=obs, var=pd.DataFrame(index=genes.astype(str)))
    return Loaded(adata, format="table", notes=tuple(notes))


def _label_columns(head: pd.DataFrame, settings: ReadSettings) -> list[str]:
    said = {settings.perturbation_key, settings.context_key, settings.batch_key}
    return [
        str(column)
        for column, dtype in head.dtypes.items()
        if column in said or str(column).casefold() in LABEL_NAMES or not pd.api.types.is_numeric_dtype(dtype)
    ]


def _repeated(header_line: str, sep: str, head: pd.DataFrame) -> dict[str, str]:
    """Columns whose name occurs twice, with that name: pandas calls the second ``TP53`` ``TP53.1``, so nobody notices."""
    try:
        names = pd.Series(next(csv.reader([header_line], delimiter=sep)), dtype=str)
    except csv.Error:  # a field beyond csv's limit: pandas has read it, and its names stand
        return {}
    names = names.iloc[max(0, len(names) - head.shape[1]) :]  # without the header of the column of row names
    if len(names) != head.shape[1]:
        return {}
    twice = (names.duplicated(keep=False) & (names != "")).to_numpy()
    return dict(zip(head.columns[twice].astype(str), names[twice], strict=True))


def _orientation(head: pd.DataFrame, labels: list[str], settings: ReadSettings) -> tuple[Orientation, str]:
    if settings.orientation:
        return settings.orientation, "as said"
    if labels:
        return "cells-by-genes", f"the header names a column of labels, {labels[0]!r}"
    if settings.labels_file:
        cells = read_labels(settings.labels_file).index
        for names, lies in ((head.index, "cells-by-genes"), (head.columns, "genes-by-cells")):
            if names.astype(str).isin(cells).mean() > 0.5:
                return lies, f"{settings.labels_file.name} names these cells"  # type: ignore[return-value]
    rows, columns = (_barcodes(names) for names in (head.index, head.columns[:100]))
    if rows != columns:
        return ("cells-by-genes", "the rows bear barcodes") if rows else ("genes-by-cells", "the header bears barcodes")
    msg = (
        "the header does not tell whether rows are cells or genes: no column of labels, no barcodes. "
        "Say --orientation cells-by-genes or --orientation genes-by-cells, and give the labels with --labels-file FILE."
    )
    raise DataError(msg, option="--orientation genes-by-cells")


def _barcodes(names: pd.Index) -> bool:
    return sum(bool(BARCODE.match(str(name))) for name in names) > len(names) / 2


def _parsed(path: Path, sep: str, dtypes: dict[str, str] | None, nrows: int | None = None) -> pd.DataFrame:
    try:
        return read_csv(path, sep, index_col=0, dtype=dtypes, nrows=nrows)
    except CycseqError:
        raise
    except Exception as err:
        raise _bad_table(path, err) from err


def _numbers(path: Path, frame: pd.DataFrame) -> Cells:
    """The values as float32; a row that lacks some is an error (pandas fills a short row with NaN)."""
    values: Cells = frame.to_numpy(dtype=np.float32)
    if np.isfinite(values.sum(dtype=np.float64)):
        return values
    broken = np.isnan(values)
    if broken.any():
        row = int(np.flatnonzero(broken.any(axis=1))[0])
        msg = (
            f"{path}, line {row + 2} ({frame.index[row]}): {int(broken[row].sum()):,} of {frame.shape[1]:,} values are "
            "missing or NaN: the row is ragged or has empty fields. Every row needs one number for each column."
        )
        raise DataError(msg)
    return values


def _bad_table(path: Path, err: Exception) -> FileError:
    said = " ".join(str(err).split())[:300] or type(err).__name__
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said)
    if ragged:
        expected, line, seen = ragged.groups()
        return FileError(f"{path}, line {line}: {seen} fields, but {expected} were expected: the table is ragged.")
    return FileError(f"{path} cannot be read as a table of numbers: {said}. Every gene needs a number in every cell.")


def _compact(x: np.ndarray) -> Matrix:
    few = np.count_nonzero(x) < SPARSE_BELOW * x.size
    return sp.csr_matrix(x) if few else np.ascontiguousarray(x)


TABLE = Reader("table", "FILE.csv, .tsv or .txt (.gz), cells x genes or genes x cells", fits, read_table)
