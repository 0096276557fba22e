"""Where a table of numbers holds something else: looked for row by row, once it could not be read."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cycseq.errors import FileError
from cycseq.io.untrusted import open_unpacked

NUMBER = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
"""What a number looks like; `NA` and empty fields are missing ones."""
MEANT_AS_NUMBER = re.compile(rf"{NUMBER.pattern}|\s*[-+]?\d+(,\d+)+(\.\d+)?\s*|0[xX][0-9a-fA-F]+|#[A-Z0/]+[!?]?", re.A)
"""Numbers, and what spreadsheets make of them: thousands or decimals behind commas, hexadecimal digits, ``#REF!``."""
MISSING = frozenset(("", "na", "nan", "n/a", "null", "none", "<na>", "#n/a"))


def first_mistake(path: Path, sep: str, columns: Sequence[str]) -> FileError | None:
    """The error for the first value of these columns that is not a number; None where all are, or are missing.

    Of two columns of one name (``TP53``, ``TP53.1``) the first is meant.
    """
    columns_set = set(columns)
    with open_unpacked(path) as lines:
        rows = csv.reader((line.decode("utf-8", "replace") for line in lines), delimiter=sep)
        try:
            header = next(rows)
            for fields in rows:
                for name, value in zip(header[1:] if len(fields) == len(header) else header, fields[1:], strict=False):
                    if name in columns_set and not _is_number(value):
                        beyond = "is beyond what 32 bits hold" if NUMBER.fullmatch(value) else "is not a number"
                        where = f"{path}, line {rows.line_num} (row {fields[0]!r}, column {name!r})"
                        return FileError(
                            f"{where}: {value[:60]!r} {beyond}, but this is a column of numbers. Write a plain number there, such as "
                            f"1234.5, or use --label-columns {shlex.quote(name)} if the column holds labels."
                        )
        except (csv.Error, StopIteration):
            return None
    return None


def _is_number(text: str) -> bool:
    if NUMBER.fullmatch(text):
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.float32(text)))
    return text.strip().casefold() in MISSING
