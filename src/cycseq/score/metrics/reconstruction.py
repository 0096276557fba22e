"""Metrics of reconstruction: each cell against itself."""

from collections.abc import Callable

import numpy as np

from cycseq.matrix.arrays import Cells
from cycseq.score.metrics.base import Comparison, Metric, Scores


def per_gene_pearson(comparison: Comparison) -> Scores:
    """Mean over genes of the correlation over cells; genes constant in the real cells are left out."""

    def one(i: int) -> float:
        predicted, real = (
            side[:, comparison.kept[i]] - side[:, comparison.kept[i]].mean(axis=0, dtype=np.float64)
            for side in comparison.pair(i)
        )
        size = np.sqrt((predicted**2).sum(axis=0) * (real**2).sum(axis=0))
        r = np.divide((predicted * real).sum(axis=0), size, out=np.zeros_like(size), where=size > 0)
        varying = (real**2).sum(axis=0) > 0
        return float(r[varying].mean()) if varying.any() else np.nan

    return comparison.each(one)


def per_gene_mse(comparison: Comparison) -> Scores:
    """Mean over genes and cells of the squared error."""
    return _mean_error(comparison, np.square)


def per_gene_mae(comparison: Comparison) -> Scores:
    """Mean over genes and cells of the absolute error."""
    return _mean_error(comparison, np.abs)


def _mean_error(comparison: Comparison, size: Callable[[Cells], Cells]) -> Scores:
    def one(i: int) -> float:
        predicted, real = comparison.pair(i)
        return float(size((predicted - real)[:, comparison.kept[i]]).mean(dtype=np.float64))

    return comparison.each(one, fewest=1)


METRICS = (
    Metric(
        compute=per_gene_pearson,
        direction="higher",
        needs=("cells",),
        formula="mean over genes of Pearson(predicted, real) over cells; 0 for a gene predicted constant",
        source="Pearson's correlation",
        caution="reconstruction only: says nothing of unseen conditions",
        costly=True,
        paired=True,
    ),
    Metric(
        compute=per_gene_mse,
        direction="lower",
        needs=("cells",),
        formula="mean over genes and cells of (predicted - real)^2",
        source="mean squared error",
        caution="reconstruction only; predicting each gene's mean is hard to beat on sparse genes",
        costly=True,
        paired=True,
    ),
    Metric(
        compute=per_gene_mae,
        direction="lower",
        needs=("cells",),
        formula="mean over genes and cells of |predicted - real|",
        source="mean absolute error",
        caution="reconstruction only; predicting zero is hard to beat on genes that are mostly zero",
        costly=True,
        paired=True,
    ),
)
