"""A linear map from the leading components of responses elsewhere to all genes here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cycseq.data.condition import Condition
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.base import SIZE
from cycseq.models.baselines.shift import DeltaModel
from cycseq.models.linear import Rows, kernel_ridge
from cycseq.models.other_contexts import OtherContexts

FEWEST = 3
"""Perturbations measured both here and elsewhere, from which on something is learned of this context."""


@dataclass(frozen=True)
class Regression:
    """What is learned of a context."""

    common: Profile
    directions: Profiles
    """Principal components of the specific responses elsewhere."""
    weights: Rows
    """Components x genes."""


@dataclass
class ComponentRidge(DeltaModel):
    """Control cells plus the context's mean Delta and a ridge regression on principal components of the responses elsewhere.

    Formula: Delta^(p, c*) = m(c*) + W^T z(p), with m the mean Delta of the context and z(p) the scores, on 20 principal
    components, of the mean over other contexts c of Delta(p, c) - m(c). W is a ridge regression over the perturbations that
    both the context and another one have; its penalty is chosen by leaving out one of them at a time. In a context with
    fewer than three of them it is the mean over other contexts.

    Reference: Hoerl and Kennard 1970 (ridge regression); principal component regression.

    Strong for an unseen pair where contexts differ in a way that a linear map can say. It refuses a perturbation that no
    other context has, and knows nothing of a context in which nothing was measured.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"n_components": SIZE}
    n_components: int = 20
    """Principal components of the responses elsewhere."""

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        """The regression at the responses elsewhere."""
        there, name, context = self.measured_elsewhere(condition), condition.perturbation, condition.context
        cache = self.learned.cache
        if context not in cache:
            cache[context] = _regression(there, context, self.n_components)
        here: Regression | None = cache[context]
        if here is None:
            return there.mean([name], context)[0].astype(np.float32)
        scores = np.nan_to_num(there.specific([name], context)[0]) @ here.directions.T
        shift: Profile = here.common + scores @ here.weights
        return shift.astype(np.float32)


def _regression(there: OtherContexts, context: str, n_components: int) -> Regression | None:
    """None where too little was measured in the context."""
    names = [name for name in there.inside(context) if there.has(name, context)]
    if len(names) < FEWEST:
        return None
    others = [name for name in sorted(there.places) if there.has(name, context)]
    of_all = np.nan_to_num(there.specific(others, context))
    directions = np.linalg.svd(of_all, full_matrices=False)[2][:n_components]
    place = {name: i for i, name in enumerate(others)}
    scores = of_all[[place[name] for name in names]] @ directions.T
    residual = there.effect[[there.places[name][context] for name in names]].astype(np.float64) - there.commons[context]
    fit = kernel_ridge(scores @ scores.T, residual)
    return Regression(there.commons[context], directions, scores.T @ fit.weights)
