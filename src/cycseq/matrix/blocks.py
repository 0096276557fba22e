"""A large matrix a few cells at a time: passes that need hardly any memory of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool

from cycseq.matrix.arrays import CellMask, InMemory, Matrix, PerCell
from cycseq.matrix.stored import StoredMatrix

BLOCK = 1 << 21  # values of a block: a pass over a matrix then needs little memory besides


@dataclass(frozen=True)
class Block:
    """Successive cells: their stored values, which are views, and where these stand."""

    rows: slice
    values: np.ndarray  # cells x genes, or the non-zeros alone
    columns: np.ndarray | None  # column of every non-zero; None where the matrix is dense
    ends: np.ndarray  # where each cell's values end among the block's, from 0 on: one more than there are cells

    @property
    def n_values(self) -> np.ndarray:
        """Stored values of every cell."""
        return np.diff(self.ends)

    def sums(self, values: np.ndarray) -> PerCell:
        """The sum of every cell of numbers that stand where the values do."""
        if self.columns is None:
            return values.sum(axis=1, dtype=np.float64)
        sums, nonempty = np.zeros(len(self.ends) - 1), self.n_values > 0
        sums[nonempty] = np.add.reduceat(values, self.ends[:-1][nonempty], dtype=np.float64)
        return sums

    def spread(self, of_cells: np.ndarray) -> np.ndarray:
        """A number of each cell, to be multiplied with its values."""
        return of_cells[:, None] if self.columns is None else np.repeat(of_cells, self.n_values)


def blocks(x: InMemory) -> Iterator[Block]:
    """The cells in blocks of at most `BLOCK` stored values, but of one cell at least."""
    n_cells = x.shape[0]
    ends = np.arange(n_cells + 1) * x.shape[1] if isinstance(x, np.ndarray) else x.indptr
    start = 0
    while start < n_cells:
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + BLOCK, side="right")) - 1)
        rows, cell_ends = slice(start, stop), (ends[start : stop + 1] - ends[start]).astype(np.int32)
        if isinstance(x, np.ndarray):
            yield Block(rows, x[rows], None, cell_ends)
        else:
            stored = slice(ends[start], ends[stop])
            yield Block(rows, x.data[stored], x.indices[stored], cell_ends)
        start = stop


def submatrix(x: Matrix, rows: CellMask, columns: Bool[np.ndarray, "genes"]) -> Matrix:
    """A copy of some cells and genes; CSR stays CSR. No copy of all genes is made on the way. What is stored stays so.

    Rows and columns are masks.
    """
    if isinstance(x, StoredMatrix):
        cells = x if rows.all() else x[np.flatnonzero(rows)]
        return cells if columns.all() else cells[:, np.flatnonzero(columns)]
    if isinstance(x, np.ndarray):
        return np.ascontiguousarray(x[np.ix_(rows, columns)])
    if columns.all():
        return sp.csr_matrix(x, copy=True) if rows.all() else x[rows]
    narrow = x[:, np.flatnonzero(columns)]
    return narrow if rows.all() else narrow[rows]
