"""A linear map from the leading components of responses elsewhere to all genes here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cycseq.matrix.arrays import Profile
from cycseq.models.base import SIZE
from cycseq.models.baselines.shift import RegressionModel
from cycseq.models.linear import kernel_ridge
from cycseq.models.other_contexts import OtherContexts, leading_directions


@dataclass
class ComponentRidge(RegressionModel):
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

    def regress(self, there: OtherContexts, context: str, names: Sequence[str]) -> Callable[[str], Profile]:
        others, common = there.outside(context), there.commons[context]
        of_all = np.nan_to_num(there.specific(others, context))
        directions = leading_directions(of_all, self.n_components)
        scores = of_all[np.isin(others, names)] @ directions.T
        weights = scores.T @ kernel_ridge(scores @ scores.T, there.responses(names, context) - common).weights
        return lambda name: common + np.nan_to_num(there.specific([name], context)[0]) @ directions.T @ weights
