"""Pseudobulk responses: perturbed minus control means, controls matched by batch where batches exist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from cycseq.arrays import GroupMoments, Profile, Profiles, group_moments, group_sums
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError


@dataclass(frozen=True)
class Responses:
    """The response of every perturbed condition, with its sampling noise."""

    conditions: tuple[Condition, ...]
    """Without controls."""
    delta: Profiles
    """Perturbed minus control mean, in log1p units."""
    noise: Profiles
    """Sampling variance of `delta`: var_perturbed/n_perturbed + var_control/n_control."""
    n_cells: Int[np.ndarray, "conditions"]
    """Perturbed cells of each condition."""
    control_mean: dict[str, Profile]
    """Mean of the control cells of every context that has them, all batches together."""


def control_means(data: PerturbationData) -> dict[str, Profile]:
    """The mean of the control cells of every context that has them."""
    return {
        condition.context: data.moments.mean[i].astype(np.float32)
        for i, condition in enumerate(data.conditions())
        if condition.is_control
    }


def responses(data: PerturbationData) -> Responses:
    """Delta(p, c) of every perturbed condition.

    Each perturbed cell is compared with the control mean of its own context and batch; a batch without control
    cells falls back on all controls of the context. So Delta(p, c) = mean_p - sum_b w_b mean_control,b with
    w_b the share of the condition's cells in batch b.

    Raises
    ------
    DataError
        If a context has perturbed cells but no control cells.
    """
    obs = data.adata.obs
    strata = pd.MultiIndex.from_arrays([obs["context"].astype(str), obs["batch"].astype(str)])
    stratum_of_cell, found = pd.factorize(strata)
    is_control = (obs["perturbation"] == "control").to_numpy()
    contexts, of_stratum = np.unique([context for context, _ in found], return_inverse=True)
    context_of_cell = of_stratum[stratum_of_cell]

    pooled = group_moments(data.x, np.where(is_control, context_of_cell, -1), len(contexts))
    conditions = data.conditions()
    perturbed = [i for i, condition in enumerate(conditions) if not condition.is_control]
    lacking = sorted({conditions[i].context for i in perturbed} - set(contexts[pooled.n_cells > 0]))
    if lacking:
        msg = (
            f"no control cells in context {lacking[0]!r}: every context needs some (controls stay in training even where "
            f"a context is held out). Leave the context out, or add its controls."
        )
        raise DataError(msg)

    matched_mean, matched_noise = _matched_controls(data, stratum_of_cell, of_stratum, is_control, pooled)
    code = np.full(len(conditions), -1)
    code[perturbed] = np.arange(len(perturbed))
    group = code[data.condition_codes]
    taking_part = group >= 0
    shares = np.zeros((len(perturbed), len(found)))
    np.add.at(shares, (group[taking_part], stratum_of_cell[taking_part]), 1.0)
    shares /= shares.sum(axis=1, keepdims=True)

    moments = data.moments
    n_cells = moments.n_cells[perturbed]
    variance = _filled(moments.variance[perturbed], np.nanmean(pooled.variance, axis=0))
    return Responses(
        conditions=tuple(conditions[i] for i in perturbed),
        delta=(moments.mean[perturbed] - shares @ matched_mean).astype(np.float32),
        noise=(variance / n_cells[:, None] + shares**2 @ matched_noise).astype(np.float32),
        n_cells=n_cells,
        control_mean=control_means(data),
    )


def _matched_controls(
    data: PerturbationData,
    stratum_of_cell: Int[np.ndarray, "cells"],
    of_stratum: Int[np.ndarray, "strata"],
    is_control: np.ndarray,
    pooled: GroupMoments,
) -> tuple[Float[np.ndarray, "strata genes"], Float[np.ndarray, "strata genes"]]:
    """Control mean and its sampling variance in every stratum (context and batch); pooled where a stratum has none."""
    groups = np.where(is_control, stratum_of_cell, -1)
    n_cells = np.bincount(groups[groups >= 0], minlength=len(of_stratum))
    sums = group_sums(data.x, groups, len(of_stratum))
    has = n_cells > 0
    mean = pooled.mean[of_stratum]
    mean[has] = sums[has] / n_cells[has, None]
    variance = _filled(pooled.variance, np.nanmean(pooled.variance, axis=0))[of_stratum]
    return mean, variance / np.where(has, n_cells, pooled.n_cells[of_stratum])[:, None]


def _filled(variance: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """The variance of a group of one cell is unknown: the typical control variance stands in."""
    return np.where(np.isfinite(variance), variance, np.nan_to_num(typical))
