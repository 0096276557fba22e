"""A context answers as a weighted sum of the others: some alike, some not at all, some with the opposite sign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import DeltaModel
from cycseq.models.other_contexts import OtherContexts

FEWEST = 3
"""Perturbations measured both here and elsewhere, from which on something is learned of this context."""
PENALTIES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Ridge penalties that are tried, in units of the mean squared length of a context's responses, summed over perturbations."""


@dataclass
class ContextRidge(DeltaModel):
    """Control cells plus the context's mean Delta and a weighted sum of what is specific to the perturbation in each other context.

    Formula: Delta^(p, c*) = m(c*) + sum_c b_c (Delta(p, c) - m(c)), with m the mean Delta of a context and b, one number for each
    other context, a ridge regression over all genes of the perturbations that c* has; the penalty is chosen by leaving out one of
    them at a time. A context in which p was not measured says nothing. With fewer than three such perturbations it is the
    mean over other contexts.

    Reference: Hoerl and Kennard 1970 (ridge regression).

    Strong for an unseen pair where contexts differ in strength or sign of all their responses. It refuses a perturbation that no other
    context has, and knows nothing of a context in which nothing was measured.
    """

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        """The weighted sum."""
        there, name, context = self.measured_elsewhere(condition), condition.perturbation, condition.context
        cache = self.learned.cache
        if context not in cache:
            cache[context] = _weights(there, context)
        weights: np.ndarray | None = cache[context]
        if weights is None:
            return there.mean([name], context)[0].astype(np.float32)
        others = [other for other in there.contexts if other != context]
        shift: Profile = there.commons[context] + weights @ there.specific_in(name, others)
        return shift.astype(np.float32)


def _weights(there: OtherContexts, context: str) -> np.ndarray | None:
    """One for each other context; None where too little was measured here."""
    names = [name for name in there.inside(context) if there.has(name, context)]
    if len(names) < FEWEST:
        return None
    others = [other for other in there.contexts if other != context]
    products, targets, squares = (
        np.zeros((len(names), len(others), len(others))),
        np.zeros((len(names), len(others))),
        0.0,
    )
    for i, name in enumerate(names):
        residual = there.effect[there.places[name][context]].astype(np.float64) - there.commons[context]
        measured = ~np.isnan(residual)
        inputs = there.specific_in(name, others)[:, measured]
        products[i], targets[i] = inputs @ inputs.T, inputs @ residual[measured]
        squares += float(residual[measured] @ residual[measured])
    total, target = products.sum(axis=0), targets.sum(axis=0)
    unit = np.eye(len(others)) * (float(np.trace(total)) / len(others) or 1.0)

    def left_out(penalty: float) -> float:
        weights = np.linalg.solve(total - products + penalty * unit, (target - targets)[:, :, None])[:, :, 0]
        explained = 2.0 * np.einsum("ij,ij->i", weights, targets) - np.einsum(
            "ij,ijk,ik->i", weights, products, weights
        )
        return squares - float(explained.sum())

    penalty = min(PENALTIES, key=left_out)
    return np.linalg.solve(total + penalty * unit, target)
