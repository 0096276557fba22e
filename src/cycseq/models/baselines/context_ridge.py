"""A context answers as a weighted sum of the others: some alike, some not at all, some with the opposite sign."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import RegressionModel
from cycseq.models.other_contexts import OtherContexts

PENALTIES = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Ridge penalties that are tried, in units of the mean squared length of a context's responses, summed over perturbations."""


@dataclass
class ContextRidge(RegressionModel):
    """Control cells plus the context's mean Delta and a weighted sum of what is specific to the perturbation in each other context.

    Formula: Delta^(p, c*) = m(c*) + sum_c b_c (Delta(p, c) - m(c)), with m the mean Delta of a context and b, one number for each
    other context, a ridge regression over all genes of the perturbations that c* has; the penalty is chosen by leaving out one of
    them at a time. A context in which p was not measured says nothing. With fewer than three such perturbations it is the
    mean over other contexts.

    Reference: Hoerl and Kennard 1970 (ridge regression).

    Strong for an unseen pair where contexts differ in strength or sign of all their responses. It refuses a perturbation that no other
    context has, and knows nothing of a context in which nothing was measured.
    """

    def regress(self, there: OtherContexts, context: str, names: Sequence[str]) -> Callable[[str], Profile]:
        others = [other for other in there.contexts if other != context]
        weights = _weights(there, context, names, others)
        return lambda name: there.commons[context] + weights @ there.specific_in(name, others)


def _weights(there: OtherContexts, context: str, names: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """One for each other context."""
    products, targets = np.zeros((len(names), len(others), len(others))), np.zeros((len(names), len(others)))
    squares, responses = 0.0, there.responses(names, context) - there.commons[context]
    for i, (name, residual) in enumerate(zip(names, responses, strict=True)):
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
