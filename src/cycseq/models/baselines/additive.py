"""Combinations as sums of their parts."""

from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition, treatment_name
from cycseq.errors import ModelError
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import DeltaModel


@dataclass
class Additive(DeltaModel):
    """Control cells plus the sum of the Deltas of a combination's parts, each measured alone.

    Formula: Delta^(A+B, c*) = Delta(A, c*) + Delta(B, c*); a part that was not measured in c* is the mean of its
    Deltas over the training contexts. A single perturbation is a sum of one part.

    Reference: Ahlmann-Eltze, Huber and Anders 2025 (Nature Methods), where no network predicted double perturbations
    better.

    Strong for combinations of parts that act on their own. It knows no interaction, and refuses a part that was never
    measured alone.
    """

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        total = np.zeros(len(self.learned.genes), dtype=np.float32)
        for part in condition.parts:
            delta = self.measured_delta(treatment_name(part, condition.dose, condition.time), condition.context)
            if delta is None:
                raise ModelError(
                    f"Additive cannot predict {str(condition)!r}: {part!r} was measured alone in no training context. "
                    f"Leave it out, or predict it with MatchingMean or a model with features."
                )
            total += delta
        return total
