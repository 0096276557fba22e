"""Control levels, their sampling noise taken off: what the control mean of a context would be with many cells.

A predicted mean is control mean + Delta. The control mean of a small context is itself noisy; other contexts tell how
much of its difference from them is chance. Nothing but control cells is looked at.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from cycseq.models.kriging.block import Block
from cycseq.models.kriging.covariance import LEVEL_PATTERNS, euclidean, median_distance
from cycseq.models.kriging.measured import Levels
from cycseq.models.kriging.mixture import Covariances, Mixture, Posterior, krige, learn_mixture

Level = Float[np.ndarray, "genes"]
LEVEL_SCALES = tuple((10.0 ** np.arange(-3.0, 1.1, 0.5)).tolist())
WIDE = 100.0
"""Prior variance of the level that contexts share, whatever the scale of their differences: it is left open."""
LEAST_LEVEL = 1e-3
"""Of a gene's mean level, by which variances between contexts are scaled."""


def learn_levels(mean: Levels, noise: Levels) -> Mixture:
    """The prior of control levels over contexts, from their means and sampling variances."""
    return learn_mixture([_block(mean, noise)], _covariances(mean), (1.0,))


def smooth_levels(mean: Levels, noise: Levels, mixture: Mixture) -> Posterior:
    """The levels of every gene (rows) in every context, with their variance."""
    return krige(_block(mean, noise), mixture, _covariances(mean), np.arange(len(mean)))


def _block(mean: Levels, noise: Levels) -> Block:
    level = np.maximum(mean.mean(axis=0), LEAST_LEVEL)
    return Block(mean.T.astype(np.float64), noise.T.astype(np.float64), level, np.arange(len(mean)))


def _covariances(mean: Levels) -> Covariances:
    distances = euclidean(mean)
    distances = distances / median_distance(distances)
    differences = [scale * pattern.covariance(distances) for pattern in LEVEL_PATTERNS for scale in LEVEL_SCALES]
    return WIDE + np.stack(differences)


def weight_of_known(known: Level, known_noise: Level, given: Level, given_noise: Level) -> Level:
    """Weight of a control level known from training, where other control cells of the context are given.

    Both are weighed by precision. Where they differ by more than chance, over all genes (another batch or depth), the
    excess counts as noise of the known one. The same cells tell nothing new: the weight is 1.
    """
    if np.allclose(known, given, atol=1e-6):
        return np.ones_like(known)
    noise = known_noise + given_noise
    excess = max(float(((known - given) ** 2).sum() / max(noise.sum(), 1e-12)), 1.0)
    weight: Level = given_noise / np.maximum(given_noise + known_noise + (excess - 1.0) * noise, 1e-12)
    return weight
