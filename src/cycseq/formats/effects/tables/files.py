"""Which files hold tables of effects, and of which layout: text, Parquet, GCT."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.errors import DataError, FileError
from cycseq.formats.effects.rows import SAMPLE_ROWS, are_differences, label_names, rows_are_conditions
from cycseq.formats.effects.tables import wide
from cycseq.formats.effects.tables.gct import read_gct
from cycseq.formats.effects.tables.layouts import WIDE_LAYOUTS, labels_by_name, layout_of, long_columns
from cycseq.formats.effects.tables.long import label_columns, lay_out
from cycseq.formats.load import default_context
from cycseq.formats.readers import tables
from cycseq.formats.readers.base import FileContents, as_read_error, first_line, read_csv, separator, without_gz
from cycseq.formats.readers.cell_labels import with_labels
from cycseq.formats.readers.table_mistakes import MISSING
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import require_file
from cycseq.io.parquet import read_parquet
from cycseq.io.untrusted import open_unpacked

PARQUET, GCT, GCTX = ".parquet", ".gct", ".gctx"


def fits_table(path: Path) -> bool:
    """Whether a file may hold a table of effects, by its name."""
    return tables.fits(path) or without_gz(path).endswith((PARQUET, GCT, GCTX))


def load_table(path: Path, settings: ReadSettings) -> tuple[FileContents, str]:
    """The table as it stands in a file, and a word on its values that may tell their scale.

    It is CSV, TSV or TXT (plain or gzipped), Parquet, or GCT; of a long table, the setting `layer` names the column of values.
    Raises `FileError` if the file is missing, damaged or empty, and `DataError` if a value is not a number, or a gene stands
    twice in a condition.
    """
    name, existing = without_gz(path), require_file(path)
    if name.endswith(GCTX):
        msg = f"{path} is GCTX, which no maintained Python package reads: turn it into GCT (cmapR's write_gct, or cmapPy's gctx2gct)."
        raise FileError(msg)
    if name.endswith(GCT):
        return _labelled(FileContents(read_gct(existing)), settings), ""
    frame = read_parquet(existing) if name.endswith(PARQUET) else None
    columns = list(map(str, frame.columns)) if frame is not None else _header(existing)
    where = long_columns(columns, settings)
    if where is not None:
        needed = [where.gene, where.value, *([where.se] if where.se else [])]
        needed += label_columns(pd.Index(dict.fromkeys(columns)), where, settings)
        if twice := next((name for name in needed if columns.count(name) > 1), None):
            raise DataError(
                f"two columns of {path} are called {twice!r}: rename the one that is not meant, or leave it out."
            )
        frame = _text(existing, columns, needed) if frame is None else frame
        return _labelled(lay_out(frame, where, settings, default_context(path)), settings), where.scale
    contents = wide.of_text(existing, settings) if frame is None else wide.of_frame(frame, settings)
    layout = layout_of([*columns, *contents.adata.obs.columns], WIDE_LAYOUTS)
    return _labelled(contents, settings), layout.scale if layout else ""


def table_holds_effects(path: Path, settings: ReadSettings) -> bool:
    """Whether a file that `fits_table` holds effects, and not cells."""
    if not tables.fits(path):
        return True
    columns = _header(path)
    if long_columns(columns, settings) is not None:
        return True
    places = [columns.index(name) for name in label_names(dict.fromkeys(columns), settings)]
    if not places or not _has_differences(path, columns, settings):
        return False
    return rows_are_conditions(_text(path, columns, [columns[place] for place in places]).astype(str), ())


def _labelled(contents: FileContents, settings: ReadSettings) -> FileContents:
    return contents if settings.labels_file is None else with_labels(contents, settings.labels_file)


def _header(path: Path) -> list[str]:
    """The names of the columns, that of the row names among them, where R writes none."""
    rows = _first_rows(path, separator(first_line(path)), 2)
    if len(rows) < 2:
        raise FileError(f"{path} is empty: expected a header and lines.")
    return ["", *rows[0]] if len(rows[1]) == len(rows[0]) + 1 else rows[0]


def _first_rows(path: Path, sep: str, n: int) -> list[list[str]]:
    with as_read_error(path, "a text table"), open_unpacked(path) as lines:
        return list(islice(csv.reader((line.decode("utf-8-sig") for line in lines), delimiter=sep), n))


def _text(path: Path, columns: Sequence[str], needed: Sequence[str]) -> pd.DataFrame:
    """These columns of a text table, as text where they are not numbers."""
    places = sorted({columns.index(name) for name in needed})
    with as_read_error(path, "a text table"):
        frame = read_csv(path, header=None, skiprows=1, usecols=places, low_memory=False)
    frame.columns = pd.Index([columns[place] for place in places])
    return frame


def _has_differences(path: Path, columns: Sequence[str], settings: ReadSettings) -> bool:
    """As of `are_differences`, of the first rows of a wide table."""
    rows = _first_rows(path, separator(first_line(path)), 1 + SAMPLE_ROWS)[1:]
    if not rows or any(len(row) != len(columns) for row in rows):
        return False
    by_name = labels_by_name(columns, settings)
    numbers = [[_number(text) for text in column] for name, column in zip(columns, zip(*rows, strict=True), strict=True)
               if name not in by_name]  # fmt: skip
    values = [column for column in numbers[1:] if None not in column]
    return bool(values) and are_differences(np.array(values, dtype=np.float64).T)


def _number(text: str) -> float | None:
    """NaN where a value is missing; None for what is not a number."""
    try:
        return float(text)
    except ValueError:
        return math.nan if text.strip().casefold() in MISSING else None
