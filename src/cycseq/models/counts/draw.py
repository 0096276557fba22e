"""Cells of a predicted condition as counts: control cells, of whose counts some are taken away and to which some are added.

So a cell keeps the depth, the sparsity and the state of the real cell that it is made from, and the sum over the cells of a
condition has the predicted pooled profile exactly, but for rounding to whole counts.

A falling gene loses counts at random (thinning). A rising gene gains them by the posterior of its level in each cell: counts are
negative binomial, N ~ Poisson(L) with L ~ gamma of shape 1 / dispersion and of mean (library size x rate); given N, L is
gamma again, and further counts are Poisson in L: given how many there are in all, multinomial with weights L.
"""

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from cycseq.matrix.arrays import Codes, Profile
from cycseq.models.counts.profile import ControlCounts

DENSE = 4_000_000  # values that are dense at once while counts are added: about 150 MB


def draw_counts(controls: ControlCounts, rows: Codes, profile: Profile, rng: np.random.Generator) -> sp.csc_matrix:
    """Counts of new cells, one from each of these control cells, whose sum over the cells has this profile.

    `rows` are the control cells, of which one may come more than once; `profile` is the share of every gene in the sum.

    Returns
    -------
    csc_matrix
        Cells x genes, float32 whole numbers.
    """
    source = sp.csc_matrix(controls.counts[rows])
    now = np.asarray(source.sum(axis=0)).ravel()
    goal = np.rint(profile * now.sum())
    thinned = _thin(source, now, np.minimum(now, goal), rng)
    return sp.csc_matrix(thinned + _add(controls, rows, source, np.maximum(goal - now, 0.0), rng), dtype=np.float32)


def _thin(source: sp.csc_matrix, now: Profile, goal: Profile, rng: np.random.Generator) -> sp.csc_matrix:
    """The counts of which as many as the goal says are left of every gene, each count with the same chance."""
    few_left = 2 * goal < now  # then those that stay are chosen, and not those that go
    picks = _choose(now.astype(np.int64), np.where(few_left, goal, now - goal).astype(np.int64), rng)
    starts = np.cumsum(source.data, dtype=np.int64) - source.data.astype(np.int64)
    of_value = np.add.reduceat(picks, starts, dtype=np.int64) if source.nnz else source.data
    stays = np.repeat(few_left, np.diff(source.indptr))
    remaining = np.where(stays, of_value, source.data - of_value)
    thinned = sp.csc_matrix((remaining, source.indices, source.indptr), source.shape)
    thinned.eliminate_zeros()
    return thinned


def _choose(
    sizes: Int[np.ndarray, "genes"], n_chosen: Int[np.ndarray, "genes"], rng: np.random.Generator
) -> Bool[np.ndarray, "places"]:
    """Of as many places as the sizes say, laid end to end, so many of every gene: all choices are equally likely."""
    ends = np.cumsum(sizes)
    picks, missing = np.zeros(sizes.sum(), dtype=bool), n_chosen
    while missing.any():
        gene = np.repeat(np.arange(len(sizes)), missing)
        draws = (ends - sizes)[gene] + (rng.random(len(gene)) * sizes[gene]).astype(np.int64)
        fresh = pd.unique(draws[~picks[draws]])
        picks[fresh] = True
        missing = missing - np.bincount(np.searchsorted(ends, fresh, side="right"), minlength=len(sizes))
    return picks


def _add(
    controls: ControlCounts, rows: Codes, source: sp.csc_matrix, added: Profile, rng: np.random.Generator
) -> sp.csc_matrix:
    """So many counts of every gene, given to the cells by the posterior of their levels."""
    rising = np.flatnonzero(added)
    cells = []
    for genes in np.array_split(rising, -(-len(rising) * len(rows) // DENSE) or 1):
        level = _draw_levels(controls, rows, source, genes, rng)
        cells.append(_receivers(level, added[genes].astype(np.int64), rng))
    place = np.concatenate(cells), np.repeat(rising, added[rising].astype(np.int64))
    return sp.csc_matrix((np.ones(len(place[0])), place), shape=source.shape)


def _draw_levels(
    controls: ControlCounts,
    rows: Codes,
    source: sp.csc_matrix,
    genes: Int[np.ndarray, "genes"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "genes cells"]:
    """The level of each gene in each cell, given its counts there."""
    shape = 1.0 / controls.dispersion[genes][:, None]
    size = np.maximum(controls.total, 1.0)
    rate = (controls.pooled[genes][:, None] + 1.0) / size.sum()  # one count more, so that none is impossible
    expected = rate * size[rows]
    counted = source[:, genes].T.toarray()
    level = rng.standard_gamma((counted + shape).astype(np.float32), dtype=np.float32)
    return np.asarray(level * (expected / (expected + shape)))


def _receivers(
    level: Float[np.ndarray, "genes cells"], added: Int[np.ndarray, "genes"], rng: np.random.Generator
) -> Int[np.ndarray, "added"]:
    """The cell that each added count goes to, gene after gene: cells are drawn in proportion to their levels."""
    n_genes, n_cells = level.shape
    ends = np.cumsum(level).reshape(level.shape)
    first = np.append(0.0, ends[:-1, -1])
    gene = np.repeat(np.arange(n_genes), added)
    place = first[gene] + rng.random(len(gene)) * (ends[gene, -1] - first[gene])
    cell = np.searchsorted(ends.ravel(), place, side="right") - gene * n_cells
    return np.asarray(np.clip(cell, 0, n_cells - 1))
