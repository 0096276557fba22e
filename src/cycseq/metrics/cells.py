"""Whether predicted cells look like cells: variance, zeros, correlation between genes, a classifier."""

from __future__ import annotations

import numpy as np

from cycseq.arrays import Cells
from cycseq.metrics.base import Comparison, Metric, Scores

VARIABLE_GENES = 200
FOLDS = 5


def _root_mean(values: np.ndarray, comparison: Comparison) -> Scores:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt((values * comparison.kept).sum(axis=1) / comparison.kept.sum(axis=1)))


def mean_variance_error(comparison: Comparison) -> Scores:
    """Root mean squared distance of genes in the plane of mean and variance."""
    variance = comparison.predicted.variance - comparison.real.cells.variance[comparison.places]
    return _root_mean((comparison.predicted_mean - comparison.real_mean) ** 2 + variance**2, comparison)


def zero_fraction_error(comparison: Comparison) -> Scores:
    """Root mean squared error of the share of zeros."""
    return _root_mean(
        (comparison.predicted.nonzero - comparison.real.cells.nonzero[comparison.places]) ** 2, comparison
    )


def _correlation(cells: Cells) -> np.ndarray:
    """Correlation of genes over cells, 0 with a constant gene."""
    centred = cells - cells.mean(axis=0, dtype=np.float64)
    size = np.sqrt((centred**2).sum(axis=0))
    centred = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0)
    return np.asarray(centred.T @ centred)


def gene_correlation_error(comparison: Comparison) -> Scores:
    """Difference of the correlation matrices of the genes that vary most in the real cells."""

    def one(i: int) -> float:
        predicted, measured = comparison.pair(i)
        place = int(comparison.places[i])
        variance = np.where(comparison.kept[i], comparison.real.cells.variance[place], -1.0)
        top = np.argsort(-variance, kind="stable")[: min(VARIABLE_GENES, int(comparison.kept[i].sum()))]
        off = _correlation(predicted[:, top]) - _correlation(measured[:, top])
        np.fill_diagonal(off, 0.0)
        return float(np.linalg.norm(off) / len(top))

    return comparison.each(one, fewest=3)


def c2st_auc(comparison: Comparison) -> Scores:
    """Area under the curve of a classifier that tells predicted from real cells; cross-validated."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    def one(i: int) -> float:
        predicted, measured = (side[: comparison.n_paired(i)] for side in comparison.projected(i))
        x = np.concatenate([predicted, measured]).astype(np.float64)
        y = np.repeat([1, 0], [len(predicted), len(measured)])
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=comparison.seed).split(x, y)
        held_out = [
            roc_auc_score(y[test], LogisticRegression(max_iter=200).fit(x[train], y[train]).decision_function(x[test]))
            for train, test in folds
        ]
        return float(np.mean(held_out))

    return comparison.each(one, fewest=2 * FOLDS)


METRICS = (
    Metric(
        name="mean_variance_error",
        compute=mean_variance_error,
        best=0.0,
        direction="lower",
        formula="sqrt(mean over genes of (mu - mu^)^2 + (variance - variance^)^2)",
        source="mean-variance relation, as in scDesign3 and SPARSim; root mean squared error",
        caution="copying control cells passes: read it beside the delta metrics",
    ),
    Metric(
        name="zero_fraction_error",
        compute=zero_fraction_error,
        best=0.0,
        direction="lower",
        formula="sqrt(mean over genes of (share of zeros in real - in predicted cells)^2)",
        source="root mean squared error of the dropout rate",
        caution="copying control cells passes: read it beside the delta metrics",
    ),
    Metric(
        name="gene_correlation_error",
        compute=gene_correlation_error,
        best=0.0,
        direction="lower",
        formula="Frobenius norm of the difference of the gene correlation matrices, over the number of genes; "
        "the 200 genes of largest real variance",
        source="Frobenius distance of correlation matrices",
        caution="copying control cells passes; with few cells it is mostly sampling noise: read it beside the split half",
        costly=True,
    ),
    Metric(
        name="c2st_auc",
        compute=c2st_auc,
        best=0.5,
        direction="target",
        formula="area under the curve of a 5-fold cross-validated logistic classifier, real against predicted, in "
        "standardised principal components",
        source="Lopez-Paz and Oquab 2017",
        caution="differences of depth dominate: read real against real (SplitHalf) beside it",
        costly=True,
    ),
)
