"""`Kernel`: how alike conditions are in one respect, and where its weight may differ."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cycseq.matrix.arrays import Profiles
from cycseq.models.kriging.table import Square, Table

FEWEST = 3  # contexts from which on near ones are told from others


@dataclass(frozen=True)
class Kernel:
    """One positive semidefinite matrix over the conditions of a table."""

    name: str  # what model cards and messages call it, in words
    values: Square
    own: bool = False  # only conditions of the same setting are alike, and every setting may have a weight of its own
    told_by_responses: bool = False
    """The likeness itself is taken from measured responses, so that a perturbation measured nowhere has none."""


def near_contexts(table: Table) -> Square | None:
    """`likeness_of_profiles` of two conditions' contexts; None where there are few contexts, or some profiles are unknown."""
    names = list(dict.fromkeys(c.context for c in table.conditions))
    if len(names) < FEWEST or not set(names) <= set(table.profiles):
        return None
    near = likeness_of_profiles(np.stack([table.profiles[name] for name in names]))
    return np.asarray(near[np.ix_(table.contexts, table.contexts)])


def likeness_of_profiles(profiles: Profiles) -> Float[np.ndarray, "contexts contexts"]:
    """exp(-(distance / median distance)^2) of control profiles."""
    profiles = profiles.astype(np.float64)
    squared = (profiles**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squared[:, None] + squared[None] - 2 * profiles @ profiles.T, 0.0))
    unit = max(float(np.median(distance[np.triu_indices(len(profiles), 1)])), 1e-12)
    return np.asarray(np.exp(-((distance / unit) ** 2)))
