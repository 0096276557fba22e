"""Kriging under a mixture of Gaussian-process priors whose weights are learned by marginal likelihood.

A row (one gene, of one perturbation) is seen at several points (contexts, or perturbations): y = f + e with
e ~ N(0, known noise). Its prior is a mixture over components, f ~ N(0, variance x scale x K): K a pattern of sharing
between points and scale a number on a grid. So strong and weak, shared and private responses each find their own
shrinkage, and intervals have the heavy tails that one Gaussian lacks: adaptive shrinkage with many conditions
(Urbut et al. 2019, mash). One more component may be conserved responses (`cycseq.models.kriging.conserved`), which are no
Gaussian process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh
from scipy.special import softmax

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.block import NOISE_FLOOR, Block, PerRow, Places, Targets
from cycseq.models.kriging.conserved import Conserved

Weights = Float[np.ndarray, "patterns scales"]
Covariances = Float[np.ndarray, "patterns all_points all_points"]

EXACT_POINTS = 10
"""Up to so many observed points every row has its own solve; above, noise is taken as (row's) x (point's)."""
LEAST_WEIGHT = 1e-4
"""Components with less weight are dropped."""


@dataclass(frozen=True)
class Mixture:
    """The learned prior: weights of patterns and scales, which sum to 1."""

    scales: tuple[float, ...]
    weights: Weights
    conserved: Conserved | None = None
    """The law of the last pattern, which is no covariance; None where there is no such pattern."""

    @property
    def pattern_weights(self) -> list[float]:
        """Weight of every pattern, over all scales."""
        weights: list[float] = self.weights.sum(axis=1).tolist()
        return weights


@dataclass(frozen=True)
class Posterior:
    """What is known of every row at the targets."""

    mean: Targets
    variance: Targets
    own_weight: Targets
    """Weight of the target's own observation in the mean; 0 where it has none."""
    mixture: GeneMixture | None = field(default=None, kw_only=True)
    """The whole distribution, of this mean and variance; None where moments were all that was asked for."""

    def at(self, targets: Places) -> Posterior:
        """At some of the targets."""
        mixture = None if self.mixture is None else self.mixture.at(slice(None), targets)
        return Posterior(self.mean[:, targets], self.variance[:, targets], self.own_weight[:, targets], mixture=mixture)


@dataclass(frozen=True)
class Kriged(Posterior):
    """A posterior that was computed from observations."""

    own_fit: Targets
    """Log density (without its constant) of the target's own observation given the row's others; 0 where it has none."""


def equal_weights(n_patterns: int, scales: Sequence[float]) -> Mixture:
    """All components alike: where EM starts, and what stays where nothing can be learned."""
    return Mixture(tuple(scales), np.full((n_patterns, len(scales)), 1.0 / (n_patterns * len(scales))))


def learn_mixture(
    blocks: Sequence[Block], covariances: Covariances, scales: Sequence[float], *, conserved: Conserved | None = None
) -> Mixture:
    """Weights that maximise the marginal likelihood of all rows together (EM; the problem is convex).

    Parameters
    ----------
    blocks
        What was measured.
    covariances
        The patterns, as covariances of all points.
    scales
        What they are multiplied by.
    conserved
        The law of responses that most points have and some have not, as one more pattern.
    """
    start = replace(equal_weights(len(covariances) + (conserved is not None), scales), conserved=conserved)
    log_likelihood = np.concatenate([_log_likelihoods(block, start, covariances) for block in blocks])
    weights = expectation_maximisation(log_likelihood)
    weights = np.where(weights < LEAST_WEIGHT, 0.0, weights)
    return replace(start, weights=(weights / weights.sum()).reshape(start.weights.shape))


