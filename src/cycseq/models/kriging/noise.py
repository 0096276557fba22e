"""Sampling variances of effects and of control means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Int

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.matrix.arrays import Profile
from cycseq.models.kriging.table import Square, Values


@dataclass(frozen=True)
class Sampling:
    """Sampling variances of measured effects: those of the perturbed cells, and those of the control mean they were taken against.

    The error of a control mean is the same in all conditions of its context; it is no response that these have in common.
    """

    cells: Values
    control: Values  # of each condition's context; 0 where it is unknown

    @classmethod
    def of(cls, se: Values, conditions: Sequence[Condition], noise_of: Mapping[str, Profile]) -> Self:
        """Split squared standard errors into both; the mean of a condition's where one is unknown."""
        squares = np.square(se, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            of_row = np.nanmean(squares, axis=1, keepdims=True)
        of_row = np.where(np.isnan(of_row), np.nanmean(squares), of_row)
        squares = np.where(np.isnan(squares), of_row, squares)
        control = np.zeros_like(squares)
        for row, condition in enumerate(conditions):
            if condition.context in noise_of:
                control[row] = np.minimum(noise_of[condition.context], 0.9 * squares[row])
        return cls(squares - control, control)

    @property
    def total(self) -> Values:
        """Of a measured effect."""
        return np.asarray(self.cells + self.control)

    def take(self, rows: Int[np.ndarray, "rows"]) -> Self:
        """Some of the conditions."""
        return type(self)(self.cells[rows], self.control[rows])

    def divided(self, slope: Values) -> Self:
        """Of effects divided by a slope."""
        squares = slope**2
        return type(self)(np.asarray(self.cells / squares), np.asarray(self.control / squares))

    def covariance(self, contexts: Int[np.ndarray, "conditions"]) -> Square:
        """Of the errors of conditions, mean over genes."""
        root = np.sqrt(self.control.mean(axis=1, dtype=np.float64))
        shared = np.where(contexts[:, None] == contexts[None], np.outer(root, root), 0.0)
        return np.asarray(shared + np.diag(self.cells.mean(axis=1, dtype=np.float64)))


def profile_noise(train: Effects, contexts: Iterable[str]) -> dict[str, Profile]:
    """Sampling variance of the mean of every context's control cells; 0 where it is unknown."""
    variance, conditions = train.layer("variance"), train.conditions()
    if variance is None:
        return {context: np.zeros(len(train.genes), dtype=np.float32) for context in contexts}
    row = {c.context: i for i, c in enumerate(conditions) if c.is_control}
    n_cells = train.adata.obs["n_cells"].to_numpy()
    return {
        context: np.nan_to_num(variance[row[context]] / n_cells[row[context]]).astype(np.float32)
        for context in contexts
    }
