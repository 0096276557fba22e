"""Counts of one context as the challenge sees them: sums, their variance, fold changes and tests of every condition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from cycseq.matrix.arrays import Codes, InMemory, Matrix, Profile, Profiles, take
from cycseq.matrix.threads import map_in_threads
from cycseq.score.metrics.ranks import false_discovery_rate

BULK_TOTAL = 5e4  # sums of counts are scaled to this total before their logarithm
CPM = 1e6
LEAST_CPM = 5.0  # a gene is tested where the mean counts per million of the control cells are above this
EPSILON = 1e-9  # added to both means of a fold change
TERMS = 12  # of a series of logarithms
LARGEST_SHARE = 0.05  # of a cell's counts: then the series leaves out less than LARGEST_SHARE^TERMS / TERMS ~ 2e-17
CELLS_AT_ONCE = 16_000  # cells that are in memory together, where they are stored: 2 GB with 8,000 genes in each


@dataclass(frozen=True)
class GroupProfile:
    """A group of cells as CSC, with the moments of its counts."""

    bulk: Profile  # log(1 + 50,000 x share of the counts of all cells together)
    variance: float  # sampling variance of `bulk`, all genes together
    mean_cpm: Profile  # mean of the cells' counts per million
    n_cells: int
    ends: Codes  # where the values of each gene end
    values: Float[np.ndarray, "entries"]
    """Share of a cell's counts, of the cells that have the gene, sorted within each gene: equal where the ratios of whole
    numbers are, which no rounding blurs."""


@dataclass(frozen=True)
class ControlProfile(GroupProfile):
    """The control cells of one context, ranked once for all that is tested against them."""

    ties: Profile  # sum of t^3 - t over the ties of `values`

    @classmethod
    def of(cls, counts: InMemory) -> Self:
        """Of counts, cells x genes."""
        from cycseq.score.metrics.rank_test import count_ties

        group = _profile_group(counts)
        return cls(**vars(group), ties=count_ties(group.ends, group.values))

    @property
    def tested(self) -> Bool[np.ndarray, "genes"]:
        """The genes that are tested."""
        return np.asarray(self.mean_cpm > LEAST_CPM)


@dataclass(frozen=True)
class CountProfiles:
    """Conditions of one context; row i is condition i."""

    bulk: Profiles  # log(1 + 50,000 x share of the counts of all cells together)
    variance: Float[np.ndarray, "conditions"]
    """Sampling variance of `bulk`, all genes together, by leaving out each cell."""
    lfc: Profiles  # log2 fold change of mean counts per million against control; NaN where a gene is not tested
    p: Profiles  # of Wilcoxon's test against control; NaN where a gene is not tested
    adjusted_p: Profiles  # by Benjamini and Hochberg, over the tested genes of a condition

    @classmethod
    def of(cls, groups: Iterator[InMemory | sp.csc_matrix], n_groups: int, control: ControlProfile) -> Self:
        """Of the counts of every condition, cells x genes, which are needed one after another.

        Two-sided rank-sum tests with correction for ties, without continuity, by the normal distribution, as scanpy has it.
        """
        n_genes = len(control.bulk)
        bulk, lfc, p, adjusted = (np.full((n_groups, n_genes), np.nan) for _ in range(4))
        variance = np.zeros(n_groups)
        tested = control.tested
        for i, (group, of_group) in enumerate(map_in_threads(partial(_test, control=control), groups)):
            bulk[i], variance[i] = group.bulk, group.variance
            lfc[i, tested] = np.log2((group.mean_cpm[tested] + EPSILON) / (control.mean_cpm[tested] + EPSILON))
            p[i, tested] = of_group[tested]
            adjusted[i, tested] = false_discovery_rate(of_group[tested])
        return cls(bulk, variance, lfc, p, adjusted)

    def take(self, conditions: Codes) -> Self:
        """The same of these conditions."""
        rows = (values[conditions] for values in (self.bulk, self.variance, self.lfc, self.p, self.adjusted_p))
        return type(self)(*rows)


def load_groups(x: Matrix, rows: Sequence[Codes]) -> Iterator[InMemory]:
    """The cells of each group, one group after another; stored cells are read many groups at a time."""
    at_once: list[Codes] = []
    for k, of_group in enumerate(rows):
        at_once.append(of_group)
        if k + 1 == len(rows) or sum(map(len, at_once)) + len(rows[k + 1]) > CELLS_AT_ONCE:
            cells, start = take(x, np.concatenate(at_once)), 0
            for size in map(len, at_once):
                yield cells[start : start + size]
                start += size
            at_once = []


def _profile_group(counts: InMemory | sp.csc_matrix) -> GroupProfile:
    """Of counts, cells x genes."""
    from cycseq.score.metrics.challenge.kernels import jackknife

    columns = sp.csc_matrix(counts)
    columns.sum_duplicates()
    columns.eliminate_zeros()
    n_cells = columns.shape[0]
    totals = np.asarray(columns.sum(axis=1, dtype=np.float64)).ravel()
    ends, cells = columns.indptr.astype(np.int64), columns.indices.astype(np.int32, copy=False)
    values = columns.data.astype(np.float64)
    sums, shares, moved = np.zeros((3, columns.shape[1]))
    if totals.any():
        share, once, twice = _left_out(totals)
        sums, shares, moved = jackknife(ends, cells, values, totals, share, once, twice, BULK_TOTAL)
    values /= totals[cells]
    for start, end in pairwise(ends):
        values[start:end].sort()
    return GroupProfile(
        bulk=np.log1p(BULK_TOTAL * sums / max(totals.sum(), np.finfo(float).tiny)),
        variance=max((n_cells - 1) / n_cells * float(moved.sum()), 0.0),
        mean_cpm=CPM * shares / n_cells,
        n_cells=n_cells,
        ends=ends,
        values=values,
    )


def _left_out(totals: Float[np.ndarray, "cells"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of each cell over those of all others, and the series of `jackknife`, empty where a share is too large for it."""
    rest = totals.sum() - totals
    share = np.divide(totals, rest, out=np.full_like(totals, np.inf), where=rest > 0)
    if share.max() > LARGEST_SHARE:
        return share, np.zeros(0), np.zeros(0)
    k = np.arange(1, TERMS + 1)
    powers = (share[:, None] ** k).sum(axis=0)
    sign = np.where(k % 2 == 1, 1.0, -1.0)
    squares = np.array([(1.0 / (k[: j - 1] * (j - k[: j - 1]))).sum() for j in k])
    return share, sign * powers / k, -sign * powers * squares


def _test(counts: InMemory | sp.csc_matrix, control: ControlProfile) -> tuple[GroupProfile, Profile]:
    """The group, and p of every gene."""
    from cycseq.score.metrics.rank_test import rank_sums, two_sided_p

    group = _profile_group(counts)
    n, m = group.n_cells, control.n_cells
    u, ties = rank_sums(group.ends, group.values, n, control.ends, control.values, control.ties, m)
    return group, two_sided_p(u, ties, n, m)
