"""Responses that most contexts share and some do not: those that agree outvote one that differs.

A Gaussian process averages contexts, whatever was measured. But a regulation that a context has lost, or has alone, is
not half there. So a row's response f ~ N(0, variance x scale) is drawn once; each context has it with the probability
`rate`, up to a spread, N(f, spread f^2), or else a response of its own, from a mixture of N(0, variance x scale). f is
integrated out on a grid, which takes any number of contexts, and both laws are learned by marginal likelihood (EM).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp
from scipy.stats import norm

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.block import NOISE_FLOOR, Block, PerRow, Places, Targets

_HALF = np.geomspace(0.05, 40.0, 36)
GRID = np.concatenate([-_HALF[::-1], [0.0], _HALF])
"""Values of f, in units of the square root of a row's variance."""
NEIGHBOURS = np.array([*range(0, 36, 4), 36, *range(37, 73, 4)])
"""Where groups of four neighbours on the grid begin, which become one component: they differ by less than the spread."""
SPREADS = (0.1, 0.3)
"""Not less: the grid's steps are a fifth of f."""
START_RATE = 0.7
RATES = (1e-3, 1.0 - 1e-3)
CELLS_TO_LEARN = 6_000
"""Measurements (a row at a point) from which the laws are learned."""
ROUNDS = 30
CHUNK = 300_000
"""Measurements x grid points that are held at once."""
NEVER = 1e-30
FURTHEST = 80.0
"""Log of the largest ratio of likelihoods: of both explanations only one is left long before."""

