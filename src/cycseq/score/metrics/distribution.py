"""Distances between predicted and real cells as distributions."""

import numpy as np
from jaxtyping import Float

from cycseq.matrix.arrays import Cells
from cycseq.score.metrics.base import Comparison, Metric, Scores

Distances = Float[np.ndarray, "cells others"]
BANDWIDTHS = 2.0 ** np.arange(2, -3, -1)  # of the median distance between real cells, widest first: 4, 2, 1, 1/2, 1/4


def squared_distances(x: Cells, y: Cells | None = None) -> Distances:
    """|x_i - y_j|^2 by the Gram matrix, float32; with `y` None, of x to itself with an exact 0 on the diagonal."""
    other = x if y is None else y
    gram: Distances = x @ other.T
    gram *= -2.0
    gram += np.einsum("ij,ij->i", x, x)[:, None]
    gram += np.einsum("ij,ij->i", other, other)[None, :]
    np.maximum(gram, 0.0, out=gram)
    if y is None:
        np.fill_diagonal(gram, 0.0)
    return gram


def _mean_distances(x: Cells, y: Cells | None = None) -> Float[np.ndarray, "cells"]:
    """Mean Euclidean distance of each x_i to all y_j, or (`y` None) to all other x_j."""
    squares = squared_distances(x, y)
    total = np.sqrt(squares, out=squares).sum(axis=1, dtype=np.float64)
    return np.asarray(total / (squares.shape[1] - (y is None)))


def _energy(predicted: Cells, real: Cells, within_real: float) -> tuple[float, float]:
    """The energy distance from all pairs of cells, and its standard deviation over draws of as many predicted cells.

    All pairs, i = j left out, are a U-statistic, unbiased with any number of cells on either side. To first order it is
    a mean over predicted cells of 2 (mean distance to the real cells - mean distance to the other predicted cells)
    (Hoeffding 1948), which gives its spread.
    """
    excess = 2.0 * _mean_distances(predicted, real)
    within = _mean_distances(predicted)
    spread = (excess - 2.0 * within).std(ddof=1) / np.sqrt(len(predicted))
    return float((excess - within).mean() - within_real), float(spread)


def _energies(comparison: Comparison) -> Float[np.ndarray, "conditions 2"]:
    """Energy distance in principal components and its spread, of every condition; kept while the comparison lives."""
    real = comparison.real

    def one(i: int) -> tuple[float, float]:
        predicted, measured = comparison.projected(i)
        key = ("edistance", int(comparison.places[i]))
        return _energy(predicted, measured, real.remember(key, lambda: float(_mean_distances(measured).mean())))

    if "energies" not in comparison.cache:
        pairs = [one(i) if comparison.n_paired(i) > 1 else (np.nan, np.nan) for i in range(comparison.n_conditions)]
        comparison.cache["energies"] = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return np.asarray(comparison.cache["energies"])


def edistance(comparison: Comparison) -> Scores:
    """Energy distance in principal components."""
    return _energies(comparison)[:, 0]


def edistance_sd(comparison: Comparison) -> Scores:
    """Standard deviation of `edistance` over draws of as many predicted cells."""
    return _energies(comparison)[:, 1]


def edistance_genes(comparison: Comparison) -> Scores:
    """Energy distance over all genes."""
    real = comparison.real
    centre = real.control_mean.astype(np.float32)  # a common shift keeps distances and makes float32 exact enough

    def one(i: int) -> float:
        predicted, measured = (side - centre for side in comparison.all_cells(i))
        key = ("edistance_genes", int(comparison.places[i]))
        within = real.remember(key, lambda: float(_mean_distances(measured).mean()))
        return _energy(predicted, measured, within)[0]

    return comparison.each(one)


