"""A mixture over slopes: a new condition may answer as predicted, twice as much, not at all, or with the opposite sign.

A component of the mixture multiplies by its slope how far the means of a stated distribution are from those of a gene that does not
respond, and by its stretch how wide it is beyond such a gene. The mean slope is 1, so that the mean stays what it is.
"""

from itertools import product

import numpy as np
from jaxtyping import Float

from cycseq.data.gene_mixture import GeneMixture

SLOPES = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0)
STRETCHES = (0.3, 1.0, 1.5, 3.0)
CHANGES = tuple(product(SLOPES, STRETCHES))  # every component: slope and stretch
UNCHANGED = CHANGES.index((1.0, 1.0))
PRIOR_ROWS = 10.0  # rows that say that nothing is to be changed: caution against overfitting
START_UNCHANGED = 0.9  # share from which EM starts: where measurements tell nothing, it stays
LEAST = 0.002  # components of less weight are dropped
ROUNDS = 100  # of EM

Rows = Float[np.ndarray, "rows"]
Weights = Float[np.ndarray, "changes"]
Densities = Float[np.ndarray, "rows changes"]


def changed(mixture: GeneMixture, slope: float, stretch: float) -> GeneMixture:
    """The distribution under one component."""
    rest, width = mixture.means[..., :1], mixture.sds[..., :1]
    beyond = beyond_rest(mixture)
    return GeneMixture(mixture.weights, rest + slope * beyond.means, np.hypot(stretch * beyond.sds, width))


def beyond_rest(mixture: GeneMixture) -> GeneMixture:
    """What every gene does beyond one that does not respond, which is the first component."""
    rest, width = mixture.means[..., :1], mixture.sds[..., :1]
    return GeneMixture(mixture.weights, mixture.means - rest, np.sqrt(np.maximum(mixture.sds**2 - width**2, 0.0)))


def densities(mixture: GeneMixture, y: Rows, noise: Rows) -> Densities:
    """Of every measurement under every component, each row in units of its largest."""
    logs = np.stack([changed(mixture, *change).log_density(y, noise) for change in CHANGES], axis=1)
    return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))


def likeliest(density: Densities, importance: Rows) -> Weights:
    """Weights that make the measurements likeliest among those of mean slope 1: EM, with that constraint in its M step."""
    near = importance > 0
    density, importance = density[near], importance[near]
    weights: Weights = np.full(len(CHANGES), (1.0 - START_UNCHANGED) / (len(CHANGES) - 1))
    weights[UNCHANGED] = START_UNCHANGED
    for _ in range(ROUNDS):
        counts = weights * ((importance / np.maximum(density @ weights, 1e-30)) @ density)
        counts[UNCHANGED] += PRIOR_ROWS
        weights = _centred(counts / counts.sum())
    large: Weights = np.where(weights < LEAST, 0.0, weights)
    return _centred(large / large.sum())


def _centred(weights: Weights) -> Weights:
    """The p that maximise sum(weights x log p) at a mean slope of 1: weights / (1 + multiplier x (slope - 1)).

    Empirical likelihood under a constraint (Owen 1988); the multiplier by halving the interval in which all p are positive.
    """
    by_slope = weights.reshape(len(SLOPES), -1).sum(axis=1).tolist()
    used = [(weight, slope - 1.0) for weight, slope in zip(by_slope, SLOPES, strict=True) if weight > 0]
    least, most = used[0][1], used[-1][1]
    if least >= 0 or most <= 0:
        return np.asarray(np.eye(len(weights))[UNCHANGED]) if least or most else weights
    low, high = -1.0 / most, -1.0 / least
    for _ in range(50):
        middle = 0.5 * (low + high)
        above = sum(weight * away / (1.0 + middle * away) for weight, away in used) > 0
        low, high = (middle, high) if above else (low, middle)
    away = np.repeat(SLOPES, len(STRETCHES)) - 1.0
    centred = weights / np.where(weights > 0, 1.0 + 0.5 * (low + high) * away, 1.0)
    return np.asarray(centred / centred.sum())
