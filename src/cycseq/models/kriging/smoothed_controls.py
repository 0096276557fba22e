"""What scores reward without any response: the control mean, its sampling noise taken off."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.base import Fitted, Model
from cycseq.models.baselines.shift import cells_shifted_by
from cycseq.models.kriging.levels import smooth_levels
from cycseq.preparation.pseudobulk import control_means, control_noise


@dataclass
class SmoothedControls(Model):
    """Nothing happens, and the control mean is denoised: control cells moved to a level that all contexts make likely.

    Formula: mu^(p, c*) = E[control level of c* | control means of all contexts], with no response added.

    Its prior is that of `ConditionKriging`: per gene, contexts share a level and differ by a Gaussian process (half of it
    alike in near contexts) with known sampling noise and an amplitude of the gene's own. With a single context there is
    nothing to learn from: it is then `NoChange`.

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
        """Keep the control levels of all contexts; perturbed cells are not looked at."""
        data = self.training_cells(train, validation)
        names, mean, noise = control_levels(data.controls())
        self.fitted_ = Fitted(
            genes=tuple(data.genes),
            scale=data.scale,
            contexts=tuple(sorted({c.context for c in data.conditions() if not c.is_control})),
            perturbations=data.perturbations,
            arrays={"level_mean": mean, "level_noise": noise},
            facts={"level_contexts": list(names)},
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
        shift = self._shifts(controls.controls({condition.context for condition in conditions}))
        shifts = {condition: shift[condition.context] for condition in conditions}
        return cells_shifted_by(shifts, self, controls, n_cells=n_cells, seed=seed)

    def _shifts(self, controls: PerturbationData) -> dict[str, Profile]:
        """By context, what smoothing does to the mean of the control cells that are given."""
        learned = self.learned
        given, mean, noise = control_levels(controls)
        others = [i for i, name in enumerate(learned.facts["level_contexts"]) if name not in given]
        mean = np.concatenate([mean, learned.arrays["level_mean"][others]])
        noise = np.concatenate([noise, learned.arrays["level_noise"][others]])
        smooth = smooth_levels(mean, noise) if len(mean) > 1 else mean
        return {context: smooth[i] - mean[i] for i, context in enumerate(given)}


def control_levels(controls: PerturbationData) -> tuple[tuple[str, ...], Profiles, Profiles]:
    """Contexts, the mean of their control cells, and its sampling variance."""
    means, noise = control_means(controls), control_noise(controls)
    return tuple(means), np.stack(list(means.values())), np.stack([noise[context] for context in means])
