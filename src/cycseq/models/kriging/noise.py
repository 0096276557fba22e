"""Sampling variances of effects and of control means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.matrix.arrays import Profile
from cycseq.models.kriging.table import Values


def cell_variance(se: Values, conditions: Sequence[Condition], noise_of: Mapping[str, Profile]) -> Values:
    """Sampling variances of the perturbed cells alone; the mean of a condition's where one is unknown.

    The noise of the control mean is the same in all conditions of a context: it is part of what these have in common.
    """
    squares = np.square(se, dtype=np.float32)
    with np.errstate(invalid="ignore"):
        of_row = np.nanmean(squares, axis=1, keepdims=True)
    of_row = np.where(np.isnan(of_row), np.nanmean(squares), of_row)
    squares = np.where(np.isnan(squares), of_row, squares)
    several = Counter(c.context for c in conditions)
    for row, condition in enumerate(conditions):
        if condition.context in noise_of and several[condition.context] > 1:
            squares[row] -= np.minimum(noise_of[condition.context], 0.9 * squares[row])
    return np.asarray(squares, dtype=np.float32)


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
