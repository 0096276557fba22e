"""NPY and NPZ files of others: pickled objects refused, and headers checked before room is made for what they claim."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cycseq.io.special_files import refuse_special
from cycseq.io.untrusted import check_members


def read_npy(path: Path) -> np.ndarray:
    """One array; raises `ValueError` if it holds pickled objects, or its header does not fit the file."""
    with refuse_special(path).open("rb") as file:
        _check_header(file, path.stat().st_size)
        file.seek(0)
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


@contextmanager
def open_npz(path: Path) -> Iterator[Any]:
    """The arrays of an NPZ file, as `numpy.load` gives them, all of their headers checked.

    Raises `ValueError`, `OSError`, `zipfile.BadZipFile` if it is not an NPZ file, holds pickled objects, or a header does not fit
    what follows it, and `FileError` if it would unpack to far more than its size.
    """
    with zipfile.ZipFile(refuse_special(path)) as packed:
        check_members(path, packed.infolist())
        for member in packed.infolist():
            with packed.open(member) as file:
                _check_header(file, member.file_size)
    with np.load(path, allow_pickle=False) as arrays:
        yield arrays


def _check_header(file: Any, size: int) -> None:
    """NumPy makes room for what a header claims before it reads, so that the claim is checked first."""
    version = np.lib.format.read_magic(file)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"version {version} of the NPY format is not read")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds pickled objects, which are refused")
    claimed = prod(map(int, shape)) * dtype.itemsize
    if min(shape, default=0) < 0 or file.tell() + claimed != size:
        raise ValueError(f"its header claims {claimed:,} bytes for shape {shape}, but {size - file.tell():,} follow")
