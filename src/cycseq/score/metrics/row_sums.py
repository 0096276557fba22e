"""Sums over the genes of predicted and real profiles, in one loop over the values that numba compiles."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def sums_of_rows(predicted: np.ndarray, real: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The first nine fields of `RowSums`, a row for each condition."""
    sums = np.zeros((len(predicted), 9))
    for i in range(len(predicted)):
        ours, theirs, of_gene = predicted[i], real[i], weights[i]
        weight = of_ours = of_theirs = ours2 = theirs2 = both = error = absolute = 0.0
        for k in range(len(ours)):
            p, r, w = ours[k], theirs[k], 1.0 * of_gene[k]
            weight += w
            of_ours += w * p
            of_theirs += w * r
            ours2 += w * p * p
            theirs2 += w * r * r
            both += w * p * r
            error += w * (p - r) * (p - r)
            absolute += w * abs(p - r)
        p0, r0 = of_ours / weight, of_theirs / weight
        spread_of_ours = spread_of_theirs = covariation = 0.0
        for k in range(len(ours)):
            p, r, w = ours[k] - p0, theirs[k] - r0, 1.0 * of_gene[k]
            spread_of_ours += w * p * p
            spread_of_theirs += w * r * r
            covariation += w * p * r
        sums[i] = (weight, ours2, theirs2, both, error, absolute, spread_of_ours, spread_of_theirs, covariation)
    return sums
