"""Responses that most contexts share and some do not: those that agree outvote one that differs.

A Gaussian process averages contexts, whatever was measured. But a regulation that a context has lost, or has alone, is
not half there. So a row's response f ~ N(0, variance x scale) is drawn once; each context has it with the probability
`rate`, up to a spread, N(f, spread f^2), or else a response of its own, from a mixture of N(0, variance x scale). f is
integrated out on a grid, which takes any number of contexts, and both laws are learned by marginal likelihood (EM).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from cycseq.kriging.block import NOISE_FLOOR, Block, Places, Targets

_HALF = np.geomspace(0.05, 40.0, 36)
GRID = np.concatenate([-_HALF[::-1], [0.0], _HALF])
"""Values of f, in units of the square root of a row's variance."""
SPREADS = (0.1, 0.3)
"""Not less: the grid's steps are a fifth of f."""
START_RATE = 0.7
RATES = (1e-3, 1.0 - 1e-3)
CELLS_TO_LEARN = 6_000
"""Measurements (a row at a point) from which the laws are learned."""
ROUNDS = 30
CHUNK = 2_000_000
"""Measurements x grid points that are held at once."""
NEVER = 1e-30
FURTHEST = 80.0
"""Log of the largest ratio of likelihoods: of both explanations only one is left long before."""

OnGrid = Float[np.ndarray, "rows grid"]
OfScales = Float[np.ndarray, "rows scales"]
PointsOnGrid = Float[np.ndarray, "rows points grid"]
PointsOfScales = Float[np.ndarray, "rows points scales"]
Parts = tuple[OfScales, Targets, Targets, Targets, Targets]


