"""Principal axes of real control cells, in which whole cells are compared."""

import numpy as np
from jaxtyping import Float

from cycseq.matrix.arrays import Cells
from cycseq.score.metrics.base import Axes

SMALL = 500  # cells and genes up to which the decomposition is exact
FEW_GENES, CELLS_FOR_GENE = 1000, 10  # genes up to which it is exact too, where there are so many cells for each
MORE = 10  # random directions beyond the components
MOST = 0.8  # share of all directions from which on nothing is saved
FEW = 0.1  # share of all directions below which seven rounds are made, and four from there on


def principal_axes(cells: Cells, components: int, seed: int) -> Axes:
    """The first principal components of cells.

    Exact for few cells and genes, else by random projection (Halko, Martinsson and Tropp 2011): with the same draws and rounds as scikit-learn's `PCA`,
    whose import takes as long as evaluating fifty conditions.
    """
    mean = cells.mean(axis=0)
    centred = cells - mean
    smaller, (n_cells, n_genes) = min(cells.shape), cells.shape
    few_genes = n_genes <= FEW_GENES and n_cells >= CELLS_FOR_GENE * n_genes
    if max(cells.shape) <= SMALL or few_genes or components >= MOST * smaller:
        directions = np.linalg.svd(centred, full_matrices=False)[2][:components]
    else:
        tall = centred if n_cells >= n_genes else centred.T
        basis = _range(tall, components + MORE, 7 if components < FEW * smaller else 4, seed)
        left, _, right = np.linalg.svd(basis.T @ tall, full_matrices=False)
        directions = right[:components] if tall is centred else (basis @ left[:, :components]).T
    return Axes(mean, np.ascontiguousarray(directions.T))


def _range(x: Float[np.ndarray, "rows columns"], size: int, rounds: int, seed: int) -> Float[np.ndarray, "rows size"]:
    """An orthonormal basis of nearly all that the leading directions reach."""
    draws = np.random.RandomState(seed)  # as scikit-learn draws, so that scores stay as they were
    basis = draws.normal(size=(x.shape[1], size)).astype(x.dtype)
    for _ in range(rounds):
        basis = np.linalg.qr(x @ basis)[0]
        basis = np.linalg.qr(x.T @ basis)[0]
    return np.asarray(np.linalg.qr(x @ basis)[0])
