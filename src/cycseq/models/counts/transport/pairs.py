"""Pseudo-pairs: a control cell, what the mean response makes of it, and a real perturbed cell, by optimal transport."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.matrix.arrays import Codes, Profile, to_dense

MOST_PAIRS, MOST_CONDITIONS = 6_000, 600
"""Perturbed cells, and conditions, that pairs are made of at most."""
FITTED_ON = 5_000
"""Cells that principal components are fitted on at most."""
LARGEST = 512
"""So many cells are paired with each other at most; larger groups are paired in parts."""

Points = Float[np.ndarray, "cells components"]
Project = Callable[[object], Points]
"""Cells x genes to points."""
Make = Callable[[Condition, Codes, Profile, np.random.Generator], object]
"""Cells x genes of a condition with a given mean, one from each of these control cells of its context."""


def principal_components(data: PerturbationData, n_components: int, *, seed: int) -> dict[str, np.ndarray]:
    """Centre, loadings and unit of the principal components of training cells."""
    from sklearn.decomposition import PCA

    rows = np.sort(np.random.default_rng([seed, 6]).permutation(data.n_cells)[:FITTED_ON])
    cells = to_dense(data.x[rows])
    fitted = PCA(min(n_components, *(n - 1 for n in cells.shape)), svd_solver="randomized", random_state=seed).fit(
        cells
    )
    unit = np.sqrt(fitted.explained_variance_.mean(keepdims=True))
    return {
        "centre": fitted.mean_,
        "loadings": np.ascontiguousarray(fitted.components_),  # products of another layout differ in the last bit
        "unit": unit.astype(np.float32),
    }


@dataclass(frozen=True)
class Pairs:
    """Cells as points in principal components; row i of everything belongs together."""

    conditions: tuple[Condition, ...]
    control: Points
    """Control cells."""
    base: Points
    """What the mean response alone makes of each."""
    real: Points
    """Perturbed cells of the same condition and batch, in no order."""
    condition: Codes
    """Places in `conditions`."""
    batch: Codes

    @property
    def response(self) -> Points:
        """The mean of base minus control of each row's condition."""
        n = np.maximum(np.bincount(self.condition), 1)
        sums = [np.bincount(self.condition, weights=column) for column in (self.base - self.control).T]
        return np.asarray((np.stack(sums, axis=1) / n[:, None])[self.condition], dtype=np.float32)

    def kept(self, share: float, seed: int, given: Collection[Condition] = ()) -> Codes:
        """Rows to validate on: those of the conditions given, or else of some; of fewer than three, some of their rows.

        None of one or two rows in all.
        """
        rng, conditions = np.random.default_rng([seed, 8]), np.unique(self.condition)
        chosen = np.flatnonzero([c in given for c in self.conditions])
        if 0 < len(chosen) < len(conditions):
            return np.flatnonzero(np.isin(self.condition, chosen))
        if len(conditions) < 3:
            n_kept = max(0, min(max(2, round(share * len(self.condition))), len(self.condition) - 2))
            return np.sort(rng.permutation(len(self.condition))[:n_kept])
        chosen = rng.permutation(conditions)[: min(max(1, round(share * len(conditions))), len(conditions) - 1)]
        return np.flatnonzero(np.isin(self.condition, chosen))

    def partners(self, moved: Points, *, seed: int = 0) -> Codes:
        """For each row the row of the real cell that lies best to its moved one: least total squared distance.

        Cells are paired within condition and batch; more than `LARGEST` of them in parts drawn at random (minibatch optimal
        transport, Fatras et al. 2020).
        """
        from ot import dist, emd

        rng, partner = np.random.default_rng(seed), np.arange(len(self.condition))
        order = np.lexsort((self.batch, self.condition))
        last = np.flatnonzero(np.diff(self.batch[order]) | np.diff(self.condition[order])) + 1
        for rows in np.split(order, last):
            for part in np.array_split(rng.permutation(rows), -(-len(rows) // LARGEST)):
                cost = dist(moved[part].astype(np.float64), self.real[part].astype(np.float64))
                partner[part] = part[emd([], [], cost).argmax(axis=1)]
        return partner


def pseudo_pairs(data: PerturbationData, make: Make, project: Project, *, seed: int) -> Pairs:
    """Perturbed cells, each with a control cell of its context and (where it has any) batch.

    Parameters
    ----------
    data
        Perturbed and control cells, log1p.
    make
        What the mean response makes of control cells; it is handed the real mean of the perturbed ones.
    project
        Principal components.
    seed
        Fixes which cells take part, where there are many, and what is drawn.
    """
    rng = np.random.default_rng([seed, 7])
    perturbed = [c for c in data.conditions() if not c.is_control]
    conditions = tuple(perturbed[i] for i in np.sort(rng.permutation(len(perturbed))[:MOST_CONDITIONS]))
    batch = data.adata.obs["batch"].astype("category").cat.codes.to_numpy(np.int64)
    columns = []
    for place, condition in enumerate(conditions):
        rows = rng.permutation(data.rows(condition))[: max(10, MOST_PAIRS // len(conditions))]
        controls = data.rows(Condition(condition.context, CONTROL))
        matched = _matched(batch[rows], batch[controls], rng)
        mean = np.asarray(data.x[rows].mean(axis=0, dtype=np.float64)).ravel()
        base = make(condition, matched, mean, rng)
        columns.append(
            (
                *(project(x) for x in (data.x[controls[matched]], base, data.x[rows])),
                np.full(len(rows), place),
                batch[rows],
            )
        )
    return Pairs(conditions, *(np.concatenate(column) for column in zip(*columns, strict=True)))


def _matched(batch: Codes, of_control: Codes, rng: np.random.Generator) -> Codes:
    """For each cell a random control cell of its batch, or of any where its batch has none."""
    found: Codes = rng.integers(0, len(of_control), len(batch))
    for name in np.unique(batch):
        rows, controls = np.flatnonzero(batch == name), np.flatnonzero(of_control == name)
        if len(controls):
            found[rows] = np.resize(rng.permutation(controls), len(rows))
    return found