OnGrid = Float[np.ndarray, "rows grid"]
OfScales = Float[np.ndarray, "rows scales"]
PerPoint = Float[np.ndarray, "rows points"]
PointsOnGrid = Float[np.ndarray, "rows points grid"]
PointsOfScales = Float[np.ndarray, "rows points scales"]
Chance = Float[np.ndarray, "grid"]
"""Probability of every place of the grid."""
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Weights, means and variances of components, rows x components."""


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

    def log_likelihoods(self, block: Block, scales: Sequence[float]) -> OfScales:
        """Of every row, where f has each of these scales."""
        return np.concatenate([_Explained.of(part, self).evidence(_on_grid(scales)) for part in _chunks(block)])

    def posterior(
        self, block: Block, scales: Sequence[float], weights: Float[np.ndarray, "scales"], targets: Places
    ) -> tuple[PerRow, Targets, Targets, Targets, Targets, GeneMixture]:
        """Log likelihood of every row; mean, variance, own weight and own fit (`Kriged`) at the targets, and the mixture.

        Parameters
        ----------
        block
            What was measured.
        scales
            Of f.
        weights
            Of these scales; their sum is 1.
        targets
            Places, as those in `Block.points`; a new one has the response with the probability `rate`.
        """
        chance = (weights @ _on_grid(scales)).astype(np.float32)
        columns = {point: i for i, point in enumerate(block.points.tolist())}
        evidence: list[PerRow] = []
        found: list[list[_AtTarget]] = [[] for _ in targets]
        for part in _chunks(block):
            seen = _Explained.of(part, self)
            of_rows, grid = seen.evidence(chance), seen.posterior(chance)
            for at, target in zip(found, targets.tolist(), strict=True):
                column = columns.get(target)
                if column is None:
                    at.append(self._new(seen, grid))
                else:
                    fit = of_rows - seen.evidence(chance, without=column)
                    at.append(self._measured(seen, column, grid, fit))
            evidence.append(of_rows)
        of_rows = np.concatenate(evidence)
        if not len(targets):
            none = np.empty((len(of_rows), 0))
            return of_rows, none, none, none, none, GeneMixture.normal(none, none)
        own_weight, own_fit = (
            np.stack([np.concatenate([getattr(part, name) for part in at]) for at in found], axis=1)
            for name in ("own_weight", "own_fit")
        )
        mixture = GeneMixture(
            *(
                np.stack([np.concatenate([getattr(part.mixture, name) for part in at]) for at in found], axis=1)
                for name in ("weights", "means", "sds")
            )
        )
        return of_rows, mixture.mean, mixture.variance, own_weight, own_fit, mixture

    def _new(self, seen: _Explained, grid: OnGrid) -> _AtTarget:
        """What is expected of a point without a measurement."""
        shared = _grouped(np.float32(self.rate) * grid, seen.f, np.float32(self.spread) * seen.f**2)
        prior = seen.block.variance[:, None] * np.asarray(self.scales)
        alone = (np.broadcast_to((1.0 - self.rate) * np.asarray(self.own), prior.shape), np.zeros_like(prior), prior)
        nothing = np.zeros(len(seen.f))
        return _AtTarget(_side_by_side(shared, alone), nothing, nothing)

    def _measured(self, seen: _Explained, column: int, grid: OnGrid, fit: PerRow) -> _AtTarget:
        """What is expected of a point with a measurement: f as far as it has it, or what it has alone."""
        y = seen.block.y[:, [column]].astype(np.float32)
        noise = np.maximum(seen.block.noise[:, [column]], NOISE_FLOOR).astype(np.float32)
        has_it = grid * (seen.shared[:, column] / (seen.shared[:, column] + np.float32(1.0 - self.rate)))
        around = np.float32(self.spread) * seen.f**2
        share = around / (around + noise)
        of_scale = np.exp(seen.own[:, column] - seen.of_own[:, [column]]) * np.asarray(self.own)
        variance = seen.block.variance[:, None] * np.asarray(self.scales)
        alone = variance / (variance + noise)
        own = (1.0 - has_it.sum(axis=1, dtype=np.float64))[:, None] * of_scale
        own_weight = (has_it * share).sum(axis=1, dtype=np.float64) + (own * alone).sum(axis=1)
        shared = _grouped(has_it, seen.f + share * (y - seen.f), share * noise)
        return _AtTarget(_side_by_side(shared, (own, alone * y, alone * noise)), own_weight, fit)

    @property
    def _own_variance(self) -> float:
        return float(np.dot(self.own, self.scales))


@dataclass(frozen=True)
class _AtTarget:
    """What is believed of one target."""

    mixture: GeneMixture
    own_weight: PerRow
    own_fit: PerRow


@dataclass(frozen=True)
class _Explained:
    """How well both explanations fit every measurement, with f at every place of the grid."""

    block: Block
    f: OnGrid
    own: PointsOfScales
    """Log density of a measurement that is its point's own, for every scale."""
    of_own: PerPoint
    """The same, over all scales."""
    shared: PointsOnGrid
    """How much likelier it is as the shared response than as its point's own, times the rate."""
    log_ratio: PointsOnGrid
    """Log of how much likelier it is by either explanation than as its point's own."""

    @classmethod
    def of(cls, block: Block, law: Conserved) -> _Explained:
        """All of it, under these laws."""
        log_shared, own = _log_densities(block, law.spread, law.scales)
        of_own = logsumexp(own, axis=2, b=np.asarray(law.own))
        shared = _shared(log_shared, of_own, law.rate)
        f = (np.sqrt(block.variance)[:, None] * GRID).astype(np.float32)
        return cls(block, f, own, of_own, shared, np.log(shared + np.float32(1.0 - law.rate)))

    @cached_property
    def _log_sum(self) -> OnGrid:
        log_sum: np.ndarray = self.log_ratio.sum(axis=1)
        return log_sum

    def evidence(self, chance: np.ndarray, *, without: int | None = None) -> np.ndarray:
        """Log likelihood of every row under these chances of the grid's places (one or several rows of them)."""
        log_sum, of_own = self._log_sum, self.of_own.sum(axis=1)
        if without is not None:
            log_sum, of_own = log_sum - self.log_ratio[:, without], of_own - self.of_own[:, without]
        highest = log_sum.max(axis=1, keepdims=True)
        found: np.ndarray = (np.log(chance @ np.exp(log_sum - highest).T) + highest[:, 0] + of_own).T
        return found

    def posterior(self, chance: Chance) -> OnGrid:
        """Probability of every place of the grid."""
        weighed = np.exp(self._log_sum - self._log_sum.max(axis=1, keepdims=True)) * chance
        posterior: np.ndarray = weighed / weighed.sum(axis=1, keepdims=True)
        return posterior


def _grouped(weights: OnGrid, means: OnGrid, variances: OnGrid) -> Parts:
    """Components of the grid, neighbours merged; mean and variance are kept."""
    total, first, second = (
        np.add.reduceat(values, NEIGHBOURS, axis=1, dtype=np.float64)
        for values in (weights, weights * means, weights * (variances + means**2))
    )
    safe = np.maximum(total, NEVER)
    return total, first / safe, np.maximum(second / safe - (first / safe) ** 2, 0.0)


