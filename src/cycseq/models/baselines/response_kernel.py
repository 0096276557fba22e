"""Perturbations that do alike elsewhere do alike here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import RegressionModel
from cycseq.models.linear import kernel_ridge
from cycseq.models.other_contexts import OtherContexts, cosines


@dataclass
class ResponseKernel(RegressionModel):
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

    def regress(self, there: OtherContexts, context: str, names: Sequence[str]) -> Callable[[str], Profile]:
        common, features = there.commons[context], np.nan_to_num(there.specific(names, context))
        residual = there.responses(names, context) - common
        fit = kernel_ridge(cosines(features, features), residual)
        measured = ~np.isnan(residual)
        inputs = np.stack([fit.left_out[measured], features[measured]])
        regressed, itself = np.linalg.lstsq(inputs @ inputs.T, inputs @ residual[measured], rcond=None)[0]

        def predict(name: str) -> Profile:
            specific = np.nan_to_num(there.specific([name], context))
            return common + regressed * (cosines(specific, features) @ fit.weights)[0] + itself * specific[0]

        return predict
