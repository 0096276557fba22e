"""Pseudobulk responses: perturbed minus control means, controls matched by batch where batches exist."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.usual_names import CONTROL
from cycseq.errors import DataError
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.matrix.groups import GroupMoments, group_moments, pairs_of_labels

PRIOR_EXPRESSING = 3.0
"""A gene's variance in all conditions of a context counts as much as that of a condition in which so many cells express it."""


@dataclass(frozen=True)
class Responses:
    """The response of every perturbed condition, with its sampling noise."""

    conditions: tuple[Condition, ...]
    """Without controls."""
    delta: Profiles
    """Perturbed minus control mean, in log1p units."""
    noise: Profiles
    """Sampling variance of `delta`: var_perturbed/n_perturbed + var_control/n_control, both variances moderated (`responses`)."""
    n_cells: Int[np.ndarray, "conditions"]
    """Perturbed cells of each condition."""
    control_mean: dict[str, Profile]
    """Mean of the control cells of every context that has them, all batches together."""
    moments: GroupMoments | None = None
    """Mean and variance of the cells of every condition."""
    control_variance: dict[str, Profile] = field(default_factory=dict)
    """Variance of the control cells of every context; NaN for a single one."""


def control_means(data: PerturbationData) -> dict[str, Profile]:
    """The mean of the control cells of every context that has them."""
    controls = {c.context: i for i, c in enumerate(data.conditions()) if c.is_control}
    return {context: data.moments.mean[i].astype(np.float32) for context, i in controls.items()}


def control_noise(data: PerturbationData) -> dict[str, Profile]:
    """Sampling variance of that mean: variance of the cells / number of cells; 0 for a single one."""
    controls = {c.context: i for i, c in enumerate(data.conditions()) if c.is_control}
    noise = np.nan_to_num(data.moments.variance) / data.moments.n_cells[:, None]
    return {context: noise[i].astype(np.float32) for context, i in controls.items()}


def effects_of(data: PerturbationData) -> Effects:
    """The effects of cells (`responses`), from one pass over them, with a row for the controls of every context.

    Layers: `se`, and `mean` and `variance` of the cells of every row, those of controls among them.
    """
    measured = responses(data)
    assert measured.moments is not None
    contexts = list(measured.control_mean)
    profiles = np.stack(list(measured.control_mean.values()))
    n_cells = np.bincount(data.condition_codes, minlength=len(data.conditions()))
    n_controls = {c.context: n for c, n in zip(data.conditions(), n_cells, strict=True) if c.is_control}
    return Effects.from_arrays(
        np.concatenate([np.zeros_like(profiles), measured.delta]),
        [*(Condition(context, CONTROL) for context in contexts), *measured.conditions],
        data.genes,
        scale="log1p",
        layers={
            "se": np.concatenate([np.full_like(profiles, np.nan), np.sqrt(measured.noise)]),
            "mean": np.concatenate([profiles, measured.moments.mean]),
            "variance": np.concatenate([np.stack(list(measured.control_variance.values())), measured.moments.variance]),
        },
        n_cells=[*(float(n_controls[context]) for context in contexts), *map(float, measured.n_cells)],
    )


def responses(data: PerturbationData) -> Responses:
    """Delta(p, c) of every perturbed condition, from one pass over the cells.

    Each perturbed cell is compared with the control mean of its own context and batch; a batch without control
    cells falls back on all controls of the context. So Delta(p, c) = mean_p - sum_b w_b mean_control,b with
    w_b the share of the condition's cells in batch b, and its noise is var_p/n_p + sum_b w_b^2 var_control/n_control,b
    with one control variance per context. Raises `DataError` if a context has perturbed cells but no control cells.

    The variance of a sparse gene is 0 in cells none of which happens to express it, so that their mean would seem to be known without
    error. So var_p and var_control are moderated (Smyth 2004): weighted means with the variance within all conditions and controls of the
    context, which counts as many cells as hold `PRIOR_EXPRESSING` that express the gene: few for genes that all cells express.
    """
    matched = match_controls(data)
    n_perturbed, contexts = len(matched.conditions), matched.contexts
    moments = group_moments(data.x, matched.groups, matched.n_groups)
    control = _merge_moments(_take_groups(moments, slice(n_perturbed, None)), matched.context_of_stratum, len(contexts))
    perturbed = _take_groups(moments, slice(n_perturbed))
    variance, of_controls = _moderate_variance(perturbed, matched.context, control)
    control_mean = matched.weights @ np.nan_to_num(moments.mean[n_perturbed:])
    noise = variance / matched.n_cells[:, None] + matched.per_control[:, None] * of_controls[matched.context]
    measured = np.flatnonzero(control.n_cells)
    return Responses(
        conditions=matched.conditions,
        delta=(moments.mean[:n_perturbed] - control_mean).astype(np.float32),
        noise=noise.astype(np.float32),
        n_cells=matched.n_cells.astype(np.int64),
        moments=perturbed,
        control_variance={contexts[i]: control.variance[i].astype(np.float32) for i in measured},
        control_mean={contexts[i]: control.mean[i].astype(np.float32) for i in measured},
    )


