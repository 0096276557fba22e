"""The directions in which what was measured of several conditions is independent, whatever the amplitude of its kernel."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from cycseq.models.kriging.table import Square, Values


@dataclass(frozen=True)
class Directions:
    """The eigendecomposition of D^-1/2 K D^-1/2, with K the kernel and D the noise: one serves all genes and amplitudes.

    Along direction k, measurements with covariance a K + D have variance a x values[k] + 1.
    """

    values: Float[np.ndarray, "conditions"]
    vectors: Square  # D^-1/2 times the eigenvectors, in columns

    @classmethod
    def of(cls, kernel: Square, noise: Square) -> Self:
        """Decompose."""
        root = np.linalg.inv(np.linalg.cholesky(noise))
        values, vectors = np.linalg.eigh(root @ kernel @ root.T)
        return cls(np.maximum(values, 0.0), root.T @ vectors)

    def with_noise(self, factor: float) -> Self:
        """Of the same kernel and so many times the noise."""
        return type(self)(self.values / factor, self.vectors / np.sqrt(factor))


@dataclass(frozen=True)
class Measurements:
    """What was measured of some conditions."""

    kernel: Square
    noise: Square  # covariances of the measurements' errors, mean over genes
    effect: Values  # without NaN
    directions: Directions

    @classmethod
    def of(cls, kernel: Square, noise: Square, effect: Values) -> Self:
        """Decompose their kernel."""
        return cls(kernel, noise, effect, Directions.of(kernel, noise))

    @cached_property
    def turned(self) -> Values:
        """Effects in the directions."""
        return self.directions.vectors.T.astype(np.float32) @ self.effect.astype(np.float32)

    def take(self, rows: Int[np.ndarray, "rows"]) -> Self:
        """Of some conditions, in ascending order, without regard to the others."""
        if len(rows) == len(self.effect):
            return self
        at = np.ix_(rows, rows)
        return self.of(self.kernel[at], self.noise[at], self.effect[rows])

    def beside(self, effect: Values, error: float) -> Self:
        """Others of the same conditions, with so many times the noise."""
        return type(self)(self.kernel, self.noise * error, effect, self.directions.with_noise(error))
