"""Sums over groups of dense cells, in a loop that numba compiles."""

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
