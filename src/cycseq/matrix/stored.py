"""A matrix that stays on the disk: a Dask array of blocks of cells, each CSR or dense and all genes wide.

Dask reads, selects and writes it; where a cluster is open (`cycseq.matrix.cluster`), its workers do. What is computed here is
computed a few blocks at a time, so that memory holds these blocks and the results alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

T = TypeVar("T")
SMALL_SELECTION_BLOCKS = 6  # a selection of cells no larger than this many blocks is loaded
MAX_LOADED_BLOCKS = 24  # no more than this many blocks are loaded together: a quarter of the memory that may be used


@runtime_checkable
class StoredMatrix(Protocol):
    """What is used of a `dask.array.Array`; named here so that Dask is not imported where nothing is stored."""

    shape: tuple[int, int]
    chunks: tuple[tuple[int, ...], tuple[int, ...]]

    def compute(self) -> Any:
        """All values, in memory."""

    def to_delayed(self) -> Any:
        """The blocks, not computed yet."""

    def __getitem__(self, key: Any) -> Any:
        """Some rows or columns, not computed yet."""


def block_ends(x: StoredMatrix) -> Int[np.ndarray, "blocks"]:
    """Where each block of cells ends."""
    return np.cumsum(x.chunks[0])


def each_block(x: StoredMatrix, f: Callable[..., T], *along: np.ndarray, **fixed: Any) -> Iterator[tuple[slice, T]]:
    """See `cycseq.matrix.arrays.by_block`."""
    ends = block_ends(x)
    blocks = x.to_delayed().ravel()
    width = _n_parallel()
    for first in range(0, len(blocks), width):
        rows = [slice(int(ends[i]) - x.chunks[0][i], int(ends[i])) for i in range(first, min(first + width, len(ends)))]
        tasks = [
            import_dask().delayed(f)(block, *(values[part] for values in along), **fixed)
            for block, part in zip(blocks[first : first + width], rows, strict=True)
        ]
        yield from zip(rows, _compute(tasks), strict=True)


def concatenated(parts: Sequence[Any]) -> Any:
    """The cells of stored matrices, one after another."""
    return import_dask().array.concatenate(parts, axis=0)


def load_stored(x: StoredMatrix) -> np.ndarray | sp.csr_matrix:
    """All cells, in memory."""
    return _compute([x])[0]


class BlockCache:
    """The blocks of a stored matrix that were read last, so that cells of the same blocks are read once.

    So many blocks stay in memory from one call to the next.
    """

    def __init__(self, x: Any, n_blocks: int) -> None:
        self.x, self.n_blocks, self.ends = x, n_blocks, block_ends(x)
        self._blocks = x.to_delayed().ravel()
        self._kept: dict[int, Any] = {}

    def dense(self, rows: Int[np.ndarray, "rows"]) -> np.ndarray:
        """These cells, in this order; blocks that are not there yet are read together."""
        cells = np.empty((len(rows), self.x.shape[1]), dtype=np.float32)
        of_row = np.searchsorted(self.ends, rows, side="right")
        needed = np.unique(of_row)
        missing = [int(i) for i in needed if i not in self._kept]
        if missing:
            others = [i for i in self._kept if i not in needed][: max(0, self.n_blocks - len(needed))]
            self._kept = {i: block for i, block in self._kept.items() if i in needed or i in others}
            self._kept |= zip(missing, _compute([self._blocks[i] for i in missing]), strict=True)
        for i in needed:
            places = np.flatnonzero(of_row == i)
            block = self._kept[int(i)]
            block_rows = block[rows[places] - (self.ends[i] - self.x.chunks[0][i])]
            cells[places] = block_rows.toarray() if sp.issparse(block_rows) else block_rows
        return cells


def import_dask() -> Any:
    """Dask, which has no annotations."""
    import dask.array

    return dask


def _compute(tasks: Sequence[Any]) -> tuple[Any, ...]:
    """The tasks' results. A task of a cluster's worker computes here: it would wait for ever for workers that wait too."""
    return import_dask().compute(*tasks, **{"scheduler": "synchronous"} if _on_worker() else {})


def _on_worker() -> bool:
    if "distributed" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _n_parallel() -> int:
    """Blocks that are computed together: as many as workers of the cluster, or as processors up to four."""
    if "distributed" in sys.modules and not _on_worker():
        from distributed import default_client

        try:
            return max(1, sum(int(n) for n in default_client().ncores().values()))
        except ValueError:  # no cluster is open
            pass
    return 1 if _on_worker() else min(4, os.cpu_count() or 1)
