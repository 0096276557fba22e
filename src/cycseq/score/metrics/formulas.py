"""Formulas that several families of metrics share."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from cycseq.matrix.arrays import Mask, Profiles
from cycseq.score.metrics.base import Scores

FLAT = 1e-5  # a delta whose largest absolute value is below this is no change at all (float32 rounding), in log1p units


def quotient(top: np.ndarray, bottom: np.ndarray, *, where: np.ndarray) -> np.ndarray:
    """Top over bottom, and NaN elsewhere."""
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    return np.asarray(np.divide(top, bottom, out=out, where=where))


def is_flat(delta: Profiles, kept: Mask) -> Bool[np.ndarray, "conditions"]:
    """Whether a profile is the same number at all kept genes."""
    highest = np.max(delta, axis=1, where=kept, initial=-np.inf)
    lowest = np.min(delta, axis=1, where=kept, initial=np.inf)
    return np.asarray(~(highest - lowest > FLAT) & ~np.isnan(delta).any(axis=1))


def pearson(predicted: Profiles, real: Profiles, kept: Mask) -> Scores:
    """Pearson's correlation over the kept genes; 0 where the prediction is constant, NaN where the real one is."""
    weights = kept.astype(np.float64)
    count = weights.sum(axis=1, keepdims=True)
    a, b = (
        (side - (side * weights).sum(axis=1, keepdims=True) / np.maximum(count, 1.0)) * weights
        for side in (predicted, real)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    r[is_flat(predicted, kept)] = 0.0
    r[is_flat(real, kept)] = np.nan
    return np.asarray(r)


def r_squared(predicted: Profiles, real: Profiles, weights: Profiles) -> Scores:
    """1 - sum w (real - predicted)^2 / sum w (real - weighted mean of real)^2; NaN where the real one is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (weights * real).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
        spread = (weights * (real - centre) ** 2).sum(axis=1)
        value = 1.0 - (weights * (real - predicted) ** 2).sum(axis=1) / spread
    value[is_flat(real, weights > 0)] = np.nan
    return np.asarray(value)