@dataclass(frozen=True)
class Conserved:
    """How often contexts share a response, and what those that do not have instead."""

    rate: float
    """Probability that a context has the shared response."""
    spread: float
    """Variance of a context's shared response around the row's, in units of its square."""
    scales: tuple[float, ...]
    """Of a response that is a context's own, in units of a row's variance."""
    own: tuple[float, ...]
    """Weights of these scales."""

    def covariance(self, scale: float, n_points: int) -> Float[np.ndarray, "points points"]:
        """Prior covariance between points where f has this scale, in units of a row's variance."""
        shared = scale * self.rate**2
        alone = self.rate * scale * (1.0 + self.spread) + (1.0 - self.rate) * self._own_variance
        covariance: np.ndarray = shared + (alone - shared) * np.eye(n_points)
        return covariance

    def posteriors(self, block: Block, scales: Sequence[float], targets: Places) -> Iterator[Parts]:
        """For f of every scale: log likelihood, mean, variance, own weight and own fit at the targets.

        Parameters
        ----------
        block
            What was measured.
        scales
            Of f.
        targets
            Places, as those in `Block.points`; in a new one the rate is that of all.
        """
        n_rows = max(CHUNK // (len(GRID) * block.y.shape[1]), 1)
        starts = range(0, len(block.y), n_rows)
        chunks = [self._posterior(block.rows(slice(i, i + n_rows)), scales, targets) for i in starts]
        joined = [np.concatenate(parts, axis=1) for parts in zip(*chunks, strict=True)]
        yield from zip(*joined, strict=True)

    def _posterior(self, block: Block, scales: Sequence[float], targets: Places) -> tuple[np.ndarray, ...]:
        """As `posteriors`, the scales as the first axis."""
        seen = _Likelihoods.of(block, self.spread, self.scales)
        of_own = seen.of_own(self.own)
        excess = seen.excess(of_own)
        log_ratio = np.log1p(self.rate * np.expm1(excess))
        log_sum = log_ratio.sum(axis=1)
        prior = _on_grid(scales).T
        f = np.sqrt(block.variance)[:, None] * GRID
        highest = log_sum.max(axis=1, keepdims=True)
        likelihood = np.exp(log_sum - highest)
        total = likelihood @ prior

        def expected(values: np.ndarray) -> np.ndarray:
            mean: np.ndarray = ((likelihood * values) @ prior / total).T
            return mean

        evidence = (np.log(total) + highest).T + of_own.sum(axis=1)
        mean, square = self.rate * expected(f), self.rate * (1.0 + self.spread) * expected(f**2)
        square = square + (1.0 - self.rate) * self._own_variance * block.variance
        shape = (len(scales), len(block.y), len(targets))
        means, squares = (np.repeat(a[:, :, None], len(targets), axis=2) for a in (mean, square))
        weights, fits = np.zeros(shape), np.zeros(shape)
        columns = {point: i for i, point in enumerate(block.points.tolist())}
        for i, target in enumerate(targets.tolist()):
            if target not in columns:
                continue
            column = columns[target]
            y, noise = block.y[:, [column]], np.maximum(block.noise[:, [column]], NOISE_FLOOR)
            shares = self.rate * np.exp(excess[:, column] - log_ratio[:, column])
            kept = self.spread * f**2 / (self.spread * f**2 + noise)
            near = f + kept * (y - f)
            chance = np.exp(seen.own[:, column] - of_own[:, [column]]) * np.asarray(self.own)
            of_scale = block.variance[:, None] * np.asarray(self.scales)
            alone = of_scale / (of_scale + noise)
            alone_mean = (chance * alone).sum(axis=1) * y[:, 0]
            alone_square = (chance * (alone * noise + (alone * y) ** 2)).sum(axis=1)
            shared = expected(shares)
            means[:, :, i] = expected(shares * near) + (1.0 - shared) * alone_mean
            squares[:, :, i] = expected(shares * (kept * noise + near**2)) + (1.0 - shared) * alone_square
            weights[:, :, i] = expected(shares * kept) + (1.0 - shared) * (chance * alone).sum(axis=1)
            others = log_sum - log_ratio[:, column]
            top = others.max(axis=1, keepdims=True)
            fits[:, :, i] = evidence - (np.log(np.exp(others - top) @ prior) + top).T
            fits[:, :, i] -= of_own.sum(axis=1) - of_own[:, column]
        return evidence, means, np.maximum(squares - means**2, 0.0), weights, fits

    @property
    def _own_variance(self) -> float:
        return float(np.dot(self.own, self.scales))


@dataclass(frozen=True)
class _Likelihoods:
    """Log densities (without their constant) of every measurement, by either explanation."""

    shared: PointsOnGrid
    own: PointsOfScales

    @classmethod
    def of(cls, block: Block, spread: float, scales: Sequence[float]) -> _Likelihoods:
        noise = np.maximum(block.noise, NOISE_FLOOR)[:, :, None].astype(np.float32)
        y = block.y[:, :, None].astype(np.float32)
        f = (np.sqrt(block.variance)[:, None] * GRID)[:, None, :].astype(np.float32)
        own = (block.variance[:, None] * np.asarray(scales))[:, None, :].astype(np.float32)
        return cls(_log_density(y - f, noise + np.float32(spread) * f**2), _log_density(y, noise + own))

    def of_own(self, weights: Sequence[float] | np.ndarray) -> Float[np.ndarray, "rows points"]:
        """Log density of a measurement that is its context's own."""
        highest = self.own.max(axis=2, keepdims=True)
        density: np.ndarray = np.log(np.exp(self.own - highest) @ np.asarray(weights)) + highest[:, :, 0]
        return density

    def excess(self, of_own: Float[np.ndarray, "rows points"]) -> PointsOnGrid:
        """Log of how much likelier a measurement is as the shared response than as its context's own."""
        excess: np.ndarray = np.clip(self.shared - of_own[:, :, None].astype(np.float32), -FURTHEST, FURTHEST)
        return excess


def learn_conserved(blocks: Sequence[Block], scales: Sequence[float]) -> Conserved | None:
    """Both laws, by marginal likelihood; None where no row was measured at two points."""
    several = [block for block in blocks if len(block.points) > 1]
    if not several:
        return None
    n_seen = sum(block.y.size for block in several)
    several = [block.rows(slice(None, None, max(n_seen // CELLS_TO_LEARN, 1))) for block in several]
    return max((_learned(several, scales, spread) for spread in SPREADS), key=lambda found: found[0])[1]


def _learned(blocks: Sequence[Block], scales: Sequence[float], spread: float) -> tuple[float, Conserved]:
    """The log likelihood that EM reaches with this spread, and the laws."""
    seen = [_Likelihoods.of(block, spread, scales) for block in blocks]
    n_points = sum(block.y.size for block in blocks)
    n_rows = sum(len(block.y) for block in blocks)
    on_grid = _on_grid(scales)
    rate = START_RATE
    of_scale, own = np.full((2, len(scales)), 1.0 / len(scales))
    log_likelihood = 0.0
    for _ in range(ROUNDS):
        log_likelihood = n_shared = 0.0
        scale_sums, own_sums = np.zeros((2, len(scales)))
        for part in seen:
            of_own = part.of_own(own)
            excess = part.excess(of_own)
            log_ratio = np.log1p(rate * np.expm1(excess))
            log_sum = log_ratio.sum(axis=1)
            highest = log_sum.max(axis=1, keepdims=True)
            likelihood = np.exp(log_sum - highest)
            by_scale = (likelihood @ on_grid.T) * of_scale
            total = by_scale.sum(axis=1, keepdims=True)
            log_likelihood += float((np.log(total) + highest).sum() + of_own.sum())
            scale_sums += (by_scale / total).sum(axis=0)
            at = likelihood * (of_scale @ on_grid) / total
            shared = (rate * np.exp(excess - log_ratio) * at[:, None, :]).sum(axis=2)
            n_shared += float(shared.sum())
            alone = np.exp(part.own - of_own[:, :, None]) * own * (1.0 - shared)[:, :, None]
            own_sums += alone.sum(axis=(0, 1))
        rate = float(np.clip(n_shared / n_points, *RATES))
        of_scale, own = scale_sums / n_rows, np.maximum(own_sums / own_sums.sum(), NEVER)
    return log_likelihood, Conserved(rate, spread, tuple(scales), tuple((own / own.sum()).tolist()))


def _log_density(difference: np.ndarray, variance: np.ndarray) -> np.ndarray:
    density: np.ndarray = -0.5 * (np.log(variance) + difference**2 / variance)
    return density


def _on_grid(scales: Sequence[float]) -> Float[np.ndarray, "scales grid"]:
    """Probability of every grid point (what is nearer to it than to others) under N(0, scale)."""
    edges = np.concatenate([[-np.inf], (GRID[1:] + GRID[:-1]) / 2, [np.inf]])
    weights: np.ndarray = np.diff(norm.cdf(edges / np.sqrt(np.asarray(scales))[:, None]), axis=1)
    floored: np.ndarray = np.maximum(weights, NEVER)
    return floored