def _side_by_side(shared: Parts, alone: Parts) -> GeneMixture:
    weights, means, variances = (np.concatenate(pair, axis=1) for pair in zip(shared, alone, strict=True))
    return GeneMixture(weights, means, np.sqrt(variances))


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
    densities = [_log_densities(block, spread, scales) for block in blocks]
    n_points = sum(block.y.size for block in blocks)
    n_rows = sum(len(block.y) for block in blocks)
    on_grid = _on_grid(scales)
    rate = START_RATE
    of_scale, own = np.full((2, len(scales)), 1.0 / len(scales))
    log_likelihood = 0.0
    for _ in range(ROUNDS):
        log_likelihood = n_shared = 0.0
        scale_sums, own_sums = np.zeros((2, len(scales)))
        for log_shared, alone in densities:
            of_own = logsumexp(alone, axis=2, b=own)
            as_shared = _shared(log_shared, of_own, rate)
            ratio = as_shared + np.float32(1.0 - rate)
            log_sum = np.log(ratio).sum(axis=1)
            highest = log_sum.max(axis=1, keepdims=True)
            likelihood = np.exp(log_sum - highest)
            by_scale = (likelihood @ on_grid.T) * of_scale
            total = by_scale.sum(axis=1, keepdims=True)
            log_likelihood += float((np.log(total) + highest).sum() + of_own.sum())
            scale_sums += (by_scale / total).sum(axis=0)
            at = likelihood * (of_scale @ on_grid) / total
            has_it = (as_shared / ratio * at[:, None, :]).sum(axis=2)
            n_shared += float(has_it.sum())
            own_sums += (np.exp(alone - of_own[:, :, None]) * own * (1.0 - has_it)[:, :, None]).sum(axis=(0, 1))
        rate = float(np.clip(n_shared / n_points, *RATES))
        of_scale, own = scale_sums / n_rows, np.maximum(own_sums / own_sums.sum(), NEVER)
    return log_likelihood, Conserved(rate, spread, tuple(scales), tuple((own / own.sum()).tolist()))


def _chunks(block: Block) -> Iterator[Block]:
    n_rows = max(CHUNK // (len(GRID) * block.y.shape[1]), 1)
    for start in range(0, len(block.y), n_rows):
        yield block.rows(slice(start, start + n_rows))


def _log_densities(block: Block, spread: float, scales: Sequence[float]) -> tuple[PointsOnGrid, PointsOfScales]:
    """Of every measurement as the shared response and as its point's own, without the constant."""
    noise = np.maximum(block.noise, NOISE_FLOOR)[:, :, None].astype(np.float32)
    y = block.y[:, :, None].astype(np.float32)
    f = (np.sqrt(block.variance)[:, None] * GRID)[:, None, :].astype(np.float32)
    own = (block.variance[:, None] * np.asarray(scales))[:, None, :].astype(np.float32)
    return _log_density(y - f, noise + np.float32(spread) * f**2), _log_density(y, noise + own)


def _shared(log_shared: PointsOnGrid, of_own: PerPoint, rate: float) -> PointsOnGrid:
    """How much likelier every measurement is as the shared response than as its point's own, times the rate."""
    excess = np.clip(log_shared - of_own[:, :, None].astype(np.float32), -FURTHEST, FURTHEST)
    shared: np.ndarray = np.float32(rate) * np.exp(excess)
    return shared


def _log_density(difference: np.ndarray, variance: np.ndarray) -> np.ndarray:
    density: np.ndarray = -0.5 * (np.log(variance) + difference**2 / variance)
    return density


def _on_grid(scales: Sequence[float]) -> Float[np.ndarray, "scales grid"]:
    """Probability of every grid point (what is nearer to it than to others) under N(0, scale)."""
    edges = np.concatenate([[-np.inf], (GRID[1:] + GRID[:-1]) / 2, [np.inf]])
    weights: np.ndarray = np.diff(norm.cdf(edges / np.sqrt(np.asarray(scales))[:, None]), axis=1)
    floored: np.ndarray = np.maximum(weights, NEVER)
    return floored
