"""Parquet files as data frames, within the limits that hold for files of others."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cycseq.errors import CycseqError, FileError, MissingPackageError
from cycseq.io.special_files import refuse_special
from cycseq.io.untrusted import check_unpacked

BYTES_OF_VALUE = 8


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file with its rows' names as a column.

    Raises `MissingPackageError` if PyArrow is not installed, and `FileError` if the file is damaged, or claims to hold far more
    than its size.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as err:
        raise MissingPackageError(f"{path} needs the package pyarrow: pip install 'cycseq[parquet]'.") from err
    try:
        with pq.ParquetFile(refuse_special(path)) as file:
            check_unpacked(path, file.metadata.num_rows * file.metadata.num_columns * BYTES_OF_VALUE)
            frame: pd.DataFrame = file.read().to_pandas()
    except CycseqError:
        raise
    except Exception as err:  # PyArrow raises anything at damaged files
        msg = f"{path} cannot be read as Parquet: it is damaged or of another format ({' '.join(str(err).split())[:200]})."
        raise FileError(msg) from err
    return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
