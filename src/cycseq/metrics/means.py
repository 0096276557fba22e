"""Metrics of the mean profile."""

from __future__ import annotations

import numpy as np

from cycseq.metrics.base import FLAT, Comparison, Metric, Scores, is_flat, pearson, quotient, r_squared


def _mean_over_kept(values: np.ndarray, comparison: Comparison) -> Scores:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((values * comparison.kept).sum(axis=1) / comparison.kept.sum(axis=1))


def r2_mean(comparison: Comparison) -> Scores:
    """Coefficient of determination of the mean profile."""
    return r_squared(comparison.predicted_mean, comparison.real_mean, comparison.kept.astype(np.float64))


def pearson2_mean(comparison: Comparison) -> Scores:
    """Squared correlation of the mean profiles; NaN where either is constant."""
    r = pearson(comparison.predicted_mean, comparison.real_mean, comparison.kept)
    r[is_flat(comparison.predicted_mean, comparison.kept)] = np.nan
    return r**2


def mae(comparison: Comparison) -> Scores:
    """Mean absolute error of the mean profile."""
    return _mean_over_kept(np.abs(comparison.predicted_mean - comparison.real_mean), comparison)


def mse(comparison: Comparison) -> Scores:
    """Mean squared error of the mean profile."""
    return _mean_over_kept((comparison.predicted_mean - comparison.real_mean) ** 2, comparison)


def mse_ratio(comparison: Comparison) -> Scores:
    """Mean squared error over that of no change; NaN where nothing changed."""
    nothing = _mean_over_kept(comparison.delta**2, comparison)
    largest = np.max(np.abs(comparison.delta), axis=1, where=comparison.kept, initial=0.0)
    return quotient(mse(comparison), nothing, where=largest > FLAT)


def wmse(comparison: Comparison) -> Scores:
    """Mean squared error weighted by |t|."""
    weights = np.abs(comparison.real.t[comparison.places]) * comparison.kept
    error = (comparison.predicted_mean - comparison.real_mean) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights * error).sum(axis=1) / weights.sum(axis=1))


METRICS = (
    Metric(
        name="r2_mean",
        compute=r2_mean,
        best=1.0,
        direction="higher",
        formula="1 - sum (mu - mu^)^2 / sum (mu - mean mu)^2 over genes",
        source="coefficient of determination, as sklearn.metrics.r2_score",
        caution="no change scores above 0.95 on most data: never read it alone",
    ),
    Metric(
        name="pearson2_mean",
        compute=pearson2_mean,
        best=1.0,
        direction="higher",
        formula="Pearson(mu^, mu)^2 over genes",
        source="Lotfollahi et al. 2019 (scGen) and CycSeq print it as R2",
        caution="blind to sign and scale; no change scores near 1",
    ),
    Metric(
        name="mae",
        compute=mae,
        best=0.0,
        direction="lower",
        formula="mean over genes of |mu - mu^|",
        source="mean absolute error",
        caution="rewards predicting no effect where most genes do not change",
    ),
    Metric(
        name="mse",
        compute=mse,
        best=0.0,
        direction="lower",
        formula="mean over genes of (mu - mu^)^2",
        source="mean squared error",
        caution="rewards predicting no effect where most genes do not change",
    ),
    Metric(
        name="mse_ratio",
        compute=mse_ratio,
        best=0.0,
        direction="lower",
        formula="mse / mse of no change",
        source="Ahlmann-Eltze, Huber and Anders 2025, whose first baseline is no change",
        caution="1 is no change; a response common to all perturbations lowers it",
    ),
    Metric(
        name="wmse",
        compute=wmse,
        best=0.0,
        direction="lower",
        formula="sum w (mu - mu^)^2 with w = |t| / sum |t|, t of Welch in the real cells",
        source="Mejia et al. 2025 (Diversity by Design); weights are |t| itself here",
        caution="the weights are noisy where a condition has few cells",
    ),
)
