"""`Matrix`: cells x genes, in memory (dense or CSR) or on the disk. These functions take either, so that callers need not ask which."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from cycseq.matrix.stored import StoredMatrix, block_ends, each_block, import_dask, load_stored

T = TypeVar("T")

Cells = Float[np.ndarray, "cells genes"]
Profile = Float[np.ndarray, "genes"]
Profiles = Float[np.ndarray, "conditions genes"]
Mask = Bool[np.ndarray, "conditions genes"]
Codes = Int[np.ndarray, "cells"]
PerCell = Float[np.ndarray, "cells"]
CellMask = Bool[np.ndarray, "cells"]
InMemory: TypeAlias = np.ndarray | sp.csr_matrix | sp.csr_array  # cells x genes, dense or CSR
Matrix: TypeAlias = InMemory | StoredMatrix  # cells x genes in memory, or on the disk in blocks of cells
TOGETHER = 128
"""Cells that are taken together, where a group has fewer."""


def unit_rows(values: Profiles) -> Profiles:
    """The rows at length 1; rows of 0 stay so."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(length > 0, length, np.inf))


def in_memory(x: Any) -> bool:
    """Whether the values are in memory, not on the disk."""
    return not isinstance(x, StoredMatrix)


def load(x: Matrix) -> InMemory:
    """The same cells in memory."""
    return load_stored(x) if isinstance(x, StoredMatrix) else x


def take(x: Matrix, rows: Codes) -> InMemory:
    """These cells in memory, in this order; rows may occur more than once. Every stored block is read once."""
    if not isinstance(x, StoredMatrix):
        return x[rows]
    cells, (place,) = take_parts(x, [rows])
    return cells if np.array_equal(place, np.arange(cells.shape[0])) else cells[place]


def take_groups(x: Matrix, groups: Sequence[Codes]) -> Iterator[InMemory]:
    """The cells of one group after another, in memory; small groups are taken together, and are dense: each alone takes longer."""
    size = max(1, TOGETHER // max(map(len, groups), default=1))
    for start in range(0, len(groups), size):
        some = groups[start : start + size]
        together = take(x, np.concatenate(some))
        ends = np.cumsum([len(rows) for rows in some])
        yield from [together] if len(some) == 1 else np.split(to_dense(together), ends[:-1])


def to_dense(x: Matrix) -> Cells:
    """The same cells as a dense array, in memory."""
    x = load(x)
    return x if isinstance(x, np.ndarray) else np.asarray(x.toarray())


def take_parts(x: Matrix, parts: Sequence[Codes]) -> tuple[InMemory, tuple[Codes, ...]]:
    """A matrix in memory that holds the cells of some parts, and the rows of every part there; stored cells are read once.

    What is in memory is given back as it is.
    """
    if not isinstance(x, StoredMatrix):
        return x, tuple(parts)
    unique_rows, place = np.unique(np.concatenate(parts), return_inverse=True)
    return load_stored(x[unique_rows]), tuple(np.split(place, np.cumsum([len(rows) for rows in parts])[:-1]))


def by_block(x: Matrix, f: Callable[..., T], *along: np.ndarray, **fixed: Any) -> Iterator[tuple[slice, T]]:
    """A function of every block of cells, in order, with the slice of cells in the block; in memory, all cells are one block.

    `f` is called with a block in memory, its part of each of `along` (arrays with an entry for every cell) and `fixed`; where a
    cluster is open, on a worker.
    """
    if isinstance(x, StoredMatrix):
        yield from each_block(x, f, *along, **fixed)
    else:
        yield slice(0, x.shape[0]), f(x, *along, **fixed)


def per_cell(x: Matrix, f: Callable[..., np.ndarray], *along: np.ndarray) -> np.ndarray:
    """What a function of cells returns for all cells, one after another; arguments as of `by_block`."""
    parts = [values for _, values in by_block(x, f, *along)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def map_blocks(x: Matrix, f: Callable[..., Any], *along: np.ndarray) -> Matrix:
    """``f(x, *along)``; of stored cells, for each block when it is read.

    The function returns as many cells, and the same genes.
    """
    if not isinstance(x, StoredMatrix):
        return f(x, *along)
    da = import_dask().array
    aligned = [da.from_array(values[:, None], chunks=(x.chunks[0], 1)) for values in along]

    def of_block(block: Any, *parts: np.ndarray) -> Any:
        return f(block, *(part[:, 0] for part in parts)) if block.shape[0] else block

    return da.map_blocks(of_block, x, *aligned, dtype=np.float32, meta=getattr(x, "_meta", None), chunks=x.chunks)


def max_rows(x: Matrix, n_blocks: int) -> int:
    """How many cells so many blocks hold; all of them, where they are in memory."""
    return n_blocks * max(x.chunks[0], default=0) if isinstance(x, StoredMatrix) else x.shape[0]


def rows_read_fast(x: Matrix, n: int) -> Codes:
    """All rows in memory; of a stored matrix at most n, the last ones of its first, middle and last block."""
    if not isinstance(x, StoredMatrix):
        return np.arange(x.shape[0])
    ends = block_ends(x)
    sample = {0, len(ends) // 2, len(ends) - 1}
    return np.unique(np.concatenate([np.arange(ends[i] - min(x.chunks[0][i], n // 3), ends[i]) for i in sample]))


def store_alike(matrices: Sequence[Matrix]) -> list[Matrix]:
    """The matrices, those in memory as stored ones where any is stored, so that they can be concatenated."""
    like = next((x for x in matrices if isinstance(x, StoredMatrix)), None)
    if like is None:
        return list(matrices)
    in_chunks = partial(import_dask().array.from_array, chunks=(max_rows(like, 1), like.shape[1]), asarray=False)
    return [x if isinstance(x, StoredMatrix) else in_chunks(x) for x in matrices]


def shuffle_rows(x: Matrix, rows: Codes, window: int, rng: np.random.Generator) -> Codes:
    """The rows in random order; those of a stored matrix by windows of so many blocks, drawn at random, and mixed in each."""
    if not isinstance(x, StoredMatrix):
        return rows[rng.permutation(len(rows))]
    of_row = np.searchsorted(block_ends(x), rows, side="right")
    window_of_block = rng.permutation(len(x.chunks[0])) // window
    return rows[np.lexsort((rng.random(len(rows)), window_of_block[of_row]))]