@dataclass(frozen=True)
class MatchedControls:
    """Which control cells every perturbed condition is compared with."""

    conditions: tuple[Condition, ...]  # without controls
    n_cells: Float[np.ndarray, "conditions"]
    groups: Int[np.ndarray, "cells"]
    """Of every cell: its perturbed condition, or, of a control cell, `len(conditions)` + its stratum (context and batch)."""
    weights: Float[np.ndarray, "conditions strata"]
    """Shares in which the control cells of the strata stand beside a condition; a row sums to 1."""
    per_control: Float[np.ndarray, "conditions"]
    """Variance of the matched control mean, in units of that of one control cell."""
    contexts: tuple[str, ...]
    context: Int[np.ndarray, "conditions"]  # place of each condition's context among `contexts`
    context_of_stratum: Int[np.ndarray, "strata"]

    @property
    def n_groups(self) -> int:
        """Conditions and strata."""
        return len(self.conditions) + len(self.context_of_stratum)


def match_controls(data: PerturbationData) -> MatchedControls:
    """Perturbed cells are compared with control cells of their context and batch; those of a batch without, with all of the context.

    Raises `DataError` if a context has perturbed cells but no control cells.
    """
    obs = data.adata.obs
    strata, stratum_of_cell = pairs_of_labels(obs["context"], obs["batch"])
    contexts, context_of_stratum = np.unique([context for context, _ in strata], return_inverse=True)
    conditions = data.conditions()
    perturbed = [i for i, condition in enumerate(conditions) if not condition.is_control]
    code = np.full(len(conditions), -1)
    code[perturbed] = np.arange(len(perturbed))
    condition_of_cell = code[data.condition_codes]
    is_control = condition_of_cell < 0
    n_controls = np.bincount(stratum_of_cell[is_control], minlength=len(strata))
    context = np.searchsorted(contexts, [conditions[i].context for i in perturbed])
    lacking = contexts[np.setdiff1d(context, context_of_stratum[n_controls > 0])]
    if len(lacking):
        raise DataError(
            f"no control cells in context {str(lacking[0])!r}: every context needs some (controls stay in training even "
            f"where a context is held out). Leave the context out, or add its controls."
        )
    shares = np.zeros((len(perturbed), len(strata)))
    np.add.at(shares, (condition_of_cell[~is_control], stratum_of_cell[~is_control]), 1.0)
    n_cells = shares.sum(axis=1)
    same = context_of_stratum[:, None] == context_of_stratum
    fallback = same * n_controls
    fallback = fallback / np.maximum(fallback.sum(axis=1, keepdims=True), 1)
    stand_for = np.where(
        (n_controls > 0)[:, None], np.eye(len(same)), fallback
    )  # a stratum itself, or all of its context
    weights = shares / n_cells[:, None] @ stand_for
    per_cell = np.divide(1.0, n_controls, out=np.zeros(len(strata)), where=n_controls > 0)
    return MatchedControls(
        conditions=tuple(conditions[i] for i in perturbed),
        n_cells=n_cells,
        groups=np.where(is_control, len(perturbed) + stratum_of_cell, condition_of_cell),
        weights=weights,
        per_control=weights**2 @ per_cell,
        contexts=tuple(map(str, contexts)),
        context=context,
        context_of_stratum=context_of_stratum,
    )


def _take_groups(moments: GroupMoments, groups: slice) -> GroupMoments:
    return GroupMoments(moments.n_cells[groups], moments.mean[groups], moments.variance[groups])


def _moderate_variance(
    perturbed: GroupMoments, context: Int[np.ndarray, "conditions"], control: GroupMoments
) -> tuple[Float[np.ndarray, "conditions genes"], Float[np.ndarray, "contexts genes"]]:
    """The variances of conditions and of controls, each drawn towards that within all of its context (`responses`)."""
    moderated, of_controls = np.nan_to_num(perturbed.variance), np.nan_to_num(control.variance)
    for i in np.unique(context):
        rows = np.flatnonzero(context == i)
        n_cells = np.append(perturbed.n_cells[rows], control.n_cells[i])
        mean = np.vstack([perturbed.mean[rows], control.mean[i]])
        variance = np.vstack([moderated[rows], of_controls[i]])
        freedom = n_cells - 1.0
        within = freedom @ variance / max(freedom.sum(), 1.0)
        beyond_luck = _share_expressing(mean, variance) - PRIOR_EXPRESSING / n_cells[:, None]
        expressing = np.maximum(beyond_luck, _share_expressing(n_cells @ mean / n_cells.sum(), within))
        prior = PRIOR_EXPRESSING / np.maximum(expressing, 1e-9)
        drawn = (freedom[:, None] * variance + prior * within) / (freedom[:, None] + prior)
        moderated[rows], of_controls[i] = drawn[:-1], drawn[-1]
    return moderated, of_controls


def _share_expressing(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The share of cells that express a gene of this mean and variance, were all that express it alike."""
    return np.asarray(mean**2 / np.maximum(mean**2 + variance, 1e-12))


def _merge_moments(moments: GroupMoments, merged_group: Int[np.ndarray, "groups"], n_groups: int) -> GroupMoments:
    """The moments of unions of groups, by the parallel variance formula (Chan, Golub and LeVeque 1979)."""
    belongs = (merged_group == np.arange(n_groups)[:, None]).astype(np.float64)
    n_cells = np.bincount(merged_group, weights=moments.n_cells, minlength=n_groups).astype(np.int64)
    own_mean = np.nan_to_num(moments.mean)
    squares = np.nan_to_num(moments.variance) * np.maximum(moments.n_cells - 1, 0)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = belongs @ (own_mean * moments.n_cells[:, None]) / n_cells[:, None]
        between = moments.n_cells[:, None] * (own_mean - np.nan_to_num(mean)[merged_group]) ** 2
        variance = belongs @ (squares + between) / (n_cells - 1.0)[:, None]
    variance[n_cells < 2] = np.nan
    return GroupMoments(n_cells=n_cells, mean=mean, variance=variance)
