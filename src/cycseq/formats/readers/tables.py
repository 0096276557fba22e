"""CSV and TSV: cells x genes with label columns among the genes, or genes x cells with the labels in another file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.gene_names import DATE
from cycseq.data.treatments import unit_in_dose_name, unit_in_time_name
from cycseq.data.usual_names import METADATA_NAMES
from cycseq.errors import DataError, FileError, join_names, unknown_name
from cycseq.formats.readers.base import (
    BARCODE,
    FileContents,
    Reader,
    count_named,
    first_line,
    read_labels,
    separator,
    without_gz,
)
from cycseq.formats.readers.parsed_tables import repeated_columns, table_body, table_head
from cycseq.formats.readers.table_mistakes import MEANT_AS_NUMBER, first_mistake
from cycseq.formats.readers.wide_tables import WIDE
from cycseq.formats.settings import Orientation, ReadSettings
from cycseq.matrix.arrays import Cells

ENDINGS = (".csv", ".tsv", ".txt")
MOSTLY = 0.5  # share of numbers from which on a column is one of numbers, and what is not a number there a mistake
SPARSE_BELOW = 0.4  # a table with a smaller share of non-zeros is kept sparse: it then takes less memory


def fits(path: Path) -> bool:
    """Whether the name of the file says so."""
    return without_gz(path).endswith(ENDINGS)


def read_table(path: Path, settings: ReadSettings) -> FileContents:
    """Read a table; which way round it lies is inferred from its header, or said."""
    header_line = first_line(path)
    if not header_line.strip():
        raise FileError(f"{path} is empty: expected a header and one line for each cell (or gene).")
    sep = separator(header_line)
    wide = header_line.count(sep) >= WIDE
    columns, head_texts = table_head(path, sep, wide=wide)
    labels = _label_columns(list(map(str, columns)), head_texts, settings)
    lies, why = _orientation(columns, head_texts.index, labels, settings)
    notes = [f"orientation: {lies} ({why})"]
    taken_for_labels = labels if lies == "cells-by-genes" else []
    texts = [column for column in taken_for_labels if column in head_texts]
    numbers = list(map(str, columns[~columns.isin(taken_for_labels)]))
    try:
        obs, x = table_body(path, sep, numbers, taken_for_labels, texts, wide=wide)
    except FileError as err:
        raise first_mistake(path, sep, numbers) or err from err
    for column in texts:  # those that were taken for labels by their first rows, and hold numbers nearly throughout
        in_numbers = not _usual(column, settings) and _share_of_numbers(obs[column]) > MOSTLY
        if in_numbers and (mistake := first_mistake(path, sep, [column])):
            raise mistake
    _check_numbers(path, sep, x, obs.index, numbers)
    in_header = repeated_columns(header_line, sep, columns)
    _check_repeated_labels(path, obs, in_header)
    genes = pd.Index([in_header.get(column, column) for column in numbers])
    if lies == "genes-by-cells":
        obs, genes, x = pd.DataFrame(index=genes), obs.index, x.T
    elif labels:
        notes.append(
            f"{len(labels)} columns are labels ({join_names(labels)}), {len(genes):,} are genes ({join_names(genes, 3)}); "
            "--label-columns names further labels"
        )
    obs.index = obs.index.astype(str)
    few = np.count_nonzero(x) < SPARSE_BELOW * x.size
    matrix = sp.csr_matrix(x) if few else np.ascontiguousarray(x)
    adata = ad.AnnData(X=matrix, obs=obs, var=pd.DataFrame(index=genes.astype(str)))
    return FileContents(adata, format="table", notes=tuple(notes))


def _label_columns(columns: list[str], head_texts: pd.DataFrame, settings: ReadSettings) -> list[str]:
    """Columns that are asked for, bear a usual name, hold text, or lie beside these and are not named like the genes."""
    for name in settings.label_columns:
        if name not in columns:
            raise unknown_name(name, "column for --label-columns", columns, DataError)
    texts = set(map(str, head_texts.columns))
    labels = {c for c in columns if _usual(c, settings) or (c in texts and _share_of_numbers(head_texts[c]) <= MOSTLY)}
    labels |= _named_unlike_genes(columns, labels, texts)
    for before, name, after in zip(columns, columns[1:], columns[2:], strict=False):
        flag = name in labels & texts and not _usual(name, settings) and _is_flag(head_texts[name])
        if flag and {before, after}.isdisjoint(labels):
            msg = f"column {name!r} holds TRUE and FALSE, and stands between columns of numbers: use --label-columns {shlex.quote(name)} if it is a label, and write 1 and 0 if it is a gene."
            raise DataError(msg, option=f"--label-columns {shlex.quote(name)}")
    return [column for column in columns if column in labels]


def _usual(column: str, settings: ReadSettings) -> bool:
    keys = (settings.perturbation_key, settings.context_key, settings.batch_key, settings.split_by)
    named = column in (*keys, *settings.label_columns) or column.casefold() in METADATA_NAMES
    return named or bool(unit_in_dose_name(column) or unit_in_time_name(column))


def _named_unlike_genes(columns: list[str], labels: set[str], texts: set[str]) -> set[str]:
    """Columns of numbers beside the labels whose names have small letters, where those of the genes have none, or not alone."""
    is_label = np.array([name in labels for name in columns])
    if is_label.all():
        return set()
    for unlike in (_has_small_letters, str.islower):
        small = np.array([unlike(name) and name not in texts for name in columns])
        if small[~is_label].mean() <= MOSTLY:
            break
    else:
        return set()
    beside = set()
    for start in np.flatnonzero(is_label):
        for step in (-1, 1):
            i = start + step
            while 0 <= i < len(columns) and small[i] and not is_label[i]:
                beside.add(columns[i])
                i += step
    return beside


def _is_flag(values: pd.Series) -> bool:
    return set(values.dropna().astype(str).str.casefold()) <= {"true", "false"}


def _has_small_letters(name: str) -> bool:
    """Whether there are small letters in a name, other than those of symbols such as C1orf112 and of days made of them."""
    return not DATE.fullmatch(name) and name.replace("orf", "").upper() != name.replace("orf", "")


def _check_repeated_labels(path: Path, obs: pd.DataFrame, in_header: Mapping[str, str]) -> None:
    """Raise `FileError` if two columns of labels have one name and differ: pandas renames the second, so that nobody notices."""
    for name in dict.fromkeys(in_header.values()):
        alike = [column for column in obs.columns if in_header.get(column) == name]
        if any((obs[column].astype(str) != obs[alike[0]].astype(str)).any() for column in alike[1:]):
            raise FileError(f"{path} has two columns {name!r}, and they differ: rename one of them, or leave it out.")


def _share_of_numbers(values: pd.Series) -> float:
    """Share of numbers among the values present; what a spreadsheet makes of a number counts as one."""
    there = values.dropna()
    return float(there.astype(str).str.fullmatch(MEANT_AS_NUMBER).mean()) if len(there) else 0.0


def _orientation(header: pd.Index, rows: pd.Index, texts: list[str], settings: ReadSettings) -> tuple[Orientation, str]:
    if settings.orientation:
        return settings.orientation, "as given"
    if texts:
        return "cells-by-genes", f"the header names a column of labels, {texts[0]!r}"
    if settings.labels_file:
        sides: dict[Orientation, pd.Index] = {"cells-by-genes": rows, "genes-by-cells": header}
        for lies, side in sides.items():
            names = side.astype(str)
            table = read_labels(settings.labels_file, names)
            if table.index.name is not None and count_named(table.index, names) > len(names) / 2:
                return lies, f"{settings.labels_file.name} names these cells"
    in_rows, in_header = (names.astype(str).str.match(BARCODE).mean() > 0.5 for names in (rows, header[:100]))
    if in_rows != in_header:
        return (
            ("cells-by-genes", "the rows bear barcodes") if in_rows else ("genes-by-cells", "the header bears barcodes")
        )
    msg = (
        "the header does not show whether rows are cells or genes: there is no column of labels, and there are no barcodes. "
        "Use --orientation cells-by-genes or --orientation genes-by-cells, and give the labels with --labels-file FILE."
    )
    raise DataError(msg, option="--orientation genes-by-cells")


def _check_numbers(path: Path, sep: str, values: Cells, rows: pd.Index, columns: list[str]) -> None:
    """A row that lacks some is an error (pandas fills a short row with NaN)."""
    if np.isfinite(values.sum(dtype=np.float64)):
        return
    broken = np.isnan(values)
    if broken.any():
        row = int(np.flatnonzero(broken.any(axis=1))[0])
        raise DataError(
            f"{path}, line {row + 2} ({rows[row]}): {int(broken[row].sum()):,} of {len(columns):,} values are "
            "missing or NaN: the row is ragged or has empty fields. Every row needs one number for each column."
        )
    if np.isinf(values).any() and (mistake := first_mistake(path, sep, columns)):
        raise mistake


TABLE = Reader("table", "FILE.csv, .tsv or .txt (.gz), cells x genes or genes x cells", fits, read_table)
