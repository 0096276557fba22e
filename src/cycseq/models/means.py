"""Models of means: they learn from `Effects` alone, so that cells and tables of effects take one path."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast, final

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects, EffectScale
from cycseq.errors import ModelError
from cycseq.models.base import Model
from cycseq.preparation.log_pseudobulk import SUMMARIES
from cycseq.preparation.settings import Response
from cycseq.split.settings import Kind

MISSING = "missing"  # of a saved model's facts: the arrays in which NaN stands for what was not measured


@dataclass
class MeansModel(Model):
    """A model of means. It implements `fit_effects` and `predict_effects`; cells are summarized before it learns.

    Its `predict` makes cells of predicted effects, by shifting control cells.
    """

    response: Response = "log1p"
    """What cells are summarized as: means of log1p values, or log pseudobulk profiles, which sums of counts are scored by (then
    predict --as counts, or --as effects)."""

    @abstractmethod
    def fit_effects(self, train: Effects, *, task: Kind | None = None, seed: int = 0) -> Self:
        """Learn from effects.

        Parameters
        ----------
        train
            All conditions to learn from, and the controls' rows where they are known (`Effects.control_means`). Doses and
            times are part of the conditions (`Condition.dose`, `Condition.time`).
        task
            The kind of the split: what is to be predicted, so that a model which chooses settings by leaving out can leave
            out the same (pairs for ``"unseen-pair"``, contexts for ``"unseen-context"``, perturbations for
            ``"unseen-perturbation"``, doses and times likewise). None where nobody said.
        seed
            Fixes everything random.

        Raises
        ------
        ModelError
            If there is nothing to learn from, or the model needs mean expression and only effects are known.
        """

    @abstractmethod
    def predict_effects(self, conditions: Sequence[Condition], controls: Effects | None = None) -> Effects:
        """Predicted effects, a row for each condition, over the genes and on the scale of those learned from.

        Parameters
        ----------
        conditions
            What to predict; a condition that the model cannot know is refused by name.
        controls
            The rows of controls, with their means where they are known; None where there are none.

        Returns
        -------
        Effects
            NaN for a gene of which the model knows nothing. Layer `sd`: the posterior standard deviation of the true effect, of a
            model that knows it. Layer `noise_sd`: the standard deviation of a measurement around it, where the data have no
            standard errors and the model learned it; coverage and reliability rest on it there.

        Raises
        ------
        ModelError
            If the model is not fitted or cannot know a condition.
        """

    @final
    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        task: Kind | None = None,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Learn from the effects of the training and the validation conditions: nothing is chosen on the latter."""
        return self.fit_effects(self.summarize(train, validation), task=task, seed=seed)

    def summarize(self, train: PerturbationData, validation: PerturbationData | None = None) -> Effects:
        """What `fit` learns from, of both parts together; raises as `training_cells`."""
        return SUMMARIES[self.response](self.training_cells(train, validation))

    def training_effects(self, train: Effects) -> Effects:
        """The rows of perturbed conditions, settings checked; raises `ModelError` if there are none."""
        self.check_settings()
        perturbed = train.perturbed()
        if not perturbed.perturbations:
            msg = f"{self.name} cannot learn: the training effects are all of controls. Give it perturbed conditions as well."
            raise ModelError(msg)
        return perturbed

    def predicted_effects(self, effect: np.ndarray, conditions: Sequence[Condition], **layers: np.ndarray) -> Effects:
        """What was predicted, as effects; further arrays become layers (`sd`, `noise_sd`)."""
        return Effects.from_arrays(
            effect,
            conditions,
            self.learned.genes,
            scale=cast("EffectScale", self.learned.scale),
            layers=layers,
            uns={"model": self.name},
        )
