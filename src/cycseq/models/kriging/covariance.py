"""Covariances between contexts: shared by all, shared by near ones, and a context's own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Square = Float[np.ndarray, "contexts contexts"]
Positions = Float[np.ndarray, "contexts genes"]


class Pattern(NamedTuple):
    """How a response is shared between contexts: K = shared 11' + near RBF(distance / length) + own I."""

    shared: float
    near: float
    own: float
    length: float = 1.0
    """In units of the median distance between training contexts."""

    def covariance(self, distances: Square) -> Square:
        """K(c, c') of all contexts, from their distances."""
        near = np.exp(-0.5 * (distances / self.length) ** 2)
        covariance: Square = self.shared + self.near * near + self.own * np.eye(len(distances))
        return covariance


RESPONSE_PATTERNS = (
    Pattern(1.0, 0.0, 0.0),
    Pattern(0.0, 1.0, 0.0, 0.5),
    Pattern(0.0, 1.0, 0.0, 1.0),
    Pattern(0.5, 0.5, 0.0, 0.5),
    Pattern(0.5, 0.5, 0.0, 1.0),
    Pattern(0.4, 0.3, 0.3, 1.0),
    Pattern(0.6, 0.0, 0.4),
    Pattern(0.0, 0.0, 1.0),
)
"""What a response to a perturbation may look like across contexts; the weights of these are learned."""

LEVEL_PATTERNS = tuple(Pattern(0.0, near, 1.0 - near, 1.0) for near in (0.0, 0.5, 0.9))
"""How control levels may differ between contexts, beside the level that all share."""


def euclidean(profiles: Positions) -> Square:
    """Euclidean distances between mean profiles."""
    squares = (profiles**2).sum(axis=1)
    squared = squares[:, None] + squares[None, :] - 2.0 * profiles @ profiles.T
    np.fill_diagonal(squared, 0.0)
    distances: Square = np.sqrt(np.maximum(squared, 0.0))
    return distances


def median_distance(distances: Square) -> float:
    """The median distance between different contexts; 1 where there is one context, or they do not differ."""
    between = distances[np.triu_indices(len(distances), 1)]
    median = float(np.median(between)) if between.size else 0.0
    return median if median > 0 else 1.0
