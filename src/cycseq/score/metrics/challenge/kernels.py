"""A loop over the counts of a gene that numba compiles: variances by leaving out a cell. It touches the counts that are not zero alone."""

import math

import numpy as np
from jaxtyping import Float, Int
from numba import njit

Ends = Int[np.ndarray, "genes+1"]  # where the entries of each gene end
OfGenes = Float[np.ndarray, "genes"]
Entries = Float[np.ndarray, "entries"]
OfCells = Float[np.ndarray, "cells"]


@njit(nogil=True, cache=True)
def log1p(x: float) -> float:
    """log(1 + x), by its series near 0: a third of the time."""
    if abs(x) > 0.01:
        return math.log1p(x)
    return x * (1 - x * (1 / 2 - x * (1 / 3 - x * (1 / 4 - x * (1 / 5 - x * (1 / 6 - x * (1 / 7 - x / 8)))))))


@njit(nogil=True, cache=True)
def jackknife(
    ends: Ends,
    cells: Int[np.ndarray, "entries"],
    counts: Entries,
    totals: OfCells,
    share: OfCells,
    once: Float[np.ndarray, "terms"],
    twice: Float[np.ndarray, "terms"],
    target: float,
) -> tuple[OfGenes, OfGenes, OfGenes]:
    """Sum of every gene, sum of its shares of the cells' counts, and how far its log sum moves as each cell is left out.

    Parameters
    ----------
    ends, cells, counts
        The counts of a group of cells as CSC.
    totals
        Counts of every cell, all genes together.
    share
        The cell's counts over those of all others; infinite where these have none.
    once, twice
        Coefficients of the sums over cells of log(1 + w share) and of its square, as polynomials in w, from w^1 on; empty where
        shares are too large for them.
    target
        What sums are scaled to before the logarithm.

    Returns
    -------
    The sums, the sums of shares, and sum_i (v_i - mean v)^2 of v_i = log(1 + target (P - y_i) / (S - l_i)); v_i is 0 where a
    cell has all counts.

    Notes
    -----
    Deviations from b = log(1 + target P / S) are summed, which loses no digits. Leaving out a cell without the gene moves it by
    log(1 + w l / (S - l)), w = a / (1 + a), a = target P / S: all of these cells together are a polynomial in w.
    """
    n_cells, n_genes = len(totals), len(ends) - 1
    sums, shares, moved = np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes)
    total = 0.0
    for i in range(n_cells):
        total += totals[i]
    for g in range(n_genes):
        for k in range(ends[g], ends[g + 1]):
            sums[g] += counts[k]
            shares[g] += counts[k] / totals[cells[k]]
        a = target * sums[g] / total
        w, step = a / (1.0 + a), target / (1.0 + a)
        one = two = 0.0
        for k in range(len(once) - 1, -1, -1):
            one, two = (one + once[k]) * w, (two + twice[k]) * w
        if len(once) == 0:
            for i in range(n_cells):
                d = log1p(w * share[i]) if share[i] < np.inf else -log1p(a)
                one, two = one + d, two + d * d
        for k in range(ends[g], ends[g + 1]):
            i = cells[k]
            if share[i] < np.inf:
                without = log1p(w * share[i])
                d = log1p(w * share[i] - step * counts[k] * share[i] / totals[i])
                one, two = one + d - without, two + d * d - without * without
        moved[g] = two - one * one / n_cells
    return sums, shares, moved
