"""Cells at real depth and sparsity: counts drawn at the depth of real cells, so that every gene has a given mean.

A gene's counts are negative binomial: N ~ Poisson(F L), L ~ gamma with mean (library size x rate of the gene) and shape
1/dispersion. L is drawn given what was counted in the source cell, so a drawn cell resembles it as far as its counts
tell; F is one factor for each gene. Counts arrive one by one, as the events of a Poisson process in F, and stop where
the mean of log1p of the cells comes nearest to its target: no equation is solved, and the mean is right to half a count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import TARGET_SUM
from cycseq.matrix.arrays import Codes, Profile
from cycseq.matrix.groups import group_sums
from cycseq.simulation.counts import HIGHEST, LOWEST, POINTS, CountLaw, ExpectedLog1p

WHOLE = 0.01
"""How far a recovered count may be from a whole number."""
LEAST, GREATEST = 0.01, 10.0
"""Of dispersions."""
PRIOR_INFORMATION = 10.0
"""The dispersion of all genes together counts as much as this sum of squared expected counts of a gene's own."""
EVENTS = 2_000_000
"""Counts that are drawn together: about 200 MB."""
LEAST_SLOPE = 0.05
"""A rare gene's mean hardly follows its counts; its tilt is bounded as if it followed by this."""
FIRST = 1.3
"""Events are drawn up to this many times the factor that is expected, then to twice as many, and so on."""


def known_counts(data: PerturbationData) -> sp.csr_matrix | None:
    """Counts behind log1p values: expm1(x) x total_counts / 10,000.

    None where they cannot be known: obs `total_counts` is missing or not the library size, or the values were changed after
    they were normalised (ComBat, metacells, predictions), so that the results are no whole numbers.
    """
    if "total_counts" not in data.adata.obs:
        return None
    counts = sp.csr_matrix(data.x, dtype=np.float64)
    total = data.adata.obs["total_counts"].to_numpy(np.float64)
    values = np.expm1(counts.data) * np.repeat(total, np.diff(counts.indptr)) / TARGET_SUM
    counts.data = np.rint(values)
    if (np.abs(values - counts.data) > WHOLE * np.maximum(1.0, counts.data)).any():
        return None
    counts.eliminate_zeros()
    return counts


def dispersions(
    counts: sp.csr_matrix, total: Float[np.ndarray, "cells"], groups: Codes, n_groups: int
) -> Float[np.ndarray, "genes"]:
    """Dispersion of every gene, the same in all groups of cells: Var N = m + dispersion m^2 around the group's rate.

    By moments: the sum over cells of (N - m)^2 - m, over the sum of m^2, with m = total x rate of the gene in the group.
    Genes of few counts are drawn to the median gene.
    """
    weights = sp.csr_matrix(sp.diags(total) @ counts)
    n, n_squared, weighted = (
        group_sums(a, groups, n_groups) for a in (counts, counts.multiply(counts).tocsr(), weights)
    )
    size = np.bincount(groups, weights=total, minlength=n_groups)[:, None]
    squared_size = np.bincount(groups, weights=total**2, minlength=n_groups)[:, None]
    rate = n / np.maximum(size, 1.0)
    excess = (n_squared - 2.0 * rate * weighted + rate**2 * squared_size - n).sum(axis=0)
    expected = (rate**2 * squared_size).sum(axis=0)
    known = expected > PRIOR_INFORMATION
    typical = float(np.median(excess[known] / expected[known])) if known.any() else 0.0
    found: Profile = np.clip((excess + PRIOR_INFORMATION * typical) / (expected + PRIOR_INFORMATION), LEAST, GREATEST)
    return found


@dataclass(frozen=True)
class Tilt:
    """By how much more (or less) than the mean a cell has of a gene: logarithms, as a product of two thin matrices."""

    scores: Float[np.ndarray, "cells units"]
    loadings: Float[np.ndarray, "units genes"]
    highest: float = 1.5

    def __getitem__(self, genes: slice) -> Float[np.ndarray, "cells genes"]:
        tilted = self.scores @ self.loadings[:, genes]
        return np.asarray(np.clip(tilted, -self.highest, self.highest), dtype=np.float64)


