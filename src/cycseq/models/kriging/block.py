"""What is kriged together: rows (a gene of one perturbation each) that were measured at the same points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Rows = Float[np.ndarray, "rows points"]
Targets = Float[np.ndarray, "rows targets"]
PerRow = Float[np.ndarray, "rows"]
Places = Int[np.ndarray, "places"]

NOISE_FLOOR = 1e-6
"""Of a gene that is zero in all cells: no sample proves a variance of zero."""


@dataclass(frozen=True)
class Block:
    """Rows that are seen at the same points."""

    y: Rows
    noise: Rows
    """Known sampling variance of `y`."""
    variance: PerRow
    """What the scales of the prior are multiplied by."""
    points: Places
    """Place of each column of `y` in the covariances."""

    def without(self, column: int) -> Block:
        """The same rows, one point left out."""
        kept = np.arange(self.y.shape[1]) != column
        return Block(self.y[:, kept], self.noise[:, kept], self.variance, self.points[kept])

    def rows(self, rows: slice | Places) -> Block:
        """Some of the rows."""
        return Block(self.y[rows], self.noise[rows], self.variance[rows], self.points)
