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
    BARCODE,
    Loaded,
    Orientation,
    Reader,
    ReadSettings,
    first_line,
    n_named,
    read_csv,
    read_labels,
    separator,
    without_gz,
)
from cycseq.data.readers.table_mistakes import MEANT_AS_NUMBER, first_mistake
from cycseq.data.usual_names import METADATA_NAMES
from cycseq.errors import CycseqError, DataError, FileError, unknown_name

ENDINGS = (".csv", ".tsv", ".txt")
HEAD_ROWS = 20
"""Rows that are looked at to tell labels from genes."""
MOSTLY = 0.5
"""Share of numbers from which on a column is one of numbers, and what is no number there a mistake."""
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
    head = _parsed(path, sep, None, nrows=HEAD_ROWS)
    labels = _label_columns(head, settings)
    lies, why = _orientation(head, labels, settings)
    notes = [f"orientation: {lies} ({why})"]
    taken_for_labels = labels if lies == "cells-by-genes" else []
    texts = [column for column in taken_for_labels if _is_text(head[column])]
    numbers = [column for column in map(str, head.columns) if column not in taken_for_labels]
    try:
        frame = _parsed(path, sep, dict.fromkeys(numbers, "float32") | dict.fromkeys(texts, "str"))
    except FileError as err:
        raise first_mistake(path, sep, numbers) or err from err
    _check_texts(path, sep, frame[[column for column in texts if not _usual(column, settings)]])
    obs = frame[taken_for_labels]
    x = _numbers(path, sep, frame[numbers])
    in_header = _repeated(header_line, sep, head)
    genes = pd.Index([in_header.get(column, column) for column in numbers])
    if lies == "genes-by-cells":
        obs, genes, x = pd.DataFrame(index=genes), frame.index, x.T
    elif labels:
        notes.append(
            f"{len(labels)} columns are labels ({', '.join(labels[:6])}), {len(genes):,} are genes ({', '.join(genes[:3])}"
            f"{', ...' if len(genes) > 3 else ''}); --label-columns names further labels"
        )
    obs.index = obs.index.astype(str)
    adata = ad.AnnData(X=_compact(x), obs=obs, var=pd.DataFrame(index=genes.astype(str)))
    return Loaded(adata, format="table", notes=tuple(notes))


def _label_columns(head: pd.DataFrame, settings: ReadSettings) -> list[str]:
    """Columns that are asked for, bear a usual name, hold text, or lie beside these and are not named like the genes."""
    columns = list(map(str, head.columns))
    for name in settings.label_columns:
        if name not in columns:
            raise unknown_name(name, "column for --label-columns", columns, DataError)
    texts = {str(column) for column, dtype in head.dtypes.items() if not pd.api.types.is_numeric_dtype(dtype)}
    texts |= {str(column) for column, dtype in head.dtypes.items() if pd.api.types.is_bool_dtype(dtype)}
    labels = {c for c in columns if _usual(c, settings) or (c in texts and _share_of_numbers(head[c]) <= MOSTLY)}
    labels |= _named_unlike_genes(columns, labels, texts)
    return [column for column in columns if column in labels]


def _usual(column: str, settings: ReadSettings) -> bool:
    asked = {
        settings.perturbation_key,
        settings.context_key,
        settings.batch_key,
        settings.split_by,
        *settings.label_columns,
    }
    return column in asked or column.casefold() in METADATA_NAMES


def _named_unlike_genes(columns: list[str], labels: set[str], texts: set[str]) -> set[str]:
    """Columns of numbers beside the labels whose names have small letters only, where those of the genes have capitals."""
    small = np.array([name == name.lower() and name not in texts for name in columns])
    is_label = np.array([name in labels for name in columns])
    if is_label.all() or small[~is_label].mean() > MOSTLY:
        return set()
    beside = set()
    for start in np.flatnonzero(is_label):
        for step in (-1, 1):
            i = start + step
            while 0 <= i < len(columns) and small[i] and not is_label[i]:
                beside.add(columns[i])
                i += step
    return beside


def _is_text(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)


def _share_of_numbers(values: pd.Series) -> float:
    """Of the values that are there; what a spreadsheet made of a number counts as one."""
    there = values.dropna()
    return float(there.astype(str).str.fullmatch(MEANT_AS_NUMBER).mean()) if len(there) else 0.0


def _check_texts(path: Path, sep: str, texts: pd.DataFrame) -> None:
    """Raise `FileError` if a column that was taken for labels by its first rows holds numbers nearly throughout."""
    for column in map(str, texts.columns):
        if _share_of_numbers(texts[column]) > MOSTLY and (mistake := first_mistake(path, sep, [column])):
            raise mistake


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
        sides: tuple[tuple[pd.Index, Orientation], ...] = (
            (head.index, "cells-by-genes"),
            (head.columns, "genes-by-cells"),
        )
        for side, lies in sides:
            names = side.astype(str)
            table = read_labels(settings.labels_file, names)
            if table.index.name is not None and n_named(table.index, names) > len(names) / 2:
                return lies, f"{settings.labels_file.name} names these cells"
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


def _numbers(path: Path, sep: str, frame: pd.DataFrame) -> Cells:
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
    if np.isinf(values).any() and (mistake := first_mistake(path, sep, list(map(str, frame.columns)))):
        raise mistake
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
