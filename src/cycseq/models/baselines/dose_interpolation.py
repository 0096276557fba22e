"""A perturbation does at a new dose or time what lies between its neighbours."""

from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import DeltaModel
from cycseq.models.doses import interpolated


@dataclass
class DoseInterpolation(DeltaModel):
    """Control cells plus the Delta of the same perturbation, linear in the logarithm of the dose, or else of the time.

    Formula: Delta^(p, d*) = (1 - s) Delta(p, d1) + s Delta(p, d2), s = log(d* / d1) / log(d2 / d1), d1 and d2 the training doses around
    d*, at the same time; beyond the outermost dose, the Delta of that one. Named levels (Low, Middle, High) are one step apart.
    Where no dose was measured at this time, the same with times at this dose. In a context without the perturbation, means over those
    that have it.

    Reference: linear interpolation.

    The rule to beat for a dose between two measured ones. It refuses a perturbation that was never measured.
    """

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        return interpolated(self.series_of(condition)).astype(np.float32)