def _mean_kernel(squares: Distances, median: float, *, within: bool) -> float:
    """Mean over pairs and bandwidths of exp(-d^2 / (2 s^2)); each bandwidth is half the last, so its kernel a 4th power."""
    kernel = np.exp(squares / np.float32(-2.0 * (BANDWIDTHS[0] * median) ** 2))
    total = 0.0
    for bandwidth in BANDWIDTHS:
        total += float(kernel.sum(dtype=np.float64)) - (len(squares) if within else 0)
        if bandwidth != BANDWIDTHS[-1]:
            np.square(kernel, out=kernel)
            np.square(kernel, out=kernel)
    n, m = squares.shape
    return float(total / len(BANDWIDTHS) / (n * (n - 1) if within else n * m))


def mmd(comparison: Comparison) -> Scores:
    """Unbiased squared maximum mean discrepancy in principal components."""
    real = comparison.real

    def one(i: int) -> float:
        predicted, measured = comparison.projected(i)

        def of_real() -> tuple[float, float]:
            squares = squared_distances(measured)
            above = squares[np.triu_indices(len(squares), 1)]
            median = float(np.sqrt(np.median(above)))
            return (median, _mean_kernel(squares, median, within=True)) if median > 0 else (0.0, np.nan)

        median, within = real.remember(("mmd", int(comparison.places[i])), of_real)
        if median == 0.0:
            return np.nan
        between = _mean_kernel(squared_distances(predicted, measured), median, within=False)
        return _mean_kernel(squared_distances(predicted), median, within=True) + float(within) - 2 * between

    return comparison.each(one)


def wasserstein_gene(comparison: Comparison) -> Scores:
    """Mean over genes of the Wasserstein-1 distance, by sorted values."""
    from cycseq.score.metrics.sort_cells import sort_cells

    def one(i: int) -> float:
        predicted, measured = map(sort_cells, comparison.pair(i))  # genes that are left out are 0 in both
        total = np.abs(predicted - measured).sum(dtype=np.float64)
        return float(total / (len(predicted) * comparison.kept[i].sum()))

    return comparison.each(one, fewest=1)


METRICS = (
    Metric(
        compute=edistance,
        direction="lower",
        needs=("cells",),
        formula="2 E|X-Y| - E|X-X'| - E|Y-Y'| over all pairs of cells, i = j left out, in principal components of the control "
        "cells of all contexts",
        source="Szekely and Rizzo 2013; Peidli et al. 2024 (scPerturb)",
        caution="control cells can win: read it beside the split half and no change; may be slightly negative; where there are few "
        "control cells in all, the axes hold the noise of these very cells, so what copies them (no change, shifting) looks "
        "worse than it is; few predicted cells move it by chance (edistance_sd), and cells predicted twice raise it",
        costly=True,
    ),
    Metric(
        compute=edistance_sd,
        direction="lower",
        needs=("cells",),
        formula="2 sd over predicted cells of (mean |x-Y| - mean |x-X'|) / sqrt(number of predicted cells)",
        source="spread of a U-statistic to first order: Hoeffding 1948",
        caution="says nothing of quality: how far edistance may move with other draws of as many predicted cells",
        costly=True,
    ),
    Metric(
        compute=edistance_genes,
        direction="lower",
        needs=("cells",),
        formula="edistance over all genes instead of principal components",
        source="Szekely and Rizzo 2013; Peidli et al. 2024 (scPerturb)",
        caution="the noise of thousands of genes drowns the response; may be slightly negative",
        costly=True,
    ),
    Metric(
        compute=mmd,
        direction="lower",
        needs=("cells",),
        formula="k(X,X') + k(Y,Y') - 2 k(X,Y), i = j left out, k the mean of Gaussian kernels with bandwidths "
        "1/4, 1/2, 1, 2, 4 of the median distance between real cells, in principal components of the control cells of all contexts",
        source="Gretton et al. 2012",
        caution="unbiased, so it may be negative; its axes are those of edistance, with the same bias where control cells are few",
        costly=True,
    ),
    Metric(
        compute=wasserstein_gene,
        direction="lower",
        needs=("cells",),
        formula="mean over genes of mean |sorted predicted - sorted real values|, equally many cells",
        source="Wasserstein-1 distance of one dimension, as scipy.stats.wasserstein_distance",
        caution="blind to covariance between genes; rewards predicting no effect",
        costly=True,
    ),
)
