"""The mean response elsewhere, taken apart: what all perturbations share, what a few directions say, and the rest."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.data.effects import Effects
from cycseq.matrix.arrays import Profile
from cycseq.models.base import SIZE
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, store_deltas
from cycseq.models.other_contexts import Features, OtherContexts, components
from cycseq.split.settings import Kind

Parts = Float[np.ndarray, "parts perturbations genes"]


@dataclass
class LowRank(ShiftModel):
    """Control cells plus a mean response, the leading directions of what is specific elsewhere, and the rest, each weighted.

    Formula: Delta^(p, c*) = a m + b L(p) + c (s(p) - L(p)), with m the mean over perturbations of their mean Delta in other
    contexts, s(p) = mean of Delta(p, c) over other contexts less m, and L the projection of s on its 20 leading directions over
    perturbations: denoised before it is carried over. The weights a, b and c are fitted by least squares with every training
    context left out in turn. Where the context has training Deltas, their mean takes the place of a m.

    Reference: Eckart and Young 1936 (low-rank approximation).

    Strong for an unseen context of a screen of many perturbations. It refuses a perturbation that no other context has.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"n_components": SIZE}
    n_components: int = 20
    """Leading directions."""

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        arrays, facts = store_deltas(train)
        return arrays, facts | {"weights": _weights(OtherContexts(train.effect, train.conditions()), self.n_components)}

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        there, context = self.measured_elsewhere(condition), condition.context

        def known() -> tuple[list[str], Parts]:
            names = there.outside(context)
            return names, _parts(there, names, context, self.n_components)

        names, (common, low, rest) = self.learned.remember(f"parts in {context}", known)
        weights, place = self.learned.facts["weights"], names.index(condition.perturbation)
        shared = there.commons.get(context, weights[0] * common[0])
        return (shared + weights[1] * low[place] + weights[2] * rest[place]).astype(np.float32)


def _parts(there: OtherContexts, names: list[str], context: str, n_components: int) -> Parts:
    """Common, low rank and rest of the mean responses in other contexts; NaN where none measured a gene."""
    mean: Features = there.mean(names, context)
    common = mean_of_measured(mean)
    specific = mean - common
    low = components(specific, n_components)
    return np.stack([np.broadcast_to(common, mean.shape), low, specific - low])


def _weights(there: OtherContexts, n_components: int) -> list[float]:
    """Of the three parts, by leaving out every training context in turn; 1 where no perturbation has two contexts."""
    products, target = np.zeros((3, 3)), np.zeros(3)
    for context in there.contexts:
        names = there.both(context)
        if not names:
            continue
        parts = _parts(there, names, context, n_components)
        real = there.responses(names, context)
        measured = ~(np.isnan(real) | np.isnan(parts).any(axis=0))
        inputs = parts[:, measured]
        products += inputs @ inputs.T
        target += inputs @ real[measured]
    if not products.any():
        return [1.0, 1.0, 1.0]
    return [float(weight) for weight in np.linalg.lstsq(products, target, rcond=None)[0]]
