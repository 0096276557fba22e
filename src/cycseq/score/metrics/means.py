"""Metrics of the mean profile."""

from __future__ import annotations

import numpy as np

from cycseq.score.metrics.base import Comparison, Metric, Scores
from cycseq.score.metrics.formulas import FLAT, over_kept, pearson, quotient, r_squared


def r2_mean(comparison: Comparison) -> Scores:
    """Coefficient of determination of the mean profile."""
    return r_squared(comparison.of_means)


def pearson2_mean(comparison: Comparison) -> Scores:
    """Squared correlation of the mean profiles; NaN where either is constant."""
    r = pearson(comparison.of_means)
    r[comparison.of_means.constant_prediction] = np.nan
    return np.asarray(r**2)


def mae(comparison: Comparison) -> Scores:
    """Mean absolute error of the mean profile."""
    return over_kept(comparison.of_means.absolute_error, comparison.of_means)


def mse(comparison: Comparison) -> Scores:
    """Mean squared error of the mean profile."""
    return over_kept(comparison.of_means.error, comparison.of_means)


def mse_ratio(comparison: Comparison) -> Scores:
    """Mean squared error of the response over that of no change; NaN where nothing changed."""
    sums = comparison.of_deltas
    return quotient(sums.error, sums.real, where=~sums.nothing_real)


def mse_unbiased(comparison: Comparison) -> Scores:
    """Mean squared error of the response without what the noise of the real cells adds on average.

    The prediction is taken as it is: the noise of its own cells is an error, save where they are a sample of real ones
    (`SplitHalf`). That of the control mean is in the real response, so that it is taken off, but not where both responses are
    taken against the same controls: there it cancels.
    """
    real, sums = comparison.real, comparison.of_deltas
    noise = (real.cells.variance_of_mean if real.model_control is None else real.noise)[comparison.places]
    if comparison.sampled:
        noise = noise + comparison.predicted.variance_of_mean
        noise = noise if real.model_control is None else noise + real.model_control.variance_of_mean
    return over_kept(sums.error - (noise * comparison.kept).sum(axis=1), sums)


def mse_unbiased_norm(comparison: Comparison) -> Scores:
    """`mse_unbiased` over the squared response without noise; NaN where that cannot be told from noise.

    Of pure noise with variances v, sum (delta^2 - v) has the standard deviation sqrt(2 sum v^2) if genes are independent:
    a response must exceed twice that.
    """
    noise, sums = comparison.real.noise[comparison.places] * comparison.kept, comparison.of_deltas
    response = over_kept(sums.real - noise.sum(axis=1), sums)
    by_chance = over_kept(np.sqrt(2.0 * (noise**2).sum(axis=1)), sums)
    return quotient(mse_unbiased(comparison), response, where=response > np.maximum(2.0 * by_chance, FLAT**2))


def wmse(comparison: Comparison) -> Scores:
    """Mean squared error weighted by |t|."""
    sums = comparison.sums(comparison.predicted_mean, comparison.real_mean, by_t=True)
    return quotient(sums.error, sums.weight, where=sums.weight > 0)


METRICS = (
    Metric(
        compute=r2_mean,
        direction="higher",
        needs=("mean expression",),
        formula="1 - sum (mu - mu^)^2 / sum (mu - mean mu)^2 over genes",
        source="coefficient of determination, as sklearn.metrics.r2_score",
        caution="no change scores above 0.95 on most data: never read it alone",
    ),
    Metric(
        compute=pearson2_mean,
        direction="higher",
        needs=("mean expression",),
        formula="Pearson(mu^, mu)^2 over genes",
        source="Lotfollahi et al. 2019 (scGen) and CycSeq print it as R2",
        caution="blind to sign and scale; no change scores near 1",
    ),
    Metric(
        compute=mae,
        direction="lower",
        needs=("magnitude",),
        formula="mean over genes of |mu - mu^|",
        source="mean absolute error",
        caution="rewards predicting no effect where most genes do not change",
    ),
    Metric(
        compute=mse,
        direction="lower",
        needs=("magnitude",),
        formula="mean over genes of (mu - mu^)^2",
        source="mean squared error",
        caution="rewards predicting no effect where most genes do not change",
    ),
    Metric(
        compute=mse_ratio,
        direction="lower",
        formula="sum (delta - delta^)^2 / sum delta^2 over genes",
        source="Ahlmann-Eltze, Huber and Anders 2025, whose first baseline is no change",
        caution="1 is no change; a response common to all perturbations lowers it",
    ),
    Metric(
        compute=mse_unbiased,
        direction="lower",
        needs=("magnitude", "standard errors"),
        formula="mean over genes of (delta - delta^)^2 - s^2 / n - s0^2 / n0, s^2 and s0^2 the variances of the n real perturbed and the n0 "
        "real control cells; without s0^2 / n0 where both responses are taken against the same controls",
        source="unbiased estimate of a squared distance; member 2 of the Virtual Cell Challenge 2026 (cell-eval2) for counts",
        caution="rewards predicting no effect, as mse; negative by chance; cells drawn of few donors or batches have more noise than s^2 / n "
        "says. Its mean over that of NoChange is the ratio of all conditions together",
    ),
    Metric(
        compute=mse_unbiased_norm,
        direction="lower",
        needs=("standard errors",),
        formula="mse_unbiased / mean over genes of delta^2 - s^2 / n - s0^2 / n0; NaN where that is not beyond twice its standard deviation "
        "by chance",
        source="Virtual Cell Challenge 2026 (cell-eval2), expr_mse_unbiased_capped_norm, here of log1p means and condition by condition",
        caution="1 is no change, 0 the true response (mse_ratio of the true response is what noise leaves); conditions without a "
        "response beyond noise are left out, so that effects predicted there cost nothing: mse_unbiased counts them",
    ),
    Metric(
        compute=wmse,
        direction="lower",
        needs=("magnitude", "standard errors"),
        formula="sum w (mu - mu^)^2 with w = |t| / sum |t|, t of Welch in the real cells",
        source="Mejia et al. 2025 (Diversity by Design); weights are |t| itself here",
        caution="the weights are noisy where a condition has few cells",
    ),
)