@dataclass(frozen=True)
class CountSource:
    """Cells that others are made from."""

    counts: sp.csr_matrix
    total: Float[np.ndarray, "cells"]
    dispersion: Float[np.ndarray, "genes"]

    @cached_property
    def rate(self) -> Float[np.ndarray, "genes"]:
        """Share of each gene in the counts; one count more than was seen, so that none is impossible."""
        seen = np.asarray(self.counts.sum(axis=0), dtype=np.float64).ravel()
        return np.asarray((seen + 1.0) / np.maximum(self.total.sum(), 1.0))

    def drawn(
        self,
        rows: Codes,
        mean: Float[np.ndarray, "genes"],
        rng: np.random.Generator,
        *,
        tilt: Tilt | None = None,
        keep: bool = False,
    ) -> sp.csr_matrix:
        """Log1p values of new cells, one from each of these rows and of its depth, with these means.

        Parameters
        ----------
        rows
            Source cells; one may come more than once.
        mean
            What the mean over the new cells shall be, log1p; it is met to half a count.
        rng
            Draws.
        tilt
            By how much single cells differ from the rest.
        keep
            Keep the counts of the source cell with their noise, and only take some away or give some more (binomial
            thinning and Poisson addition, which keep a negative binomial one); otherwise all counts are drawn anew.
        """
        taken = sp.csc_matrix(self.counts[rows])
        scale = TARGET_SUM / np.maximum(self.total[rows], 1.0)
        blocks = []
        for genes in self._blocks(taken, np.maximum(mean, 0.0) * len(rows), scale):
            source = np.asarray(taken[:, genes].toarray())
            law = _Law.of(self, rows, genes, rng, counts=source, tilt=tilt, keep=keep)
            blocks.append(law.until(np.maximum(mean[genes], 0.0) * len(rows), scale, rng))
        made = sp.csr_matrix(sp.hstack(blocks, format="csr"), dtype=np.float64)
        made.data = np.log1p(made.data * np.repeat(scale, np.diff(made.indptr)))
        return made.astype(np.float32)

    def slope(self, mean: Float[np.ndarray, "genes"]) -> Float[np.ndarray, "genes"]:
        """By how much the mean of log1p of a gene with this mean rises when its counts rise by a small share.

        Of a typical cell and the typical dispersion; at least `LEAST_SLOPE`, so that tilts of rare genes stay small.
        """
        grid = np.linspace(LOWEST, HIGHEST, POINTS)
        law, depth = CountLaw(float(np.median(self.dispersion)), 0.0), np.array([max(np.median(self.total), 1.0)])
        expected = ExpectedLog1p(law, depth)(grid[None, :].copy())[0].astype(np.float64)
        place = np.interp(mean, expected, grid)
        return np.asarray(np.maximum(np.interp(place, grid, np.gradient(expected, grid)), LEAST_SLOPE))

    def _blocks(self, taken: sp.csc_matrix, goal: Profile, scale: Profile) -> Iterator[slice]:
        """Genes whose counts, before and after, are few enough to be drawn together."""
        now = np.asarray(taken.sum(axis=0)).ravel()
        after = np.expm1(np.minimum(goal / len(scale), 12.0)) * (1.0 / scale).sum()
        ends = np.cumsum(now + 2.0 * after + len(scale))
        places = np.searchsorted(ends, np.arange(EVENTS, ends[-1] + EVENTS, EVENTS))
        edges = np.unique([0, *np.minimum(places, len(ends)), len(ends)])
        yield from (slice(int(a), int(b)) for a, b in pairwise(edges))


