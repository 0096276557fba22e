"""Means of effects over what was measured: NaN is never 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects, EffectValues

Series: TypeAlias = tuple[str, str | None, float | None]  # context, dose and time


def mean_of_measured(values: EffectValues) -> Float[np.ndarray, "genes"]:
    """Mean of each gene over the rows in which it was measured; NaN where it was in none."""
    if not np.isnan(values).any():
        return values.mean(axis=0)
    measured = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean = np.nansum(values, axis=0) / measured.sum(axis=0)
    return mean.astype(values.dtype)


def mean_responses(train: Effects) -> dict[Series, Float[np.ndarray, "genes"]]:
    """Plain means of the effects of every context, and of every dose and time in it that two conditions or more have.

    Keys are context, dose and time; ``(context, None, None)`` is the whole context, ``("", None, None)`` all of them. A gene that was
    measured in no condition of a context has the mean of all there.
    """
    members: dict[Series, list[int]] = {}
    for row, c in enumerate(train.conditions()):
        if not c.is_control:
            keys: list[Series] = [(c.context, None, None), (c.context, c.dose, c.time)]
            for key in dict.fromkeys(keys):
                members.setdefault(key, []).append(row)
    overall = mean_of_measured(train.effect[sorted({row for rows in members.values() for row in rows})])
    means: dict[Series, np.ndarray] = {("", None, None): overall}
    for key, rows in members.items():
        if len(rows) > 1 or key[1:] == (None, None):
            mean = mean_of_measured(train.effect[rows])
            means[key] = np.where(np.isnan(mean), overall, mean)
    return means


def mean_response_of(means: Mapping[Series, Any], condition: Condition) -> Any:
    """The narrowest of `mean_responses` that covers a condition: that of its dose and time, of its context, or of all."""
    keys = ((condition.context, condition.dose, condition.time), (condition.context, None, None), ("", None, None))
    return next(means[key] for key in keys if key in means)


def weighted_mean(weights: Float[np.ndarray, "means rows"], values: EffectValues) -> EffectValues:
    """Weighted means of rows, gene by gene over the rows in which it was measured; NaN where it was in none.

    `weights` has a row for each mean, whose sum is kept, so that weights that sum to 1 stand for those measured.
    """
    measured = ~np.isnan(values)
    if measured.all():
        return np.asarray(weights @ values)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = weights @ measured.astype(np.float64) / weights.sum(axis=1, keepdims=True)
        mean = np.where(share > 0, weights @ np.nan_to_num(values) / share, np.nan)
    return np.asarray(mean)
