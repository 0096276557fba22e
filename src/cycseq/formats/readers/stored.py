"""Values that are too large for memory stay in their file: what may be held, and how it is laid out in blocks of cells."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.validate import float32
from cycseq.errors import DataError, MissingPackageError, SettingsError
from cycseq.formats.readers.base import as_read_error
from cycseq.matrix.arrays import Matrix
from cycseq.matrix.stored import StoredMatrix

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
IN_MEMORY = 1 / 4
"""Values are read at once where they take no more than this share of the memory: steps make copies of them."""
BLOCK = 1 / 96
"""Share of the memory that the values of a block of cells take: sums need several times as much, and a few are worked on together."""
LABELS = 400
"""Bytes of memory that the labels and the name of a cell take, with the copies that the parts of a split make of them."""
MIN_CELLS = 100  # smaller blocks would cost more than they save
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_bytes(text: str | None) -> int:
    """``"4GiB"`` (also 4GB, 4g, 512 MiB) in bytes; what the machine, or the job's limit, has where nothing is said.

    Raises `SettingsError` if the text is not an amount of memory.
    """
    if text is None:
        return _memory_here()
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*", text, re.IGNORECASE)
    if match is None or float(match[1]) <= 0:
        raise SettingsError(f"--memory {text} is not an amount of memory: use for example --memory 4GiB.")
    return int(float(match[1]) * UNITS[match[2].upper()])


def fits(n_bytes: float, n_cells: int, memory: str | None) -> bool:
    """Whether values of this size, of so many cells, are held in memory as a whole; `memory` as of `memory_bytes`."""
    return n_bytes <= IN_MEMORY * (memory_bytes(memory) - LABELS * n_cells)


def values_of(element: Any, memory: str | None) -> Matrix:
    """The values of an element of an h5ad or zarr file, float32: in memory where they fit, or else stored.

    Raises `DataError` if the values do not fit and lie gene by gene (CSC), so that no cells can be read alone, `SettingsError` if
    not even a few cells fit, and `MissingPackageError` if Dask, which reads a part at a time, is not installed.
    """
    limit, size, n_cells = memory_bytes(memory), _n_bytes(element), _shape(element)[0]
    labels = LABELS * n_cells
    encoding, has_dask = element.attrs.get("encoding-type"), find_spec("dask") is not None
    by_cells = encoding in {"csr_matrix", "array"}
    unbounded = memory is None and size <= limit  # nobody asked for less than the machine has
    if fits(size, n_cells, memory) or (unbounded and not (by_cells and has_dask)):
        values = ad.io.read_elem(element)
        return float32(values.to_numpy() if isinstance(values, pd.DataFrame) else values)
    what = f"the values take {_amount(size)}, too much for {_amount(limit)} of memory"
    if not by_cells:
        raise DataError(
            f"{what}, and the file keeps them as {encoding}, from which single cells cannot be read: write X as CSR, or allow "
            f"{_amount(size / IN_MEMORY + labels)} with --memory."
        )
    if not has_dask:
        msg = f"{what}: allow more with --memory, or install what reads a part at a time: pip install 'cycseq[scale]'."
        raise MissingPackageError(msg)
    rows = int(BLOCK * (limit - labels) * n_cells / size)
    if rows < min(MIN_CELLS, n_cells):
        msg = f"{what}, and beside the labels of {n_cells:,} cells ({_amount(labels)}) not even {MIN_CELLS} cells at once fit: allow more with --memory."
        raise SettingsError(msg)
    return open_stored(element, rows)


def open_stored(element: Any, rows: int) -> StoredMatrix:
    """The values of an element of an h5ad or zarr file as a stored matrix, in blocks of so many cells."""
    import dask.array

    da: Any = dask.array  # has no annotations
    is_sparse = element.attrs["encoding-type"] == "csr_matrix"
    shape = _shape(element)
    in_h5 = isinstance(element, h5py.Group | h5py.Dataset)
    place = (Path(element.file.filename), element.name) if in_h5 else element  # a worker opens HDF5 files itself
    return da.map_blocks(
        partial(_block, place),
        chunks=da.core.normalize_chunks((rows, shape[1]), shape=shape),
        dtype=np.float32,
        meta=sp.csr_matrix((0, 0), dtype=np.float32) if is_sparse else np.zeros((0, 0), dtype=np.float32),
    )


def _block(place: Any, *, block_info: Any) -> Matrix:
    """The cells of one block, of an element of a zarr store or of one named in an HDF5 file."""
    cells = slice(*block_info[None]["array-location"][0])
    if not isinstance(place, tuple):
        with as_read_error(Path(str(place.store_path)), "zarr"):
            return float32(_by_cells(place)[cells])
    path, name = place
    with h5py.File(path) as file, as_read_error(path, "h5ad"):  # a file that is not there is no damaged one
        return float32(_by_cells(file[name])[cells])


def _by_cells(element: Any) -> Any:
    """An element of which cells can be read alone."""
    return ad.io.sparse_dataset(element, should_cache_indptr=False) if hasattr(element, "keys") else element


def _amount(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.1f} MiB"


def _shape(element: Any) -> tuple[int, ...]:
    """Cells and genes; no cells where it is a table, which does not say so."""
    return tuple(int(n) for n in element.attrs.get("shape", getattr(element, "shape", (0,))))


def _n_bytes(element: Any) -> int:
    """What the values take in memory as float32, by what the file says of its own size."""
    if not hasattr(element, "keys"):
        return int(np.prod(element.shape, dtype=np.int64)) * 4
    return int(element["data"].shape[0]) * 8 + int(element["indptr"].shape[0]) * 8 if "data" in element else 0


def _memory_here() -> int:
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else [16 << 30]
    for path in MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # no limit is written as "max"
            limits.append(int(path.read_text(encoding="ascii")))
    return min(limits)
