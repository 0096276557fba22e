"""Wilcoxon's rank-sum test of groups of cells, each against the same control cells, which are ranked once.

The loops, which numba compiles, touch the values that are not zero alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from cycseq.matrix.arrays import InMemory, Profile, to_dense
from cycseq.matrix.threads import map_in_threads

Ends = Int[np.ndarray, "genes+1"]
"""Where the entries of each gene end."""
OfGenes = Float[np.ndarray, "genes"]
Entries = Float[np.ndarray, "entries"]
STEP = 16
"""Control values that are passed at once where none is as large: so they are read in order, two lines of the cache a step."""


@dataclass(frozen=True)
class RankedCells:
    """The values of some cells, gene after gene, those of a gene sorted; zeros are left out where they are the smallest."""

    n_cells: int
    ends: Ends
    values: Entries

    @classmethod
    def of(cls, values: Float[np.ndarray, "genes cells"], *, without_zeros: bool) -> RankedCells:
        """Of sorted values."""
        there = values != 0 if without_zeros else np.ones_like(values, dtype=bool)
        ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        return cls(values.shape[1], ends, values[there].astype(np.float64))


def rank_tests(groups: Iterable[InMemory], control: InMemory) -> Iterator[Profile]:
    """P of every gene, for one group after another: two-sided, corrected for ties and continuity, by the normal distribution.

    As `scipy.stats.mannwhitneyu(group, control, method="asymptotic")`; 1 where all values are alike.
    """
    of_control = _sorted_by_gene(control)

    @cache
    def against(without_zeros: bool) -> tuple[RankedCells, OfGenes]:  # noqa: FBT001
        ranked = RankedCells.of(of_control, without_zeros=without_zeros)
        return ranked, count_ties(ranked.ends, ranked.values)

    def one(group: InMemory) -> Profile:
        values = _sorted_by_gene(group)
        without_zeros = bool(min(values[:, 0].min(), of_control[:, 0].min()) >= 0.0)
        ranked, (others, ties_of_others) = RankedCells.of(values, without_zeros=without_zeros), against(without_zeros)
        n, m = ranked.n_cells, others.n_cells
        u, ties = rank_sums(ranked.ends, ranked.values, n, others.ends, others.values, ties_of_others, m)
        return two_sided_p(u, ties, n, m, continuity=0.5)

    return map_in_threads(one, groups)


def two_sided_p(u: OfGenes, ties: OfGenes, n: int, m: int, *, continuity: float = 0.0) -> Profile:
    """P of Mann and Whitney's U with the sums of t^3 - t over ties, by the normal distribution; 1 where all values are alike."""
    from scipy.special import ndtr

    correction = 1.0 - ties / (float(n + m) ** 3 - (n + m))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (np.abs(u - n * m / 2.0) - continuity) / np.sqrt(correction * n * m * (n + m + 1) / 12.0)
    return np.asarray(np.minimum(2.0 * ndtr(-np.where(correction > 0, z, 0.0)), 1.0))


def _sorted_by_gene(cells: InMemory) -> Float[np.ndarray, "genes cells"]:
    return np.sort(np.ascontiguousarray(to_dense(cells).T), axis=1)


@njit(nogil=True, cache=True)
def count_ties(ends: Ends, values: Entries) -> OfGenes:
    """Sum of t^3 - t over the ties among the sorted values of every gene."""
    ties = np.zeros(len(ends) - 1)
    for g in range(len(ties)):
        run = 1.0
        for k in range(ends[g] + 1, ends[g + 1] + 1):
            if k < ends[g + 1] and values[k] == values[k - 1]:
                run += 1.0
            else:
                ties[g] += run**3 - run
                run = 1.0
    return ties


@njit(nogil=True, cache=True)
def rank_sums(
    ends: Ends,
    values: Entries,
    n_cells: int,
    control_ends: Ends,
    control: Float[np.ndarray, "control_entries"],
    control_ties: OfGenes,
    n_control: int,
) -> tuple[OfGenes, OfGenes]:
    """Mann and Whitney's U of a group of cells against control cells, and sum of t^3 - t over the ties of both.

    Parameters
    ----------
    ends, values, n_cells
        The group as CSC without zeros, the values of each gene sorted.
    control_ends, control, control_ties, n_control
        The control cells, likewise, with what `count_ties` says of them.
    """
    u, ties = np.zeros(len(ends) - 1), np.zeros(len(ends) - 1)
    for g in range(len(u)):
        of_gene, of_control = values[ends[g] : ends[g + 1]], control[control_ends[g] : control_ends[g + 1]]
        n, m = len(of_gene), len(of_control)
        zeros, control_zeros = float(n_cells - n), float(n_control - m)
        u[g] = 0.5 * zeros * control_zeros
        ties[g] = control_ties[g] + (zeros + control_zeros) ** 3 - (zeros + control_zeros)
        below = k = 0
        while k < n:
            value, run = of_gene[k], 1
            while k + run < n and of_gene[k + run] == value:
                run += 1
            low = below
            while low + STEP <= m and of_control[low + STEP - 1] < value:
                low += STEP
            while low < m and of_control[low] < value:
                low += 1
            equal = 0
            while low + equal < m and of_control[low + equal] == value:
                equal += 1
            u[g] += run * (control_zeros + low + 0.5 * equal)
            both, alone = float(run + equal), float(equal)
            ties[g] += both**3 - both - (alone**3 - alone)
            below, k = low + equal, k + run
    return u, ties
