"""Perturbations that do alike elsewhere do alike here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import DeltaModel
from cycseq.models.linear import Rows, kernel_ridge
from cycseq.models.other_contexts import Features, OtherContexts, cosines

FEWEST = 3
"""Perturbations measured both here and elsewhere, from which on something is learned of this context."""


@dataclass(frozen=True)
class Regression:
    """What is learned of a context."""

    common: Profile
    features: Features
    """Of the perturbations that are regressed on: their specific responses elsewhere."""
    weights: Rows
    shares: tuple[float, float]
    """Of what is regressed, and of the specific response elsewhere itself."""


@dataclass
class ResponseKernel(DeltaModel):
    """Control cells plus the context's mean Delta, a kernel regression on the responses elsewhere, and these themselves.

    Formula: Delta^(p, c*) = m(c*) + u k(p)^T (K + l I)^-1 R + v s(p), with m the mean Delta of the context, R its training
    Deltas less m, s(p) the mean over other contexts c of Delta(p, c) - m(c), K the cosines of the s of its training
    perturbations, k those with s(p). The penalty l is chosen by leaving out one perturbation at a time; u and v are
    least-squares weights of the left-out predictions and of s. In a context with fewer than three such perturbations it
    is the mean over other contexts.

    Reference: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning (kernel ridge regression).

    Strong for an unseen pair in a screen of many perturbations. It refuses a perturbation that no other context has, and
    knows nothing of a context in which nothing was measured.
    """

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        """The regression at the responses elsewhere."""
        there, name, context = self.measured_elsewhere(condition), condition.perturbation, condition.context
        cache = self.learned.cache
        if context not in cache:
            cache[context] = _regression(there, context)
        here: Regression | None = cache[context]
        if here is None:
            return there.mean([name], context)[0].astype(np.float32)
        specific = np.nan_to_num(there.specific([name], context))
        regressed = cosines(specific, here.features) @ here.weights
        shift: Profile = here.common + here.shares[0] * regressed[0] + here.shares[1] * specific[0]
        return shift.astype(np.float32)


def _regression(there: OtherContexts, context: str) -> Regression | None:
    """None where too little was measured in the context."""
    names = [name for name in there.inside(context) if there.has(name, context)]
    if len(names) < FEWEST:
        return None
    common, features = there.commons[context], np.nan_to_num(there.specific(names, context))
    residual = there.effect[[there.places[name][context] for name in names]].astype(np.float64) - common
    fit = kernel_ridge(cosines(features, features), residual)
    measured = ~np.isnan(residual)
    inputs = np.stack([fit.left_out[measured], features[measured]])
    shares = np.linalg.lstsq(inputs @ inputs.T, inputs @ residual[measured], rcond=None)[0]
    return Regression(common, features, fit.weights, (float(shares[0]), float(shares[1])))