def krige(
    block: Block, mixture: Mixture, covariances: Covariances, targets: Places, *, n_components: int = 0
) -> Kriged:
    """Posterior mean and variance of every row at the targets (places in the covariances).

    With `n_components`, the posterior's own mixture too, merged to so many.
    """
    shape = (len(block.y), len(targets))
    mean, square, own, total = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(len(block.y))
    highest, others = np.full(len(block.y), -np.inf), np.full(shape, -np.inf)
    parts: list[tuple[PerRow, _Component]] = []
    for part in _components(block, mixture, covariances, targets):
        joint = np.log(part.weight) + part.log_likelihood
        raised = np.maximum(highest, joint)
        kept, new = np.exp(highest - raised)[:, None], np.exp(joint - raised)[:, None]
        mean = kept * mean + new * part.mean
        square = kept * square + new * (part.variance + part.mean**2)
        own = kept * own + new * part.own_weight
        others = np.logaddexp(others, joint[:, None] - part.own_fit)
        total = kept[:, 0] * total + new[:, 0]
        highest = raised
        if n_components:
            parts.append((joint, part))
    mean, own = mean / total[:, None], own / total[:, None]
    own_fit = (highest + np.log(total))[:, None] - others
    variance = np.maximum(square / total[:, None] - mean**2, 0.0)
    whole = _whole(parts, highest + np.log(total)).compressed(n_components) if n_components else None
    return Kriged(mean, variance, own, own_fit, mixture=whole)


def _whole(parts: Sequence[tuple[PerRow, _Component]], evidence: PerRow) -> GeneMixture:
    """All components side by side, each weighed by its share of the evidence; in single precision, as they are many."""
    weights, means, sds = [], [], []
    for joint, part in parts:
        share = np.exp(joint - evidence)[:, None, None]
        inner = GeneMixture.normal(part.mean, np.sqrt(part.variance)) if part.inner is None else part.inner
        weights.append((share * inner.weights).astype(np.float32))
        means.append(inner.means.astype(np.float32))
        sds.append(inner.sds.astype(np.float32))
    weight, mean, sd = (np.concatenate(found, axis=2) for found in (weights, means, sds))
    return GeneMixture(weight / weight.sum(axis=2, keepdims=True), mean, sd)


def prior_covariance(
    block: Block, mixture: Mixture, covariances: Covariances
) -> Float[np.ndarray, "rows all_points all_points"]:
    """Prior covariance of every row at all points, its components weighed by what was measured of the row."""
    weights = mixture.weights[mixture.weights > 0]
    chance = softmax(np.log(weights) + _log_likelihoods(block, mixture, covariances), axis=1)
    of_component = [
        mixture.scales[scale] * covariances[pattern]
        if pattern < len(covariances) or mixture.conserved is None
        else mixture.conserved.covariance(mixture.scales[scale], covariances.shape[1])
        for pattern, scale in np.argwhere(mixture.weights > 0).tolist()
    ]
    covariance: np.ndarray = block.variance[:, None, None] * np.tensordot(chance, np.stack(of_component), axes=1)
    return covariance


@dataclass(frozen=True)
class _Component:
    weight: float
    log_likelihood: PerRow
    mean: Targets
    variance: Targets
    own_weight: Targets
    own_fit: Targets
    inner: GeneMixture | None = None
    """Where it is a mixture itself."""


def _components(block: Block, mixture: Mixture, covariances: Covariances, targets: Places) -> Iterator[_Component]:
    """Those with weight; conserved responses of all scales as one."""
    solve = _exact if block.y.shape[1] <= EXACT_POINTS else _factorised
    for covariance, weights in zip(covariances, mixture.weights, strict=False):
        used = np.flatnonzero(weights > 0)
        if used.size:
            scales = [mixture.scales[i] for i in used]
            for i, parts in zip(used, solve(block, covariance, scales, targets), strict=True):
                yield _Component(float(weights[i]), *parts)
    if mixture.conserved is not None and mixture.weights[-1].any():
        weights = mixture.weights[-1]
        found = mixture.conserved.posterior(block, mixture.scales, weights / weights.sum(), targets)
        yield _Component(float(weights.sum()), *found)


