"""Control levels, their sampling noise taken off: what the control mean of a context would be with many cells.

A predicted mean is control mean + Delta. The control mean of a small context is itself noisy; other contexts tell how
much of its difference from them is chance. Nothing but control cells is looked at.
"""

from __future__ import annotations

import numpy as np

from cycseq.kriging.covariance import LEVEL_PATTERNS, Square
from cycseq.kriging.measured import Levels
from cycseq.kriging.mixture import Block, Covariances, Mixture, Posterior, krige, learn_mixture

LEVEL_SCALES = tuple((10.0 ** np.arange(-3.0, 1.1, 0.5)).tolist())
LEAST_LEVEL = 1e-3
"""Of a gene's mean level, by which variances between contexts are scaled."""


def learn_levels(mean: Levels, noise: Levels, distances: Square) -> Mixture:
    """The prior of control levels over contexts; distances in units of their median."""
    block = _block(mean, noise)
    return learn_mixture([block], _covariances(distances), LEVEL_SCALES)


def smooth_levels(mean: Levels, noise: Levels, distances: Square, mixture: Mixture) -> Posterior:
    """The levels of every gene (rows) in every context, with their variance."""
    return krige(_block(mean, noise), mixture, _covariances(distances), np.arange(len(mean)))


def _block(mean: Levels, noise: Levels) -> Block:
    level = np.maximum(mean.mean(axis=0), LEAST_LEVEL)
    return Block(mean.T.astype(np.float64), noise.T.astype(np.float64), level, np.arange(len(mean)))


def _covariances(distances: Square) -> Covariances:
    return np.stack([pattern.covariance(distances) for pattern in LEVEL_PATTERNS])
