"""A perturbation does at a new dose or time what it does at the nearest one."""

from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import DeltaModel
from cycseq.models.doses import nearest


@dataclass
class NearestDose(DeltaModel):
    """Control cells plus the Delta of the same perturbation at the nearest dose, or else at the nearest time.

    Formula: Delta^(p, d*, t*, c*) = Delta(p, d, t*, c*), d the training dose nearest to d* on a logarithmic scale (the mean of two
    as near); where no dose was measured at t*, the same with times at d*. In a context without the perturbation, the mean over
    those that have it.

    Reference: nearest-neighbour interpolation.

    The rule to beat for an unseen dose or time that lies near a measured one. It refuses a perturbation that was never measured.
    """

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        return nearest(self.series_of(condition)).astype(np.float32)
