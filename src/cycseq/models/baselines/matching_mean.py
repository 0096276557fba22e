"""Combinations as means of their parts."""

from dataclasses import dataclass

import numpy as np

from cycseq.data.condition import Condition, treatment_name
from cycseq.data.effects import Effects
from cycseq.matrix.arrays import Profile
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, perturbed_means, store_deltas
from cycseq.split.settings import Kind


@dataclass
class MatchingMean(ShiftModel):
    """The mean of the centroids of a combination's parts; the perturbed mean stands in for a part never measured.

    Formula: mu^(A+B, c*) = (mu(A, c*) + mu(B, c*)) / 2, as Deltas: Delta^ = (Delta(A, c*) + Delta(B, c*)) / 2. A part
    that was not measured in c* is the mean of its Deltas over the training contexts; one measured nowhere is
    `PerturbedMean`'s prediction. A single perturbation is a mean of one part.

    Reference: the "matching mean" of Systema (Vinas Torne et al. 2025, Nature Biotechnology).

    Strong where a response common to all perturbations dominates: a sum would count it twice. It under-predicts parts
    that add up (see `Additive`), and what it says of an unknown perturbation is `PerturbedMean`.
    """

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        arrays, facts = store_deltas(train)
        of_means, keys = perturbed_means(train)
        return {**arrays, **of_means}, {**facts, **keys}

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        names = [treatment_name(part, condition.dose, condition.time) for part in condition.parts]
        deltas = [self.measured_delta(name, condition.context) for name in names]
        typical = self.perturbed_mean(condition)
        parts = [typical if delta is None else np.where(np.isnan(delta), typical, delta) for delta in deltas]
        return np.mean(parts, axis=0)