def _log_likelihoods(block: Block, mixture: Mixture, covariances: Covariances) -> Float[np.ndarray, "rows components"]:
    """Of every row under every component with weight, patterns by scales."""
    nowhere = np.empty(0, dtype=np.int64)
    gaussian = replace(mixture, conserved=None, weights=mixture.weights[: len(covariances)])
    found = [part.log_likelihood[:, None] for part in _components(block, gaussian, covariances, nowhere)]
    if mixture.conserved is not None:
        scales = [mixture.scales[i] for i in np.flatnonzero(mixture.weights[-1] > 0)]
        found.append(mixture.conserved.log_likelihoods(block, scales) if scales else np.empty((len(block.y), 0)))
    return np.concatenate(found, axis=1)


Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _exact(block: Block, covariance: np.ndarray, scales: list[float], targets: Places) -> Iterator[Parts]:
    """One small Cholesky factor per row, whatever its noise."""
    between, across = covariance[np.ix_(block.points, block.points)], covariance[np.ix_(block.points, targets)]
    own = (block.points[:, None] == targets).astype(np.float64)
    with_own, n_targets = bool(own.any()), len(targets)
    noise = np.maximum(block.noise, NOISE_FLOOR)[:, :, None] * np.eye(block.y.shape[1])
    right = np.broadcast_to(
        np.hstack([across, own] if with_own else [across]),
        (len(block.y), *across.shape[:1], n_targets * (1 + with_own)),
    )
    right = np.concatenate([block.y[:, :, None], right], axis=2)
    for scale in scales:
        prior = (scale * block.variance)[:, None]
        root = np.linalg.cholesky(prior[:, :, None] * between + noise)
        solved = _forward(root, right)
        white, reach = solved[:, :, 0], solved[:, :, 1 : 1 + n_targets]
        log_likelihood = -0.5 * (white**2).sum(axis=1) - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        mean = prior * (white[:, None, :] @ reach)[:, 0, :]
        left = prior * (covariance[targets, targets] - prior * (reach**2).sum(axis=1))
        at_own = solved[:, :, 1 + n_targets :] if with_own else np.zeros_like(reach)
        own_weight = prior * (reach * at_own).sum(axis=1)
        own_fit = _fit((white[:, None, :] @ at_own)[:, 0, :], (at_own**2).sum(axis=1))
        yield log_likelihood, mean, np.maximum(left, 0.0), own_weight, own_fit


def _forward(
    root: Float[np.ndarray, "rows n n"], right: Float[np.ndarray, "rows n k"]
) -> Float[np.ndarray, "rows n k"]:
    """Solve L x = b for every row, L lower triangular, by substitution."""
    solved: Float[np.ndarray, "rows n k"] = np.empty_like(right)
    for i in range(right.shape[1]):
        known = (root[:, i, None, :i] @ solved[:, :i])[:, 0]
        solved[:, i] = (right[:, i] - known) / root[:, i, i, None]
    return solved


def _factorised(block: Block, covariance: np.ndarray, scales: list[float], targets: Places) -> Iterator[Parts]:
    """One eigendecomposition for all rows: noise taken as (row's mean) x (point's mean share)."""
    noise = np.maximum(block.noise, NOISE_FLOOR)
    of_row = noise.mean(axis=1)
    root = np.sqrt((noise / of_row[:, None]).mean(axis=0))
    values, vectors = eigh(covariance[np.ix_(block.points, block.points)] / root / root[:, None])
    values = np.maximum(values, 0.0)
    white = (block.y / root) @ vectors
    across = vectors.T @ (covariance[np.ix_(block.points, targets)] / root[:, None])
    own = vectors.T @ ((block.points[:, None] == targets) / root[:, None])
    for scale in scales:
        prior = (scale * block.variance)[:, None]
        total = prior * values + of_row[:, None]
        weighted = white / total
        log_likelihood = -0.5 * (white * weighted).sum(axis=1) - 0.5 * np.log(total).sum(axis=1)
        mean = prior * (weighted @ across)
        left = prior * (covariance[targets, targets] - prior * ((1.0 / total) @ across**2))
        own_weight = prior * ((1.0 / total) @ (across * own))
        own_fit = _fit(weighted @ own, (1.0 / total) @ own**2)
        yield log_likelihood, mean, np.maximum(left, 0.0), own_weight, own_fit


def _fit(solved: Targets, precision: Targets) -> Targets:
    """Log density of an observation given the others, from its place in inverse x observations and in the inverse."""
    safe = np.where(precision > 0, precision, 1.0)
    fit: Targets = 0.5 * (np.log(safe) - solved**2 / safe)
    return fit


def expectation_maximisation(
    log_likelihood: Float[np.ndarray, "rows components"], *, rounds: int = 300, tolerance: float = 1e-5
) -> Float[np.ndarray, "components"]:
    """Mixture weights by EM, from equal ones."""
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    weights: np.ndarray = np.full(likelihood.shape[1], 1.0 / likelihood.shape[1])
    for _ in range(rounds):
        updated = weights * ((1.0 / (likelihood @ weights)) @ likelihood) / len(likelihood)
        moved = np.abs(updated - weights).max()
        weights = updated
        if moved < tolerance:
            break
    return weights
