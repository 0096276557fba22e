"""Which measured responses count for a condition, and how much: those in contexts with similar control cells first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from cycseq.data.dataset import Condition
from cycseq.matrix.arrays import Profile, Profiles


def response_weights(
    condition: Condition,
    conditions: Sequence[Condition],
    contexts: Sequence[str],
    places: Profiles,
    here: Profile,
    *,
    nearness: float,
) -> Float[np.ndarray, "known"] | None:
    """How much each known condition counts for this one; None where a part of it is known in combinations only.

    A perturbation takes the conditions that have it; a new combination those of all its parts, so that their responses
    are summed. A context weighs exp(-`nearness` d / m): d is the squared distance of its place from `here`, and m the
    median between places. The weights of one perturbation sum to 1.

    `places` are where the control cells of each of the `contexts` lie, in any space, and `here` where those of the condition's context do;
    at a `nearness` of 0 all contexts count alike.
    """
    perturbations = {c.perturbation for c in conditions}
    names = [condition.perturbation] if condition.perturbation in perturbations else condition.parts
    if not perturbations.issuperset(names):
        return None
    apart = np.square(places[:, None] - places[None]).sum(axis=2)[np.triu_indices(len(places), 1)]
    scale = float(np.median(apart)) if len(apart) else 1.0
    row = {context: i for i, context in enumerate(contexts)}
    weights = np.zeros(len(conditions), dtype=np.float32)
    for name in names:
        rows = [i for i, c in enumerate(conditions) if c.perturbation == name]
        distance = np.square(places[[row[conditions[i].context] for i in rows]] - here).sum(axis=1)
        weight = np.exp(-nearness * (distance - distance.min()) / scale)
        weights[rows] += weight / weight.sum()
    return weights
