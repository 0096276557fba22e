"""Simple predictions, weighted by how well each does where a context is left out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.data.effects import Effects
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, store_deltas
from cycseq.models.other_contexts import OtherContexts, components
from cycseq.split.settings import Kind

N_COMPONENTS = 20
INPUTS = ("mean of the context", "mean of other contexts", "specific elsewhere", "its leading directions")
Inputs = Float[np.ndarray, "inputs perturbations genes"]


@dataclass
class Stacked(ShiftModel):
    """Control cells plus a weighted sum of simple predictions, with weights that are not negative.

    Formula: Delta^(p, c*) = sum_i w_i f_i(p, c*). The f are the mean Delta of c* over other perturbations (where it has any), the
    mean over perturbations of their Deltas in other contexts, what is specific to p there, and that projected on its 20
    leading directions. The w are least-squares weights, none below 0, over all training conditions, of which each is predicted
    from other contexts alone; one set of weights with, and one without the first f.

    Reference: Wolpert 1992 (stacked generalization); Breiman 1996 (stacked regressions).

    Strong where it is not known which of several simple rules holds. It refuses a perturbation that no other context has.
    """

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        arrays, facts = store_deltas(train)
        there = OtherContexts(train.effect, train.conditions())
        products, target = np.zeros((len(INPUTS), len(INPUTS))), np.zeros(len(INPUTS))
        for context in there.contexts:
            names = there.both(context)
            if not names:
                continue
            real = there.responses(names, context)
            inputs = _inputs(there, names, context, left_out=True)
            measured = ~(np.isnan(real) | np.isnan(inputs).any(axis=0))
            products += inputs[:, measured] @ inputs[:, measured].T
            target += inputs[:, measured] @ real[measured]
        weights = {"inside": _weights(products, target), "outside": _weights(products[1:, 1:], target[1:])}
        return arrays, facts | weights

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        there, context, facts = self.measured_elsewhere(condition), condition.context, self.learned.facts

        def known() -> tuple[list[str], Inputs]:
            names = there.outside(context)
            return names, _inputs(there, names, context, left_out=False)

        names, inputs = self.learned.remember(f"inputs in {context}", known)
        of_one, inside = inputs[:, names.index(condition.perturbation)], context in there.commons
        weights = np.array(facts["inside"] if inside else facts["outside"])
        return (weights @ (of_one if inside else of_one[1:])).astype(np.float32)


def _inputs(there: OtherContexts, names: list[str], context: str, *, left_out: bool) -> Inputs:
    """The simple predictions of these perturbations in a context; left out: as if each had not been measured there."""
    mean = there.mean(names, context)
    common = mean_of_measured(mean)
    specific = mean - common
    here = there.commons.get(context, common)
    of_context = np.broadcast_to(here, mean.shape)
    n = len(there.inside(context))
    if left_out and n > 1:
        effect = there.responses(names, context)
        of_context = np.where(np.isnan(effect), here, (n * here - effect) / (n - 1))
    elif left_out:
        of_context = np.broadcast_to(common, mean.shape)
    return np.stack([of_context, np.broadcast_to(common, mean.shape), specific, components(specific, N_COMPONENTS)])


def _weights(products: np.ndarray, target: np.ndarray) -> list[float]:
    """Least-squares weights, none below 0, from normal equations; a plain mean elsewhere where nothing can be left out."""
    from scipy.optimize import nnls

    if not products.any():
        return [0.0] * (len(target) - 3) + [1.0, 1.0, 0.0]
    values, vectors = np.linalg.eigh(products)
    values = np.maximum(values, values.max() * 1e-12)
    root = (vectors * np.sqrt(values)).T
    return [float(weight) for weight in nnls(root, (vectors / np.sqrt(values)).T @ target)[0]]
