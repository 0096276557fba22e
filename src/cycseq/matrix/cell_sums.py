"""Sums over groups of cells, dense and sparse, in loops that numba compiles."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def add_cells(x: np.ndarray, groups: np.ndarray, power: int, total: np.ndarray) -> None:
    """Add every cell's values (power 1), their squares (2) or whether they are not zero (0) to the row of its group, if any."""
    for cell in range(len(x)):
        if groups[cell] < 0:
            continue
        values, sums = x[cell], total[groups[cell]]
        if power == 0:
            for gene in range(len(values)):
                sums[gene] += 1.0 if values[gene] != 0 else 0.0
        elif power == 1:
            for gene in range(len(values)):
                sums[gene] += values[gene]
        else:
            for gene in range(len(values)):
                sums[gene] += np.float64(values[gene]) * values[gene]


@njit(nogil=True, cache=True)
def add_sparse_cells(
    x: tuple[np.ndarray, np.ndarray, np.ndarray], groups: np.ndarray, power: int, total: np.ndarray
) -> None:
    """As `add_cells`, of the values of cells x genes in CSR, the genes of these values, and where those of each cell end."""
    values, genes, ends = x
    for cell in range(len(groups)):
        if groups[cell] < 0:
            continue
        sums = total[groups[cell]]
        for k in range(ends[cell], ends[cell + 1]):
            if power == 0:
                sums[genes[k]] += 1.0 if values[k] != 0 else 0.0
            elif power == 1:
                sums[genes[k]] += values[k]
            else:
                sums[genes[k]] += np.float64(values[k]) * values[k]
