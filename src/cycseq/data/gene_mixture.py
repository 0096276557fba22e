"""A distribution for every gene as a small mixture of normal ones: what a model believes of a response.

A posterior that is a mixture has no one width: most of it may be narrow and near zero, the rest wide. Probabilities and
intervals are therefore sums over its components, never those of one normal distribution with its mean and sd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

Components = Float[np.ndarray, "*genes components"]
PerGene = Float[np.ndarray, "*genes"]

BISECTIONS = 26  # halvings of the interval between the components' quantiles: to 1.5e-8 of it
TINY = 1e-30


@dataclass(frozen=True)
class SignProbabilities:
    """What is believed of the sign and the size of every gene's response."""

    up: PerGene  # that it is above 0
    down: PerGene  # that it is below 0
    lfsr: PerGene  # local false sign rate: that the likelier of both signs is wrong (Stephens 2017), in [0, 0.5]
    beyond: PerGene  # that it is beyond the threshold, up or down


@dataclass(frozen=True)
class GeneMixture:
    """Weights, means and standard deviations of normal components, on the last axis; weights of a gene sum to 1."""

    weights: Components
    means: Components
    sds: Components

    @classmethod
    def normal(cls, mean: PerGene, sd: PerGene) -> GeneMixture:
        """One component."""
        mean, sd = np.broadcast_arrays(mean, sd)
        return cls(np.ones((*mean.shape, 1)), mean[..., None], sd[..., None])

    @cached_property
    def mean(self) -> PerGene:
        """Expectation."""
        return (self.weights * self.means).sum(axis=-1)

    @cached_property
    def variance(self) -> PerGene:
        """Variance, between and within components."""
        return (self.weights * (self.sds**2 + (self.means - self.mean[..., None]) ** 2)).sum(axis=-1)

    def cdf(self, x: PerGene | float) -> PerGene:
        """Probability of a value of at most `x`, which is one number or one a gene."""
        return (self.weights * ndtr((np.asarray(x)[..., None] - self.means) / np.maximum(self.sds, 1e-12))).sum(axis=-1)

    def quantile(self, level: float) -> PerGene:
        """The value below which a share `level`, in (0, 1), lies: by bisection between the components' own."""
        at = np.where(self.weights > 0, self.means + ndtri(level) * self.sds, self.mean[..., None])
        low, high = at.min(axis=-1), at.max(axis=-1)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return 0.5 * (low + high)

    def probabilities(self, threshold: float) -> SignProbabilities:
        """Probabilities of sign and size; a response beyond `threshold`, up or down, is large."""
        down = np.clip(self.cdf(0.0), 0.0, 1.0)
        beyond = np.clip(self.cdf(-threshold) + 1.0 - self.cdf(threshold), 0.0, 1.0)
        return SignProbabilities(1.0 - down, down, np.minimum(down, 1.0 - down), beyond)

    def log_density(self, y: PerGene, noise: PerGene) -> PerGene:
        """Log density of a measurement with this sampling variance, without its constant."""
        total = self.sds**2 + noise[..., None]
        density = self.weights * np.exp(-0.5 * (y[..., None] - self.means) ** 2 / total) / np.sqrt(total)
        return np.log(np.maximum(density.sum(axis=-1), TINY))

    def plus(self, other: GeneMixture, n_components: int) -> GeneMixture:
        """The sum of two independent responses: every component of one with every component of the other."""
        shape = (*np.broadcast_shapes(self.means.shape[:-1], other.means.shape[:-1]), -1)
        weights = self.weights[..., :, None] * other.weights[..., None, :]
        means = self.means[..., :, None] + other.means[..., None, :]
        variances = self.sds[..., :, None] ** 2 + other.sds[..., None, :] ** 2
        product = GeneMixture(weights.reshape(shape), means.reshape(shape), np.sqrt(variances).reshape(shape))
        return product.compressed(n_components)

    def noisy(self, noise: PerGene) -> GeneMixture:
        """What a measurement with this sampling variance will show."""
        return GeneMixture(self.weights, self.means, np.sqrt(self.sds**2 + noise[..., None]))

    def scaled(self, factor: PerGene | float) -> GeneMixture:
        """The same times a number, one for all or one a gene."""
        by = np.asarray(factor)[..., None]
        return GeneMixture(self.weights, self.means * by, self.sds * np.abs(by))

    def shifted(self, by: PerGene) -> GeneMixture:
        """The same with another mean."""
        means = self.means + by[..., None]
        weights, sds = (np.broadcast_to(part, means.shape) for part in (self.weights, self.sds))
        return GeneMixture(weights, means, sds)

    def stretched(self, factor: PerGene | float) -> GeneMixture:
        """The same mean, deviations from it times a number."""
        mean = self.mean
        return self.shifted(-mean).scaled(factor).shifted(mean)

    def at(self, *place: Any) -> GeneMixture:
        """Some of the genes."""
        return GeneMixture(self.weights[place], self.means[place], self.sds[place])

    def compressed(self, n_components: int) -> GeneMixture:
        """Fewer components: neighbours in width are merged, mean and variance are kept.

        Components are ordered by sd. The information that merging two neighbours would lose (Runnalls 2007) is their
        distance; the line that these distances make is cut in `n_components` equal lengths, and what lies in one becomes
        one component.
        """
        n_all = self.means.shape[-1]
        if n_all <= n_components:
            return self
        genes = self.means.shape[:-1]
        weights, means, sds = (part.reshape(-1, n_all) for part in (self.weights, self.means, self.sds))
        order = np.argsort(sds, axis=1)
        weights, means, sds = (np.take_along_axis(part, order, axis=1) for part in (weights, means, sds))
        centre = (weights * means).sum(axis=1, keepdims=True)
        means, variances = means - centre, np.maximum(sds * sds, TINY)
        logs = weights * np.log(variances)
        pair = weights[:, 1:] + weights[:, :-1] + TINY
        first = weights[:, :-1] / pair
        joint = first * variances[:, :-1] + (1.0 - first) * variances[:, 1:]
        joint += first * (1.0 - first) * (means[:, 1:] - means[:, :-1]) ** 2
        loss = pair * np.log(np.maximum(joint, TINY)) - logs[:, :-1] - logs[:, 1:]
        place = np.zeros_like(means)
        np.cumsum(np.sqrt(np.maximum(loss, 0.0)), axis=1, out=place[:, 1:])
        place *= n_components * (1.0 - 1e-6) / np.maximum(place[:, -1:], TINY)
        group = (place.astype(np.int64) + n_components * np.arange(len(place))[:, None]).ravel()
        total, sums, second = (
            np.bincount(group, part.ravel(), n_components * len(means)).reshape(-1, n_components)
            for part in (weights, weights * means, weights * (variances + means**2))
        )
        empty = total <= TINY
        safe = np.where(empty, 1.0, total)
        spread = np.where(empty, second.sum(axis=1, keepdims=True), second / safe - (sums / safe) ** 2)
        shape = (*genes, n_components)
        return GeneMixture(
            np.where(empty, 0.0, total).reshape(shape),
            (sums / safe + centre).reshape(shape),
            np.sqrt(np.maximum(spread, 0.0)).reshape(shape),
        )


def mix(shares: Sequence[PerGene | float], mixtures: Sequence[GeneMixture]) -> GeneMixture:
    """One of several mixtures, each with its share (one number or one a gene; shares sum to 1): components side by side."""
    weights = [np.asarray(share)[..., None] * part.weights for share, part in zip(shares, mixtures, strict=True)]
    means, sds = ([getattr(part, name) for part in mixtures] for name in ("means", "sds"))
    return GeneMixture(*(np.concatenate(parts, axis=-1) for parts in (weights, means, sds)))
