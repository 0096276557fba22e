"""CSV of many columns: pandas takes a third of a millisecond for each, so the numbers are parsed as one column."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.io.untrusted import open_unpacked
from cycseq.matrix.arrays import Cells

WIDE = 5000  # columns from which on a table is read here
AT_ONCE = 1 << 18  # values that are parsed together
EMPTY = ["", "NA", "NaN", "nan"]  # what most tables write where a value is missing


class NotPlainError(Exception):
    """What only pandas should judge: ragged rows, quotes within fields, bytes that are not text, damage."""


def wide_head(path: Path, sep: str, n_rows: int) -> tuple[pd.Index, pd.DataFrame]:
    """The names of all columns, and those columns that hold more than numbers in the first rows.

    The file is text, plain or gzipped: a header, then the name of the row at the start of each line. Raises `NotPlainError` if
    pandas should judge.
    """
    header = _header(path, sep)
    head = [[name, *rest.split("\n")] for name, rest in islice(_rows(path, sep, len(header), 1), n_rows)]
    odd = np.zeros(len(header), dtype=bool)
    for fields in head:
        values = pd.Series(fields, dtype=object)[~odd]
        unread = values[pd.to_numeric(values, errors="coerce").isna()]
        odd[unread.index[~unread.isin(EMPTY)]] = True
    odd[0] = True
    frame = _small_table(list(compress(header, odd)), (list(compress(fields, odd)) for fields in head), sep, {})
    return pd.Index(header[1:]), beyond_numbers(frame)


def beyond_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that hold text, or truth values."""
    types = [(pd.api.types.is_numeric_dtype(t), pd.api.types.is_bool_dtype(t)) for t in frame.dtypes]
    return frame.loc[:, [not number or truth for number, truth in types]]


def wide_body(path: Path, sep: str, labels: Collection[str], dtypes: dict[str, str]) -> tuple[pd.DataFrame, Cells]:
    """The label columns, indexed by the names of the rows, and all other columns as numbers.

    Of the labels, `dtypes` gives the types of some, and pandas infers the others; numbers are as pandas parses them into float32, NaN where
    a field is empty. Raises `ValueError` if a value is not a number, and `NotPlainError` if pandas should judge.
    """
    header = _header(path, sep)
    is_label = [True, *map(set(labels).__contains__, header[1:])]
    n_leading = len(is_label) - is_label[::-1].index(True)
    selected = is_label[:n_leading]
    numbers = [not label for label in selected]
    n_numbers = is_label.count(False)
    if not n_numbers:
        raise NotPlainError
    together = max(1, AT_ONCE // n_numbers)
    labelled: list[list[str]] = []
    waiting: list[str] = []
    parts: list[Cells] = []
    for fields in _rows(path, sep, len(header), n_leading):
        labelled.append(list(compress(fields, selected)))
        waiting += compress(fields, numbers)
        waiting += fields[n_leading:]
        if len(labelled) % together == 0:
            parts.append(_numbers(waiting, sep, n_numbers))
            waiting = []
    if waiting:
        parts.append(_numbers(waiting, sep, n_numbers))
    frame = _small_table(list(compress(header, is_label)), labelled, sep, dtypes)
    return frame, np.concatenate(parts) if len(parts) > 1 else parts[0]


def _header(path: Path, sep: str) -> list[str]:
    """The names that pandas would give to the column of row names and the other columns."""
    lines = _fields(path, sep, -1)
    header, first = next(lines, []), next(lines, [])
    if not header or not first or len(first) > len(header) + 1:
        raise NotPlainError
    names = _told_apart(header)
    return ["", *names] if len(first) > len(header) else [header[0], *names[1:]]


def _rows(path: Path, sep: str, length: int, n_leading: int) -> Iterator[list[str]]:
    """The first fields of each row, and one that holds all others, one per line."""
    rows = _fields(path, sep, n_leading)
    next(rows)
    for fields in rows:
        n_fields = len(fields) + (fields[n_leading].count("\n") if len(fields) > n_leading else 0)
        if n_fields != length:
            raise NotPlainError
        yield fields


def _fields(path: Path, sep: str, n_leading: int) -> Iterator[list[str]]:
    """The fields of each line that is not blank: the first few, and one that holds all others, one per line (-1: apart)."""
    with open_unpacked(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:  # type: ignore[type-var]
        lines = map(_without_nul, text)
        try:
            for line in lines:
                if '"' in line:
                    fields = next(csv.reader(chain([line], lines), delimiter=sep, strict=True))
                    if 0 <= n_leading < len(fields):
                        fields[n_leading:] = ["\n".join(fields[n_leading:])]
                else:
                    fields = line.rstrip("\r\n").split(sep, n_leading)
                    if 0 <= n_leading < len(fields):
                        fields[n_leading] = fields[n_leading].replace(sep, "\n")
                if len(fields) > 1:
                    yield fields
                elif fields != [""] or '"' in line:
                    raise NotPlainError
        except (csv.Error, UnicodeDecodeError, OSError, EOFError, zlib.error) as err:
            raise NotPlainError from err


def _without_nul(line: str) -> str:
    if "\0" in line:
        raise NotPlainError
    return line


def _told_apart(header: Sequence[str]) -> list[str]:
    """The names as pandas tells them apart: the second ``TP53`` is ``TP53.1``, the fifth column without a name ``Unnamed: 4``."""
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    chosen_columns = set(names)
    if len(chosen_columns) == len(names):
        return names
    times: dict[str, int] = {}
    for i in sorted(range(len(names)), key=lambda i: not header[i]):  # those with a name first
        name, n = names[i], times.get(names[i], 0)
        while n > 0:
            times[names[i]] = n + 1
            name = f"{names[i]}.{n}"
            n = n + 1 if name in chosen_columns else times.get(name, 0)
        names[i] = name
        chosen_columns.add(name)
        times[name] = n + 1
    return names


def _numbers(rows: Sequence[str], sep: str, n_columns: int) -> Cells:
    """Values, one per line, by pandas' parser: rows x columns."""
    text = "\n".join(rows) + "\n"
    if any(character in text for character in (sep, '"', "\r")):
        raise NotPlainError
    column = pd.read_csv(io.StringIO(text), sep=sep, names=["value"], dtype="float32", skip_blank_lines=False)
    if len(column) % n_columns:
        raise NotPlainError
    return column.to_numpy().reshape(-1, n_columns)


def _small_table(header: Sequence[str], rows: Iterable[Sequence[str]], sep: str, types: dict[str, str]) -> pd.DataFrame:
    """What pandas makes of the names of the rows and a few columns."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sep)
    writer.writerow(header)
    writer.writerows(rows)
    text.seek(0)
    return pd.read_csv(text, sep=sep, index_col=0, dtype=types)
