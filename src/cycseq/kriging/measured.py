"""What is measured of every condition: its response and, apart, the noise of its own cells and of its controls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from cycseq.arrays import GroupMoments, group_moments
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.kriging.batches import Controls, match_controls

Conditions = Float[np.ndarray, "conditions genes"]
Levels = Float[np.ndarray, "contexts genes"]


@dataclass(frozen=True)
class ControlLevels:
    """Mean control profile of every context and its sampling variance."""

    contexts: tuple[str, ...]
    mean: Levels
    noise: Levels


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
    strata = pd.MultiIndex.from_arrays([obs["context"].astype(str), obs["batch"].astype(str)])
    stratum, found = pd.factorize(strata)
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
    own = np.where(np.isfinite(moments.variance), moments.variance, variance[context])
    return Measured(
        names=tuple(conditions[i].perturbation for i in perturbed),
        context=context,
        delta=moments.mean - matched.mean,
        cell_noise=own / moments.n_cells[:, None],
        control_noise=matched.noise,
        levels=levels,
    )


def _filled(moments: GroupMoments) -> Float[np.ndarray, "groups genes"]:
    """The variance of a single cell is unknown: the mean of the others' stands in, or 0 where there are none."""
    known = np.isfinite(moments.variance[:, 0])
    typical = moments.variance[known].mean(axis=0) if known.any() else np.zeros(moments.mean.shape[1])
    filled: Float[np.ndarray, "groups genes"] = np.where(known[:, None], moments.variance, typical)
    return filled
