"""Whether predicted cells look like cells: variance, zeros, correlation between genes, a classifier."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from cycseq.matrix.arrays import Cells, Codes
from cycseq.score.metrics.base import Comparison, Metric, Scores
from cycseq.score.metrics.formulas import over_kept

VARIABLE_GENES = 200
FOLDS = 5
NEWTON_STEPS = 50
FLAT_GRADIENT = 1e-6  # a classifier has converged where no derivative of its loss is larger


def mean_variance_error(comparison: Comparison) -> Scores:
    """Root mean squared distance of genes in the plane of mean and variance."""
    variance = comparison.sums(comparison.predicted.variance, comparison.real.cells.variance[comparison.places])
    return np.asarray(np.sqrt(over_kept(comparison.of_means.error + variance.error, variance)))


def zero_fraction_error(comparison: Comparison) -> Scores:
    """Root mean squared error of the share of zeros."""
    sums = comparison.sums(comparison.predicted.nonzero, comparison.real.cells.nonzero[comparison.places])
    return np.asarray(np.sqrt(over_kept(sums.error, sums)))


def _correlation(cells: Cells) -> np.ndarray:
    """Correlation of genes over cells, 0 with a constant gene."""
    centred = cells - cells.mean(axis=0, dtype=np.float64)
    size = np.sqrt((centred**2).sum(axis=0))
    centred = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0)
    return np.asarray(centred.T @ centred)


def gene_correlation_error(comparison: Comparison) -> Scores:
    """Difference of the correlation matrices of the genes that vary most in the real cells."""
    real = comparison.real

    def most_variable(place: int) -> Codes:
        variance = np.where(real.kept[place], real.cells.variance[place], -1.0)
        return np.argsort(-variance, kind="stable")[: min(VARIABLE_GENES, int(real.kept[place].sum()))].copy()

    def one(i: int) -> float:
        predicted, measured = comparison.pair(i)
        place = int(comparison.places[i])
        top = real.remember(("most variable genes", place), lambda: most_variable(place))
        off = _correlation(predicted[:, top]) - _correlation(measured[:, top])
        np.fill_diagonal(off, 0.0)
        return float(np.linalg.norm(off) / len(top))

    return comparison.each(one, fewest=3)


def c2st_auc(comparison: Comparison) -> Scores:
    """Area under the curve of a classifier that tells predicted from real cells; cross-validated."""

    def one(i: int) -> float:
        n = comparison.n_paired(i)
        x = np.concatenate([side[:n] for side in comparison.projected(i)]).astype(np.float64)
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        return _held_out_auc(x, n, _folds(n, comparison.seed))

    return comparison.each(one, fewest=2 * FOLDS)


@lru_cache(maxsize=64)
def _folds(n: int, seed: int) -> Bool[np.ndarray, "folds cells"]:
    """Which of n predicted and then n real cells each fold holds out."""
    from sklearn.model_selection import StratifiedKFold

    y = np.repeat([1, 0], n)
    held_out = np.zeros((FOLDS, 2 * n), dtype=bool)
    for fold, (_, test) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(y[:, None], y)):
        held_out[fold, test] = True
    return held_out


def _held_out_auc(x: Float[np.ndarray, "cells components"], n: int, held_out: Bool[np.ndarray, "folds cells"]) -> float:
    """Mean area under the curve in the folds held out, of which each is scored by a classifier that has learnt the others.

    The classifier is `sklearn.linear_model.LogisticRegression` (|w|^2 / 2 + log loss, the intercept free), all folds at once
    by Newton's method, halving a step that does not bring the loss down.
    """
    design = np.column_stack([x, np.ones(len(x))])
    sign = np.repeat([1.0, -1.0], n)
    penalty = np.append(np.ones(x.shape[1]), 1e-12)  # of the intercept none, but for a Hessian that is never singular
    learnt = ~held_out

    def loss(coefficients: Float[np.ndarray, "folds terms"]) -> Float[np.ndarray, "folds"]:
        log_loss = np.logaddexp(0.0, -sign * (coefficients @ design.T)) * learnt
        return np.asarray(log_loss.sum(axis=1) + (penalty * coefficients**2).sum(axis=1) / 2)

    coefficients = np.zeros((len(learnt), design.shape[1]))
    least = loss(coefficients)
    for _ in range(NEWTON_STEPS):
        wrong = expit(-sign * (coefficients @ design.T))
        gradient = (-sign * wrong * learnt) @ design + penalty * coefficients
        if np.abs(gradient).max() < FLAT_GRADIENT:
            break
        weights = wrong * (1.0 - wrong) * learnt
        hessian = (design.T * weights[:, None, :]) @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        for _ in range(NEWTON_STEPS):
            reached = loss(coefficients - step)
            worse = reached > least * (1.0 + 1e-12)
            if not worse.any():
                break
            step[worse] /= 2.0
        coefficients, least = coefficients - step, reached
    areas = []
    for scores, of_fold in zip(coefficients @ design.T, held_out, strict=True):
        predicted, real = (scores[of_fold & (sign == side)] for side in (1.0, -1.0))
        areas.append(
            (1.0 + np.sign(predicted[:, None] - real).mean()) / 2.0
        )  # Mann and Whitney's: pairs in order, ties half
    return float(np.mean(areas))


METRICS = (
    Metric(
        compute=mean_variance_error,
        direction="lower",
        needs=("cells",),
        formula="sqrt(mean over genes of (mu - mu^)^2 + (variance - variance^)^2)",
        source="mean-variance relation, as in scDesign3 and SPARSim; root mean squared error",
        caution="copying control cells passes: read it beside the delta metrics",
    ),
    Metric(
        compute=zero_fraction_error,
        direction="lower",
        needs=("cells",),
        formula="sqrt(mean over genes of (share of zeros in real - in predicted cells)^2)",
        source="root mean squared error of the dropout rate",
        caution="copying control cells passes: read it beside the delta metrics",
    ),
    Metric(
        compute=gene_correlation_error,
        direction="lower",
        needs=("cells",),
        formula="Frobenius norm of the difference of the gene correlation matrices, over the number of genes; "
        "the 200 genes of largest real variance",
        source="Frobenius distance of correlation matrices",
        caution="copying control cells passes; with few cells it is mostly sampling noise: read it beside the split half",
        costly=True,
    ),
    Metric(
        compute=c2st_auc,
        best=0.5,
        direction="target",
        needs=("cells",),
        formula="area under the curve of a 5-fold cross-validated logistic classifier, real against predicted, in "
        "standardised principal components",
        source="Lopez-Paz and Oquab 2017",
        caution="differences of depth dominate: read real against real (SplitHalf) beside it",
        costly=True,
    ),
)
