"""Metrics of the response: perturbed minus control mean, each side against its own control cells (`RealContext`)."""

from __future__ import annotations

from functools import partial

import numpy as np

from cycseq.matrix.arrays import Codes
from cycseq.score.metrics.base import Comparison, Metric, Scores
from cycseq.score.metrics.formulas import RowSums, pearson, quotient, r_squared, row_sums


def r2_delta(comparison: Comparison) -> Scores:
    """Coefficient of determination of delta."""
    return r_squared(comparison.of_deltas)


def r2_delta_top(comparison: Comparison, top: int) -> Scores:
    """The same over the genes with the largest |t| in the real cells; NaN with fewer DEGs than genes asked for."""
    real, value = comparison.real, np.full(comparison.n_conditions, np.nan)
    rows = np.flatnonzero(comparison.degs.sum(axis=1) >= top)
    if not len(rows):
        return value

    def strongest(place: int) -> Codes:
        strength = np.where(real.kept[place], np.nan_to_num(np.abs(real.t[place])), -1.0)
        return np.argpartition(-strength, top - 1)[:top]

    chosen = np.stack(
        [real.remember(("largest |t|", top, int(i)), partial(strongest, int(i))) for i in comparison.places[rows]]
    )
    predicted, measured = (
        np.take_along_axis(side[rows], chosen, axis=1) for side in (comparison.predicted_delta, comparison.delta)
    )
    value[rows] = r_squared(row_sums(predicted, measured, np.ones(chosen.shape, dtype=bool)))
    return value


def r2_delta_weighted(comparison: Comparison) -> Scores:
    """Coefficient of determination of delta with weights |t|."""
    return r_squared(comparison.sums(comparison.predicted_delta, comparison.delta, by_t=True))


def pearson_delta(comparison: Comparison) -> Scores:
    """Correlation of the responses."""
    return pearson(comparison.of_deltas)


def pearson_delta_specific(comparison: Comparison) -> Scores:
    """Correlation of what sets the condition apart from the mean perturbation."""
    if comparison.of_specific is None:
        return np.full(comparison.n_conditions, np.nan)
    return pearson(comparison.of_specific)


def cosine_delta_specific(comparison: Comparison) -> Scores:
    """Cosine of what sets the condition apart from the mean perturbation; 0 where nothing is predicted to."""
    if comparison.of_specific is None:
        return np.full(comparison.n_conditions, np.nan)
    return _cosine(comparison.of_specific)


def cosine_delta(comparison: Comparison) -> Scores:
    """Cosine of the responses; 0 for no change, NaN where nothing really changed."""
    return _cosine(comparison.of_deltas)


def _cosine(sums: RowSums) -> Scores:
    predicted, real = _squares(sums)
    cosine = quotient(sums.both, np.sqrt(predicted * real), where=predicted * real > 0)
    return np.where((predicted == 0) & (real > 0), 0.0, cosine)


def _squares(sums: RowSums) -> tuple[Scores, Scores]:
    """|delta^|^2 and |delta|^2; of nothing, exactly 0."""
    return np.where(sums.nothing_predicted, 0.0, sums.predicted), np.where(sums.nothing_real, 0.0, sums.real)


def amplitude(comparison: Comparison) -> Scores:
    """The factor by which the predicted response must be multiplied to fit best; NaN for no change."""
    predicted, _ = _squares(comparison.of_deltas)
    return quotient(comparison.of_deltas.both, predicted, where=predicted > 0)


def amplitude_ratio(comparison: Comparison) -> Scores:
    """Size of the predicted over that of the real response; 0 for no change, NaN where nothing really changed."""
    predicted, real = _squares(comparison.of_deltas)
    return quotient(np.sqrt(predicted), np.sqrt(real), where=real > 0)


def constant_delta(comparison: Comparison) -> Scores:
    """1 where the predicted response is the same number at all genes: its correlations are 0 by definition."""
    return comparison.of_deltas.constant_prediction.astype(np.float64)


METRICS = (
    Metric(
        compute=r2_delta,
        direction="higher",
        formula="1 - sum (delta - delta^)^2 / sum (delta - mean delta)^2 over genes",
        source="coefficient of determination of the response (Mejia et al. 2025)",
        caution="below 0 for no change; over thousands of unchanged genes it measures noise",
    ),
    *(
        Metric(
            name=f"r2_delta_top{top}",
            compute=partial(r2_delta_top, top=top),
            direction="higher",
            needs=("cells",),
            formula=f"r2_delta over the {top} genes of largest |t| in the real cells; NaN under {top} DEGs",
            source="Lotfollahi et al. 2019 and Roohani et al. 2024 (top DEGs), here chosen in the real cells by |t|",
            caution="selection on the real cells' noise: read it beside the split half",
        )
        for top in (20, 50, 100)
    ),
    Metric(
        compute=r2_delta_weighted,
        direction="higher",
        needs=("standard errors",),
        formula="r2_delta with weights |t| / sum |t|, mean of delta weighted too",
        source="Mejia et al. 2025 (Diversity by Design); weights are |t| itself here",
        caution="the weights are noisy where a condition has few cells",
    ),
    Metric(
        compute=pearson_delta,
        direction="higher",
        formula="Pearson(delta^, delta) over genes; 0 where delta^ is constant",
        source="Roohani et al. 2024 (GEARS); cell-eval",
        caution="a response common to all perturbations earns most of it",
    ),
    Metric(
        compute=pearson_delta_specific,
        direction="higher",
        formula="Pearson(mu^ - mu_all, mu - mu_all), mu_all what the mean of the training perturbations predicts",
        source="Vinas Torne et al. 2025 (Systema)",
        caution="the perturbed mean scores 0 by construction; where it is noise, no change scores above 0; undefined with fewer than two training perturbations",
    ),
    Metric(
        compute=cosine_delta_specific,
        direction="higher",
        formula="<mu^ - mu_all, mu - mu_all> / (|mu^ - mu_all| |mu - mu_all|), mu_all as in pearson_delta_specific",
        source="cosine similarity of what is left when the mean response of the context's training conditions is taken off",
        caution="as pearson_delta_specific; blind to the size of what is specific",
    ),
    Metric(
        compute=cosine_delta,
        direction="higher",
        formula="<delta^, delta> / (|delta^| |delta|)",
        source="cosine similarity",
        caution="hides a wrong size of the response: read amplitude beside it",
    ),
    Metric(
        compute=amplitude,
        best=1.0,
        direction="target",
        needs=("magnitude",),
        formula="<delta^, delta> / <delta^, delta^>: slope of delta on delta^",
        source="least squares through the origin",
        caution="1 does not mean alike: read cosine_delta beside it",
        likeness=False,
    ),
    Metric(
        compute=amplitude_ratio,
        best=1.0,
        direction="target",
        needs=("magnitude",),
        formula="|delta^| / |delta|",
        source="ratio of Euclidean norms",
        caution="noise has a norm too: with few cells a perfect prediction lies below 1",
        likeness=False,
    ),
    Metric(
        compute=constant_delta,
        direction="lower",
        formula="1 where delta^ is one and the same number at all genes (within 1e-5), else 0",
        source="a count: such conditions score 0 in pearson_delta",
        caution="says nothing of quality",
        likeness=False,
    ),
)