@dataclass(frozen=True)
class _Law:
    """The process by which counts of some genes arrive in the cells, as the factor F rises from 0."""

    level: Float[np.ndarray, "cells genes"]
    """Expected counts per unit of F, tilt included."""
    speed: Float[np.ndarray, "cells genes"] | None
    """exp(tilt); None where cells are not tilted."""
    kept: Int[np.ndarray, "cells genes"] | None
    """Counts of the source cells; they have all arrived when F x speed is 1, and new ones only come later."""

    @classmethod
    def of(
        cls,
        source: CountSource,
        rows: Codes,
        genes: slice,
        rng: np.random.Generator,
        *,
        counts: Float[np.ndarray, "cells genes"],
        tilt: Tilt | None,
        keep: bool,
    ) -> _Law:
        """The levels are drawn given the counts."""
        shape = 1.0 / source.dispersion[genes]
        expected = np.maximum(source.total[rows, None], 1.0) * source.rate[genes]
        level = rng.standard_gamma(counts + shape) * (expected / (expected + shape))
        speed = None if tilt is None else np.exp(tilt[genes])
        return cls(level if speed is None else level * speed, speed, counts.astype(np.int64) if keep else None)

    def of_genes(self, genes: Int[np.ndarray, "genes"]) -> _Law:
        """The process of these genes alone."""
        speed, kept = (None if a is None else a[:, genes] for a in (self.speed, self.kept))
        return _Law(self.level[:, genes], speed, kept)

    def until(
        self, goal: Float[np.ndarray, "genes"], scale: Float[np.ndarray, "cells"], rng: np.random.Generator
    ) -> sp.csr_matrix:
        """The counts where the sums over cells of log1p(scale x counts) come nearest to the goal."""
        n_cells, n_genes = self.level.shape
        now = np.log1p(scale[:, None] * self.level).mean(axis=0)
        factor = FIRST * np.clip(np.expm1(goal / n_cells) / np.maximum(np.expm1(now), 1e-12), 0.05, 20.0)
        found, left = sp.csr_matrix((n_cells, n_genes)), np.flatnonzero(goal > 0)
        while len(left):
            arrivals = self.of_genes(left)._arrivals(factor[left], rng)
            counts, reached = arrivals.until(goal[left], scale)
            take = reached[arrivals.gene]
            where = arrivals.cell[take], left[arrivals.gene[take]]
            found = found + sp.csr_matrix((counts[take].astype(np.float64), where), shape=found.shape)
            left = left[~reached]
            factor[left] *= 2.0
        return found

    def _arrivals(self, factor: Float[np.ndarray, "genes"], rng: np.random.Generator) -> _Arrivals:
        """All counts that have arrived by the time F is the factor."""
        start = 0.0 if self.kept is None else np.minimum(1.0 if self.speed is None else 1.0 / self.speed, factor)
        added = rng.poisson(self.level * (factor - start))
        all_counts = added if self.kept is None else added + self.kept
        cell, gene = np.nonzero(all_counts)
        pair, order, time = _uniform(added[cell, gene], rng)
        begin = np.broadcast_to(start, added.shape)[cell, gene][pair]
        time = begin + time * (factor[gene][pair] - begin)
        if self.kept is not None:
            kept = self.kept[cell, gene]
            old, old_order, old_time = _uniform(kept, rng)
            old_time = old_time if self.speed is None else old_time / self.speed[cell, gene][old]
            pair, order = np.concatenate([old, pair]), np.concatenate([old_order, kept[pair] + order])
            time = np.concatenate([old_time, time])
        sequence = np.argsort(gene[pair] + time / (time.max(initial=0.0) + 1.0))
        return _Arrivals(cell, gene, pair[sequence], order[sequence])


@dataclass(frozen=True)
class _Arrivals:
    """Counts in the sequence of their arrival, gene after gene."""

    cell: Int[np.ndarray, "pairs"]
    gene: Int[np.ndarray, "pairs"]
    """Cells and genes that have any counts, pair by pair."""
    pair: Int[np.ndarray, "events"]
    """Which pair a count belongs to."""
    order: Int[np.ndarray, "events"]
    """How many counts the pair has had before it."""

    def until(
        self, goal: Float[np.ndarray, "genes"], scale: Float[np.ndarray, "cells"]
    ) -> tuple[Int[np.ndarray, "pairs"], Bool[np.ndarray, "genes"]]:
        """Counts of each pair when the sum over cells of log1p(scale x counts) is nearest to the goal; whether it is met."""
        gene, of_cell = self.gene[self.pair], scale[self.cell[self.pair]]
        step = np.log1p(of_cell * (self.order + 1)) - np.log1p(of_cell * self.order)
        total = np.concatenate([[0.0], np.cumsum(step)])
        first, last = (np.searchsorted(gene, np.arange(len(goal)), side=side) for side in ("left", "right"))
        kept = total[1:] - total[first][gene] - step / 2.0 <= goal[gene]
        return np.bincount(self.pair[kept], minlength=len(self.cell)), total[last] - total[first] >= goal


def _uniform(
    counts: Int[np.ndarray, "pairs"], rng: np.random.Generator
) -> tuple[Int[np.ndarray, "events"], Int[np.ndarray, "events"], Float[np.ndarray, "events"]]:
    """For each of so many counts of every pair: the pair, its place in the pair, and its time in [0, 1], in ascending order."""
    pair = np.repeat(np.arange(len(counts)), counts)
    time = np.sort(pair + rng.random(len(pair))) - pair
    return pair, np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts), time
