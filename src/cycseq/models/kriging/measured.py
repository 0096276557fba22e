"""What is measured of every condition: its response and, apart, the noise of its own cells and of its controls."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.matrix.arrays import Codes, Matrix
from cycseq.matrix.groups import GroupMoments, group_moments, pairs_of_labels
from cycseq.models.kriging.batches import Controls, match_controls

PRIOR_CELLS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
"""So many control cells may stand beside a condition's own cells in its variance; the data choose."""
USUAL_PRIOR_CELLS = 100.0
"""Where no condition has enough cells to tell."""
LEARNED_FROM = 200
"""Conditions from which that is learned."""
NEAR = 51
"""Genes of a moving mean of variances."""
LEAST_VARIANCE = 1e-3
"""Of a gene's cells, in units of the mean gene's."""

Conditions = Float[np.ndarray, "conditions genes"]
Levels = Float[np.ndarray, "contexts genes"]


@dataclass(frozen=True)
class ControlLevels:
    """Mean control profile of every context and its sampling variance."""

    contexts: tuple[str, ...]
    mean: Levels
    noise: Levels


@dataclass(frozen=True)
class ControlCells:
    """Mean of a context's control cells, and variance between them."""

    mean: Levels
    variance: Levels


@dataclass(frozen=True)
class Measured:
    """Responses of all perturbed conditions, row i of everything being condition i."""

    names: tuple[str, ...]
    """Perturbations."""
    context: Int[np.ndarray, "conditions"]
    """Places in `levels.contexts`."""
    delta: Conditions
    """Perturbed minus control mean, log1p units; controls matched by batch as far as batches differ."""
    cell_noise: Conditions
    """Sampling variance of the perturbed mean."""
    control_noise: Conditions
    """Sampling variance of the control mean that stands against it."""
    levels: ControlLevels

    def take(self, rows: np.ndarray) -> Measured:
        """Some of the conditions."""
        names = tuple(np.asarray(self.names, dtype=object)[rows])
        delta, cell_noise, control_noise = self.delta[rows], self.cell_noise[rows], self.control_noise[rows]
        return Measured(names, self.context[rows], delta, cell_noise, control_noise, self.levels)

    def of_genes(self, genes: np.ndarray) -> Measured:
        """Some of the genes of the responses; the control levels stay whole."""
        delta, cell_noise, control_noise = (
            array[:, genes] for array in (self.delta, self.cell_noise, self.control_noise)
        )
        return replace(self, delta=delta, cell_noise=cell_noise, control_noise=control_noise)

    def rows(self, name: str) -> np.ndarray:
        """The conditions of a perturbation, in all contexts."""
        return np.flatnonzero(np.asarray(self.names) == name)


def control_levels(data: PerturbationData) -> ControlLevels:
    """Mean and sampling variance of the control cells of every context that has some."""
    code = np.full(len(data.conditions()), -1)
    contexts: list[str] = []
    for i, condition in enumerate(data.conditions()):
        if condition.is_control:
            code[i] = len(contexts)
            contexts.append(condition.context)
    moments = group_moments(data.x, code[data.condition_codes], len(contexts))
    variance = _filled(moments)
    return ControlLevels(tuple(contexts), moments.mean, variance / moments.n_cells[:, None])


