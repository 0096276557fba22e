"""Parquet files as data frames, within the limits that hold for files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cycseq.errors import CycseqError, FileError, MissingPackageError
from cycseq.io.parquet_pages import DICTIONARY, chunks, pages
from cycseq.io.special_files import refuse_special
from cycseq.io.untrusted import check_unpacked

BYTES_OF_VALUE = 16  # in memory: the value, or a pointer and where a text ends
TEXTS = ("string", "large_string", "binary", "large_binary")
DELTA_BYTE_ARRAY = 7
"""An encoding of texts by what they share with the one before: a few bytes may stand for a long one."""


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file with its rows' names as a column; columns of lists and of tables are left out.

    Raises `MissingPackageError` if PyArrow is not installed, and `FileError` if the file is damaged, or claims to hold far more
    than its size.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as err:
        raise MissingPackageError(f"{path} needs the package pyarrow: pip install 'cycseq[parquet]'.") from err
    try:
        with pq.ParquetFile(refuse_special(path)) as file:
            shared = _check_pages(file, path)
            names = [column.name for column in file.schema if column.path == column.name]
            kinds = {field.name: str(field.type) for field in file.schema_arrow}
        texts = [name for name in names if name in shared and kinds[name] in TEXTS]
        with pq.ParquetFile(path, read_dictionary=texts) as file:  # each text once, however many rows name it
            frame: pd.DataFrame = file.read(names, use_pandas_metadata=True).to_pandas()
    except CycseqError:
        raise
    except Exception as err:  # PyArrow raises anything at damaged files
        msg = f"{path} cannot be read as Parquet: it is damaged or of another format ({' '.join(str(err).split())[:200]})."
        raise FileError(msg) from err
    frame = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    for name in set(texts) & set(frame):
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame


def _check_pages(file: Any, path: Path) -> set[str]:
    """The columns whose values are named by their place in a dictionary; raises `FileError` if pages would take far more memory than the file."""
    n_bytes, shared = 0, set[str]()
    columns = list(file.schema)
    with path.open("rb") as content:
        for chunk, column in (pair for group in chunks(content) for pair in zip(group, columns, strict=True)):
            width = max(BYTES_OF_VALUE, column.length)
            for page in pages(content, chunk):
                n_bytes += page.n_bytes + page.n_values * (width if page.kind != DICTIONARY else 0)
                check_unpacked(path, n_bytes)
                if page.kind == DICTIONARY:
                    shared.add(column.path)
                if page.encoding == DELTA_BYTE_ARRAY:
                    msg = f"{path} is not read: {column.path!r} is encoded as DELTA_BYTE_ARRAY, whose size cannot be told. Write it anew with another encoding."
                    raise FileError(msg)
    return shared
