"""What scores reward without any response: the control mean, its sampling noise taken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.matrix.arrays import Profile
from cycseq.models.base import Fitted, Model
from cycseq.models.baselines.shift import cells_shifted_by
from cycseq.models.kriging.levels import learn_levels, smooth_levels
from cycseq.models.kriging.measured import ControlLevels, control_levels
from cycseq.models.kriging.stored import mixture_from, mixture_json


@dataclass
class SmoothedControls(Model):
    """Nothing happens, and the control mean is denoised: control cells moved to a level that all contexts make likely.

    Formula: mu^(p, c*) = E[control level of c* | control means of all contexts], with no response added.

    Its prior is that of `ConditionKriging` for control levels: per gene, contexts share a level and differ by a Gaussian
    process with known sampling noise. With a single context there is nothing to learn from: it is then `NoChange`.

    Reference: empirical Bayes shrinkage of means, Efron and Morris 1973 (JASA).

    A negative control. It is strong in errors of mean profiles where control cells are few, and whatever it scores in a
    metric of the response is no response. It cannot tell one perturbation from another, so it predicts any.
    """

    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Learn how control levels differ between contexts; perturbed cells are not looked at."""
        data = self.training_cells(train, validation)
        levels = control_levels(data.controls())
        several = len(levels.contexts) > 1
        self.fitted_ = Fitted(
            genes=tuple(data.genes),
            scale=data.scale,
            contexts=tuple(sorted({c.context for c in data.conditions() if not c.is_control})),
            perturbations=data.perturbations,
            arrays={"level_mean": levels.mean, "level_noise": levels.noise},
            facts={
                "level_contexts": list(levels.contexts),
                "level_mixture": mixture_json(learn_levels(levels.mean, levels.noise)) if several else None,
            },
        )
        return self

    def predict(
        self,
        controls: PerturbationData,
        conditions: Sequence[Condition | str] | str,
        *,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Control cells shifted to the smoothed control mean of their context."""
        conditions = self.check_conditions(conditions)
        controls = self.check_controls(controls, conditions)
        shift = self._shifts(control_levels(controls.controls({condition.context for condition in conditions})))
        shifts = {condition: shift[condition.context] for condition in conditions}
        return cells_shifted_by(shifts, self, controls, n_cells=n_cells, seed=seed)

    def _shifts(self, given: ControlLevels) -> dict[str, Profile]:
        """By context, what smoothing does to the mean of the control cells that are given."""
        learned = self.learned
        if learned.facts["level_mixture"] is None:
            return {context: np.zeros(len(learned.genes)) for context in given.contexts}
        others = [i for i, name in enumerate(learned.facts["level_contexts"]) if name not in given.contexts]
        mean, noise = (
            np.concatenate([of_given, learned.arrays[name][others]])
            for name, of_given in (("level_mean", given.mean), ("level_noise", given.noise))
        )
        smooth = smooth_levels(mean, noise, mixture_from(learned.facts["level_mixture"])).mean
        return {context: smooth[:, i] - given.mean[i] for i, context in enumerate(given.contexts)}