def measure(data: PerturbationData) -> Measured:
    """The responses of all perturbed conditions, from the cells.

    Raises
    ------
    DataError
        If a context has perturbed cells but no control cells.
    """
    levels = control_levels(data)
    place = {context: i for i, context in enumerate(levels.contexts)}
    conditions = data.conditions()
    perturbed = [i for i, condition in enumerate(conditions) if not condition.is_control]
    lacking = sorted({conditions[i].context for i in perturbed} - set(place))
    if lacking:
        msg = f"no control cells in context {lacking[0]!r}: leave the context out, or add its controls."
        raise DataError(msg)
    code = np.full(len(conditions), -1)
    code[perturbed] = np.arange(len(perturbed))
    condition_of_cell = code[data.condition_codes]
    moments = group_moments(data.x, condition_of_cell, len(perturbed))
    context = np.array([place[conditions[i].context] for i in perturbed], dtype=np.int64)

    obs = data.adata.obs
    found, stratum = pairs_of_labels(obs["context"], obs["batch"])
    with_controls = np.array([name in place for name, _ in found])
    stratum = np.where(with_controls[stratum], np.cumsum(with_controls)[stratum] - 1, -1)
    context_of_stratum = np.array([place[name] for name, _ in found if name in place], dtype=np.int64)
    of_controls = group_moments(data.x, np.where(condition_of_cell < 0, stratum, -1), len(context_of_stratum))
    n_controls = np.bincount(context_of_stratum, weights=of_controls.n_cells, minlength=len(place))
    shares = np.zeros((len(perturbed), len(context_of_stratum)))
    taking_part = condition_of_cell >= 0
    np.add.at(shares, (condition_of_cell[taking_part], stratum[taking_part]), 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    variance = levels.noise * n_controls[:, None]
    matched = match_controls(
        Controls(of_controls.n_cells, np.nan_to_num(of_controls.mean), context_of_stratum, variance), shares, context
    )
    controls = ControlCells(levels.mean, variance)
    own = _moderated(moments, controls, context, _prior_cells(data.x, condition_of_cell, controls, context))
    return Measured(
        names=tuple(conditions[i].perturbation for i in perturbed),
        context=context,
        delta=moments.mean - matched.mean,
        cell_noise=own / moments.n_cells[:, None],
        control_noise=matched.noise,
        levels=levels,
    )


def _moderated(
    moments: GroupMoments, controls: ControlCells, context: Int[np.ndarray, "conditions"], prior_cells: float
) -> Conditions:
    """Variance between the cells of a condition, as if some control cells stood beside them (Smyth 2004).

    A few cells tell their variance badly, and where it comes out too small, chance is taken for a response. The control
    cells' variance is changed by as much as it changes with the mean, from gene to gene; that mean too is of both.
    """
    levels = controls.mean
    n, weight = moments.n_cells[:, None], np.maximum(moments.n_cells - 1.0, 0.0)[:, None]
    mean = (n * moments.mean + prior_cells * levels[context]) / (n + prior_cells)
    total = prior_cells + weight
    share = np.divide(prior_cells, total, out=np.ones_like(weight), where=total > 0)
    moderated: Conditions = np.empty_like(mean)
    for place in np.unique(context):
        rows, order, variance = context == place, np.argsort(levels[place]), controls.variance[place]
        near = np.full(min(NEAR, len(order)), 1.0 / min(NEAR, len(order)))
        at, smooth = (np.convolve(values[order], near, "valid") for values in (levels[place], variance))
        least = max(LEAST_VARIANCE * float(variance.mean()), 1e-12)
        there, here = (np.maximum(np.interp(m, at, smooth), least) for m in (mean[rows], levels[place]))
        prior = np.maximum(variance, least) * there / here
        known = np.where(np.isfinite(moments.variance[rows]), moments.variance[rows], prior)
        moderated[rows] = share[rows] * prior + (1.0 - share[rows]) * known
    return moderated


def _prior_cells(
    x: Matrix, condition_of_cell: Codes, controls: ControlCells, context: Int[np.ndarray, "conditions"]
) -> float:
    """How many control cells count in a variance: half of a condition's cells predicts the variance of the other half."""
    n = len(context)
    chosen = np.unique(np.linspace(0, n - 1, min(n, LEARNED_FROM)).astype(np.int64))
    place = np.full(n + 1, -1)
    place[chosen] = np.arange(len(chosen))
    code = place[condition_of_cell]
    order = np.argsort(code, kind="stable")
    rank = np.empty(len(code), dtype=np.int64)
    rank[order] = np.arange(len(code)) - np.searchsorted(code[order], code[order])
    both = group_moments(x, np.where(code < 0, -1, 2 * code + rank % 2), 2 * len(chosen))
    loss = np.zeros(len(PRIOR_CELLS))
    for first in (0, 1):
        one, other = (
            GroupMoments(both.n_cells[i::2], both.mean[i::2], both.variance[i::2]) for i in (first, 1 - first)
        )
        rows = (one.n_cells > 1) & (other.n_cells > 1)
        known = GroupMoments(one.n_cells[rows], one.mean[rows], one.variance[rows])
        for i, cells in enumerate(PRIOR_CELLS):
            guess = _moderated(known, controls, context[chosen][rows], cells)
            guess = np.maximum(guess, LEAST_VARIANCE * max(float(controls.variance.mean()), 1e-9))
            loss[i] += ((other.n_cells[rows, None] - 1.0) * (np.log(guess) + other.variance[rows] / guess)).sum()
    return PRIOR_CELLS[int(np.argmin(loss))] if loss.any() else USUAL_PRIOR_CELLS


def _filled(moments: GroupMoments) -> Float[np.ndarray, "groups genes"]:
    """The variance of a single cell is unknown: the mean of the others' stands in, or 0 where there are none."""
    known = np.isfinite(moments.variance[:, 0])
    typical = moments.variance[known].mean(axis=0) if known.any() else np.zeros(moments.mean.shape[1])
    filled: Float[np.ndarray, "groups genes"] = np.where(known[:, None], moments.variance, typical)
    return filled
