"""How far leave-one-point-out predictions of the training data can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.block import Block, PerRow, Places, Targets
from cycseq.models.kriging.mixture import Covariances, Mixture, Posterior, krige

COVERAGE = 0.9
FEWEST = 200
"""Rows below which nothing is calibrated."""
NUGGETS = np.linspace(0.0, 3.0, 61)
INFLATIONS = np.geomspace(1.0, 8.0, 60)


@dataclass(frozen=True)
class Trust:
    """What the posterior at points without an observation is corrected by."""

    slope: float = 1.0
    """Of observed on predicted, in [0, 1]: 0 says that nothing can be told of a new point."""
    nugget: float = 0.0
    """Variance that every point has of its own beside the sampling of cells (donors, depth), in units of a row's
    mean sampling noise."""
    inflation: float = 1.0
    """Of the rest of the variance."""
    error: float = math.inf
    """Mean squared error of the measurements that were left out to learn this; infinite where none were."""

    def applied(self, block: Block, posterior: Posterior) -> Posterior:
        """The posterior, corrected as far as it does not rest on the target's own observation."""
        foreign = np.clip(1.0 - posterior.own_weight, 0.0, 1.0)
        mean = posterior.mean * (1.0 - (1.0 - self.slope) * foreign)
        own = self.nugget * block.noise.mean(axis=1)[:, None] * foreign**2
        variance = posterior.variance * (1.0 + (self.inflation - 1.0) * foreign) + own
        mixture = posterior.mixture
        if mixture is not None:
            mixture = self._trusted(mixture, mean, variance, 1.0 - (1.0 - self.slope) * foreign)
        return Posterior(mean, variance, posterior.own_weight, mixture=mixture)

    def _trusted(self, mixture: GeneMixture, mean: Targets, variance: Targets, slope: Targets) -> GeneMixture:
        """Every component's mean times the slope, its width stretched until mean and variance are those stated.

        A component at zero stays there: what is sure to do nothing gets no direction.
        """
        means = mixture.means * slope[..., None]
        between = (mixture.weights * (means - mean[..., None]) ** 2).sum(axis=-1)
        within = (mixture.weights * mixture.sds**2).sum(axis=-1)
        stretch = np.sqrt(np.maximum(variance - between, 0.0) / np.maximum(within, 1e-30))
        return GeneMixture(mixture.weights, means, mixture.sds * stretch[..., None])


def leave_one_out(
    blocks: Sequence[Block],
    mixture: Mixture,
    covariances: Covariances,
    columns: Places | None = None,
    *,
    cautious: bool = False,
) -> Trust:
    """Predict every observed point from the others, training data only, and learn what that teaches.

    The slope is that of least squares over all rows. The rows of a point may go right or wrong together, so that few
    points tell little of it: see `drawn_slope`, and `cautious_slope`. The nugget is the least for which intervals cover
    `COVERAGE` of the rows where sampling noise makes most of the interval, the inflation the same where the posterior does.

    Parameters
    ----------
    blocks, mixture, covariances
        As in `cycseq.models.kriging.mixture.learn_mixture`.
    columns
        Which points of each block are left out; None leaves out each in turn.
    cautious
        Whether to borrow only as far as the points agree that it helps.
    """
    parts: list[tuple[PerRow, PerRow, PerRow, PerRow, PerRow]] = []
    for block in blocks:
        for column in _left_out(block, columns).tolist():
            others = block.without(column)
            posterior = krige(others, mixture, covariances, block.points[[column]])
            left_out = block.y[:, column], block.noise[:, column]
            parts.append((posterior.mean[:, 0], posterior.variance[:, 0], others.noise.mean(axis=1), *left_out))
    if sum(len(part[0]) for part in parts) < FEWEST:
        return Trust()
    mean, variance, unit, y, noise = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    products, squares = (np.array([(part[i] * part[0]).sum() for part in parts]) for i in (3, 0))
    slope = (cautious_slope if cautious else drawn_slope)(products, squares)
    squared_error = (y - slope * mean) ** 2
    error = squared_error / norm.ppf(0.5 + COVERAGE / 2) ** 2
    strong = variance > noise
    nugget = _least(NUGGETS, ~strong, lambda value: error <= variance + value * unit + noise)
    inflation = _least(INFLATIONS, strong, lambda value: error <= value * variance + nugget * unit + noise)
    return Trust(slope, nugget, inflation, float(squared_error.mean()))


def jackknife_error(products: np.ndarray, squares: np.ndarray) -> float:
    """Standard error of sum(products) / sum(squares) over points (Efron and Stein 1981)."""
    n = len(products)
    without = (products.sum() - products) / np.maximum(squares.sum() - squares, 1e-12)
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def drawn_slope(products: np.ndarray, squares: np.ndarray) -> float:
    """sum(products) / sum(squares) over points, drawn to 0 by its standard error (James and Stein 1961), in [0, 1]."""
    slope, error = products.sum() / max(squares.sum(), 1e-12), jackknife_error(products, squares)
    return float(np.clip(slope - error**2 / slope, 0.0, 1.0)) if slope > 0 else 0.0


def cautious_slope(products: np.ndarray, squares: np.ndarray) -> float:
    """The same less its standard error, as in the one-standard-error rule (Breiman et al. 1984), in [0, 1]."""
    return float(np.clip(products.sum() / max(squares.sum(), 1e-12) - jackknife_error(products, squares), 0.0, 1.0))


def _left_out(block: Block, columns: Places | None) -> Places:
    n_points = block.y.shape[1]
    if n_points < 2:
        return np.empty(0, dtype=np.int64)
    return np.arange(n_points) if columns is None else columns


def _least(values: np.ndarray, rows: np.ndarray, covered: Callable[[float], np.ndarray]) -> float:
    """The least value for which enough of these rows are covered; the first where there are too few rows."""
    if rows.sum() < FEWEST:
        return float(values[0])
    enough = (value for value in values if covered(float(value))[rows].mean() >= COVERAGE)
    return float(next(enough, values[-1]))
