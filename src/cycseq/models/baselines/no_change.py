"""The model that every other must beat first."""

from dataclasses import dataclass

import numpy as np

from cycseq.data.dataset import Condition
from cycseq.data.effects import Effects
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel
from cycseq.split.settings import Kind


@dataclass
class NoChange(ShiftModel):
    """Nothing happens: the control cells of the context, as they are.

    Formula: Delta^(p, c*) = 0.

    Strong where most perturbations do little, and hard to beat in mean squared error there. It cannot tell one
    perturbation from another, so it predicts any. Its cells stay sparse.
    """

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        return {}, {}

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        return np.zeros(len(self.learned.genes), dtype=np.float32)
