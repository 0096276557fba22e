"""A perturbation does at a new dose or time what it does at the nearest one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import ShiftModel, remembered
from cycseq.models.doses import nearest, series_of
from cycseq.split.settings import Kind


@dataclass
class NearestDose(ShiftModel):
    """Control cells plus the Delta of the same perturbation at the nearest dose, or else at the nearest time.

    Formula: Delta^(p, d*, t*, c*) = Delta(p, d, t*, c*), d the training dose nearest to d* on a logarithmic scale (the mean of two
    as near); where no dose was measured at t*, the same with times at d*. In a context without the perturbation, the mean over
    those that have it.

    Reference: nearest-neighbour interpolation.

    The rule to beat for an unseen dose or time that lies near a measured one. It refuses a perturbation that was never measured.
    """

    def learn(
        self, train: Effects, controls: Mapping[str, Profile], *, task: Kind | None = None, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        """The training Deltas."""
        return remembered(train)

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        """What the other doses or times tell."""
        conditions = [Condition(*pair) for pair in self.learned.facts["conditions"]]
        series = series_of(condition, conditions, self.learned.arrays["delta"])
        if series is None:
            msg = f"{self.name} cannot predict {str(condition)!r}: training has no dose, time or context of {condition.agent!r}."
            raise ModelError(msg)
        return nearest(series).astype(np.float32)
