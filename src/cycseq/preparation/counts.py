"""Counts behind cells: as they are, or recovered from log1p values where that is exact."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import TARGET_SUM
from cycseq.errors import DataError
from cycseq.matrix.arrays import InMemory, Matrix, PerCell, map_blocks, per_cell
from cycseq.preparation.normalise import library_sizes

WHOLE = 0.01  # how far a recovered count may be from a whole number, as a share of it from 1 on
SMALLEST = (1, 2, 3)  # what the smallest count of a cell may be where its library size is not known


def counts_of(data: PerturbationData) -> tuple[Matrix, PerCell]:
    """Whole-number counts of cells, and their library sizes (over all genes that were counted, also those that are not here).

    Counts are given back as they are. Log1p values are turned into expm1(x) x library size / 10,000; library sizes are obs
    `total_counts`, or else follow from the smallest value of each cell, which stands for 1 count (or 2, or 3, where the others
    are whole multiples so). What is stored is converted when it is read. Raises `DataError` if values are not those of whole
    counts (after ComBat, of metacells, of predictions); of stored ones when they are read.
    """
    if data.scale == "counts":
        return data.x, library_sizes(data.x)
    obs = data.adata.obs
    if data.scale == "log1p" and "total_counts" in obs:
        total = obs["total_counts"].to_numpy(np.float64)
    else:
        total = per_cell(data.x, _sizes)
    return map_blocks(data.x, _recover, total), total


def _recover(x: InMemory, total: PerCell) -> sp.csr_matrix:
    x = sp.csr_matrix(x, dtype=np.float64)
    values = np.expm1(x.data) * np.repeat(total / TARGET_SUM, np.diff(x.indptr))
    if not _are_whole(values).all():
        raise DataError(
            "the counts behind these values cannot be recovered: they are not log1p of whole counts per 10,000 (after ComBat, and of "
            "metacells and predictions, they are not). Give the cells as counts (cycseq predict: --controls FILE)."
        )
    counts = sp.csr_matrix((np.rint(values).astype(np.float32), x.indices, x.indptr), shape=x.shape)
    counts.eliminate_zeros()
    return counts


def _sizes(x: InMemory) -> PerCell:
    """The library size of each cell by its smallest value; NaN where its values are not multiples, 0 for an empty cell."""
    x = sp.csr_matrix(x, dtype=np.float64)
    x.eliminate_zeros()
    values, n_values = np.expm1(x.data), np.diff(x.indptr)
    nonempty = np.flatnonzero(n_values)
    sizes, least = np.zeros(len(n_values)), np.minimum.reduceat(values, x.indptr[nonempty])
    sizes[nonempty] = np.nan
    for smallest in reversed(SMALLEST):
        multiples = values / np.repeat(least / smallest, n_values[nonempty])
        fits = np.logical_and.reduceat(_are_whole(multiples), x.indptr[nonempty])
        sizes[nonempty[fits]] = smallest * TARGET_SUM / least[fits]
    return sizes


def _are_whole(values: Float[np.ndarray, "values"]) -> Bool[np.ndarray, "values"]:
    rounded = np.rint(values)
    return np.asarray(np.abs(values - rounded) <= WHOLE * np.maximum(1.0, rounded))
