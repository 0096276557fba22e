"""Text tables parsed: a header, a name and numbers in each line, and columns of labels among the numbers."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.errors import CycseqError, FileError
from cycseq.formats.readers.base import read_csv
from cycseq.formats.readers.wide_tables import NotPlainError, beyond_numbers, wide_body, wide_head
from cycseq.matrix.arrays import Cells

HEAD_ROWS = 20  # rows that are looked at to tell labels from genes


def table_head(path: Path, sep: str, *, wide: bool) -> tuple[pd.Index, pd.DataFrame]:
    """The names of all columns, and those columns that hold more than numbers in the first rows."""
    if wide:
        with suppress(NotPlainError, ValueError):
            return wide_head(path, sep, HEAD_ROWS)
    head = _parsed(path, sep, None, nrows=HEAD_ROWS)
    return head.columns, beyond_numbers(head)


def table_body(
    path: Path, sep: str, numbers: list[str], labels: list[str], texts: list[str], *, wide: bool
) -> tuple[pd.DataFrame, Cells]:
    """The label columns, and the values of the others."""
    as_text = dict.fromkeys(texts, "str")
    if wide:
        try:
            frame, values = wide_body(path, sep, labels, as_text)
            return frame[labels], values
        except NotPlainError:
            pass
        except ValueError as err:
            raise _bad_table(path, err) from err
    frame = _parsed(path, sep, dict.fromkeys(numbers, "float32") | as_text)
    return frame[labels], frame[numbers].to_numpy(dtype=np.float32)


def repeated_columns(header_line: str, sep: str, columns: pd.Index) -> dict[str, str]:
    """Columns whose name occurs twice, with that name: pandas calls the second ``TP53`` ``TP53.1``, so nobody notices."""
    try:
        names = pd.Series(next(csv.reader([header_line], delimiter=sep)), dtype=str)
    except csv.Error:  # a field beyond csv's limit: pandas has read it, and its names stand
        return {}
    names = names.iloc[max(0, len(names) - len(columns)) :]  # without the header of the column of row names
    if len(names) != len(columns):
        return {}
    twice = (names.duplicated(keep=False) & (names != "")).to_numpy()
    return dict(zip(columns[twice].astype(str), names[twice], strict=True))


def _bad_table(path: Path, err: Exception) -> FileError:
    reason = " ".join(str(err).split())[:300] or type(err).__name__
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason)
    if ragged:
        expected, line, count = ragged.groups()
        return FileError(f"{path}, line {line}: {count} fields, but {expected} were expected: the table is ragged.")
    return FileError(f"{path} cannot be read as a table of numbers: {reason}. Every gene needs a number in every cell.")


def _parsed(path: Path, sep: str, dtypes: dict[str, str] | None, nrows: int | None = None) -> pd.DataFrame:
    try:
        return read_csv(path, sep, index_col=0, dtype=dtypes, nrows=nrows)
    except CycseqError:
        raise
    except Exception as err:
        raise _bad_table(path, err) from err
