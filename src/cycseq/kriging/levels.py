"""Control levels, their sampling noise taken off: what the control mean of a context would be with many cells.

A predicted mean is control mean + Delta. The control mean of a small context is itself noisy; other contexts tell how
much of its difference from them is chance. Nothing but control cells is looked at.
"""

from __future__ import annotations

import numpy as np

from cycseq.kriging.covariance import LEVEL_PATTERNS, euclidean, median_distance
from cycseq.kriging.measured import Levels
from cycseq.kriging.mixture import Block, Covariances, Mixture, Posterior, krige, learn_mixture

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
