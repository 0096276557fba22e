"""Wilcoxon's rank-sum test of groups of cells, each against the same control cells, which are ranked once.

The loops, which numba compiles, touch the values that are not zero alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from cycseq.matrix.arrays import Cells, InMemory, Profile, to_dense
from cycseq.matrix.threads import map_in_threads
from cycseq.score.metrics.sort_cells import sort_cells

Ends = Int[np.ndarray, "genes+1"]  # where the entries of each gene end
OfGenes = Float[np.ndarray, "genes"]
Entries = Float[np.ndarray, "entries"]
TOGETHER = 128
"""Cells of the groups that a thread is given at once, at least."""
STEP = 16
"""Control values that are passed at once where none is as large: so they are read in order, two lines of the cache a step."""


@dataclass(frozen=True)
class RankedCells:
    """The values of some cells, gene after gene, those of a gene sorted; zeros are left out where they are the smallest."""

    n_cells: int
    ends: Ends
    values: Entries

    @classmethod
    def of(cls, cells: Cells, *, without_zeros: bool) -> Self:
        """Of cells in which the values of every gene ascend."""
        return cls(len(cells), *_entries(cells, without_zeros))


class RankedControl:
    """Control cells, ranked once for all groups that are tested against them."""

    def __init__(self, cells: InMemory) -> None:
        self._cells = cells
        self._ranked: dict[bool, tuple[RankedCells, OfGenes]] = {}
        self.lowest = float(cells.min())

    def ranked(self, *, without_zeros: bool) -> tuple[RankedCells, OfGenes]:
        """Their sorted values, and `count_ties` of these."""
        if without_zeros not in self._ranked:
            ranked = RankedCells.of(sort_cells(to_dense(self._cells)), without_zeros=without_zeros)
            self._ranked[without_zeros] = ranked, count_ties(ranked.ends, ranked.values)
        return self._ranked[without_zeros]


def rank_tests(groups: Iterable[InMemory], control: RankedControl) -> Iterator[Profile]:
    """P of every gene, for one group after another: two-sided, corrected for ties and continuity, by the normal distribution.

    As `scipy.stats.mannwhitneyu(group, control, method="asymptotic")`; 1 where all values are alike.
    """

    def one(group: InMemory) -> Profile:
        values = sort_cells(to_dense(group))
        without_zeros = bool(min(values[0].min(), control.lowest) >= 0.0)
        ranked = RankedCells.of(values, without_zeros=without_zeros)
        others, ties_of_others = control.ranked(without_zeros=without_zeros)
        n, m = ranked.n_cells, others.n_cells
        u, ties = rank_sums(ranked.ends, ranked.values, n, others.ends, others.values, ties_of_others, m)
        return two_sided_p(u, ties, n, m, continuity=0.5)

    control.ranked(without_zeros=control.lowest >= 0.0)  # once, and not in several threads at a time
    tested = map_in_threads(lambda some: [one(group) for group in some], _small_together(groups))
    return chain.from_iterable(tested)


def _small_together(groups: Iterable[InMemory]) -> Iterator[list[InMemory]]:
    """Groups of `TOGETHER` cells in all, or one larger: testing a small one takes less than handing it to a thread."""
    some: list[InMemory] = []
    for group in groups:
        some.append(group)
        if sum(one.shape[0] for one in some) >= TOGETHER:
            yield some
            some = []
    yield some


def two_sided_p(u: OfGenes, ties: OfGenes, n: int, m: int, *, continuity: float = 0.0) -> Profile:
    """P of Mann and Whitney's U with the sums of t^3 - t over ties, by the normal distribution; 1 where all values are alike."""
    from scipy.special import ndtr

    correction = 1.0 - ties / (float(n + m) ** 3 - (n + m))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (np.abs(u - n * m / 2.0) - continuity) / np.sqrt(correction * n * m * (n + m + 1) / 12.0)
    return np.asarray(np.minimum(2.0 * ndtr(-np.where(correction > 0, z, 0.0)), 1.0))


@njit(nogil=True, cache=True)
def _entries(cells: np.ndarray, without_zeros: bool) -> tuple[Ends, Entries]:  # noqa: FBT001
    """The values of one gene after another, and where those of each end."""
    n_cells, n_genes = cells.shape
    ends, values, n = np.zeros(n_genes + 1, dtype=np.int64), np.empty(np.count_nonzero(cells)), 0
    if not without_zeros:
        values = np.empty(cells.size)
    for gene in range(n_genes):
        for cell in range(n_cells):
            if not without_zeros or cells[cell, gene] != 0:
                values[n] = cells[cell, gene]
                n += 1
        ends[gene + 1] = n
    return ends, values


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
