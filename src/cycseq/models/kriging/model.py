"""Kriging over conditions: the mean response where it was never measured, and how sure it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.gene_mixture import GeneMixture
from cycseq.data.posterior import GenePosterior, attach_posterior
from cycseq.errors import ModelError
from cycseq.knowledge.catalog import sources_for
from cycseq.knowledge.features import read_features
from cycseq.knowledge.source import Source
from cycseq.knowledge.stored import store_sources, stored_sources
from cycseq.matrix.arrays import Profile
from cycseq.models.base import SIZE, WEIGHT, Fitted
from cycseq.models.baselines.shift import cells_shifted_by
from cycseq.models.knowledge import KnowledgeSettings, expression_scores, has_expression
from cycseq.models.kriging.context_amplitudes import learn_context_amplitudes
from cycseq.models.kriging.elsewhere import fill
from cycseq.models.kriging.field import Field, learn_fields
from cycseq.models.kriging.learned import Learned, apply_link, as_json, from_json, learn_task, unlearned_context
from cycseq.models.kriging.levels import Levels
from cycseq.models.kriging.link import ResponseScale
from cycseq.models.kriging.nearby import Rows, near_conditions
from cycseq.models.kriging.noise import Sampling, profile_noise
from cycseq.models.kriging.recalibration import COMPONENTS, Recalibration
from cycseq.models.kriging.table import Table, Values
from cycseq.models.kriging.tasks import TASK_OF_SPLIT, TASKS, Measured, Task, equal_weights, table_for
from cycseq.models.means import MeansModel
from cycseq.preparation.pseudobulk import control_means, control_noise
from cycseq.split.settings import Kind

SAME = 0.05
"""The prior alone gives both directions 0.5: where the probability of a rise is not further from it, the prediction is not
informative of the gene."""
CHUNK = 32  # conditions whose distributions are held at once


@dataclass
class ConditionKriging(KnowledgeSettings, MeansModel):
    """Predicts every condition's mean response, with its uncertainty, from all that was measured and from knowledge.

    A Gaussian process over conditions whose kernel is a weighted sum: what all perturbations do in a context; the same
    perturbation elsewhere, or a combination's parts; perturbations that do alike elsewhere; contexts that respond alike, with
    signs and amplitudes learned; knowledge of genes or drugs; near doses and times. The weights are those that best predict
    measured conditions left out as the task leaves them out (pairs, contexts, perturbations, doses, times), so that a kernel that tells nothing has weight 0.
    Each gene has an amplitude and a noise of its own; intervals are recalibrated on the conditions left out.

    A perturbation that was never measured is refused by a model without knowledge, unless `unseen` says otherwise; one that no source
    of knowledge lists is predicted by the response that is common to all, with an interval that is wide enough.

    Reference: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"n_components": SIZE, "threshold": WEIGHT}
    features: Literal["expression"] | Path | None = "expression"
    """More of the same kind: a table of features with genes as rows; "expression" takes the principal components of the
    perturbed genes' own expression, where it is known."""
    n_components: int = 10
    """Principal components of the expression, or of GO terms in `features`."""
    smooth_controls: bool = False
    """Take sampling noise off the control mean of a context in which nothing was measured, by those of the other contexts.
    Predicted means are nearer the truth where control cells are few, but what is taken off looks like a response beside these
    controls."""
    threshold: float = 0.1
    """A gene has changed where its true effect is beyond this, up or down."""

    def fit_effects(self, train: Effects, *, task: Kind | None = None, seed: int = 0) -> Self:
        """Learn from the effects of the training conditions: weights for the task of the split, or for all without one."""
        perturbed = self.training_effects(train)
        profiles = train.control_means() if train.scale == "log1p" else {}
        measured = np.asarray(perturbed.measured.any(axis=0))
        sources = self._sources(perturbed, profiles, seed=seed)
        conditions = perturbed.conditions()
        effect, se = perturbed.effect, perturbed.layer("se")
        noise_of = profile_noise(train, profiles)
        sampling = None if se is None or np.isnan(se).all() else Sampling.of(se, conditions, noise_of)
        table = Table(conditions, effect, np.ones(len(conditions), dtype=bool), "context", profiles, sources)
        wanted: tuple[Task, ...] = TASKS if task is None else (TASK_OF_SPLIT[task],)
        amplitudes = learn_context_amplitudes(fill(table))
        learned = {
            one: result
            for one in wanted
            if (result := learn_task(table, sampling, one, amplitudes, seed=seed)) is not None
        }
        if "context" in wanted and "context" not in learned:
            learned["context"] = unlearned_context(table)
        if not learned:
            learned = {"pair": Learned(equal_weights(table), "additive", 1.0, None)}
        arrays: dict[str, np.ndarray] = {"effect": effect, "measured": measured}
        if sampling is not None:
            arrays |= {"cells_noise": sampling.cells, "control_noise": sampling.control}
        if profiles:
            arrays["profiles"] = np.stack(list(profiles.values()))
            arrays["profile_noise"] = np.stack(list(noise_of.values()))
        of_sources, facts = store_sources(sources)
        self.fitted_ = Fitted(
            genes=tuple(perturbed.genes),
            scale=perturbed.scale,
            contexts=perturbed.contexts,
            perturbations=perturbed.perturbations,
            arrays={name: np.ascontiguousarray(a) for name, a in (arrays | of_sources).items()},
            facts={
                **facts,
                "conditions": [list(condition) for condition in conditions],
                "profiles_of": list(profiles),
                "missing": ["effect"] if np.isnan(effect).any() else [],
                "tasks": {name: as_json(one) for name, one in learned.items()},
            },
        )
        return self

    def _sources(self, train: Effects, profiles: Mapping[str, Profile], *, seed: int) -> tuple[Source, ...]:
        """Knowledge and features of the training perturbations."""
        sources = sources_for(self.knowledge, train.perturbations) if self.knowledge else ()
        if self.features is None or (self.features == "expression" and not has_expression(train, profiles)):
            return sources
        if self.features == "expression":
            name, features = "expression", expression_scores(train, profiles, n_components=self.n_components, seed=seed)
        else:
            name, features = "features", read_features(Path(self.features), n_components=self.n_components, seed=seed)
        source = Source(name, "features", features.names, features.values)
        return (*sources, source) if source.knows(train.perturbations).sum() > 1 else sources

    def predict_effects(self, conditions: Sequence[Condition], controls: Effects | None = None) -> Effects:
        """Posterior means, with layers `sd` and, where standard errors were unknown, `noise_sd`."""
        conditions = self.check_conditions(conditions)
        learned = self.learned
        given = {} if controls is None else controls.with_genes(learned.genes).control_means()
        shape = (len(conditions), len(learned.genes))
        effect, sd, noise_sd = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        for rows, part, recalibration, noise in self._distributions(conditions, given):
            effect[rows] = part.mean
            sd[rows] = np.sqrt(part.variance if recalibration is None else recalibration.variance(part))
            noise_sd[rows] = np.sqrt(noise)
        unknown = ~learned.arrays["measured"]
        for values in (effect, sd, noise_sd):
            values[:, unknown] = np.nan
        layers = {"sd": sd} if "cells_noise" in learned.arrays else {"sd": sd, "noise_sd": noise_sd}
        return self.predicted_effects(effect, conditions, **layers)

    def predict(
        self,
        controls: PerturbationData,
        conditions: Sequence[Condition | str] | str,
        *,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Control cells shifted to the predicted mean; the posterior of every gene is in `varm` (`GenePosterior`)."""
        conditions = self.check_conditions(conditions)
        controls = self.check_controls(controls, conditions).load(self.name)
        means = control_means(controls)
        shape = (len(conditions), len(self.learned.genes))
        mean, variance = np.zeros(shape), np.zeros(shape)
        informative = np.zeros(shape, dtype=bool)
        parts = [np.zeros((*shape, COMPONENTS), dtype=np.float32) for _ in range(3)]
        parts[0][..., 0] = 1.0
        for rows, part, recalibration, _ in self._distributions(conditions, means):
            stated = part if recalibration is None else recalibration.applied(part)
            mean[rows], variance[rows] = part.mean, stated.variance
            for array, values in zip(parts, (stated.weights, stated.means, stated.sds), strict=True):
                array[rows, :, : values.shape[-1]] = values
            has_direction = stated.probabilities(self.threshold).lfsr < 0.5 - SAME
            informative[rows] = has_direction & (recalibration is None or recalibration.tells)
        levels, of_levels = self.levels.shifts(means, control_noise(controls), smooth=self.smooth_controls)
        shifts = {
            c: (row + levels[c.context] * (not c.is_control)).astype(np.float32)
            for c, row in zip(conditions, mean, strict=True)
        }
        predicted = cells_shifted_by(shifts, self, controls, n_cells=n_cells, seed=seed)
        of_mean = np.sqrt(variance + np.stack([of_levels[c.context] for c in conditions]))
        posterior = GenePosterior(mean, np.sqrt(variance), of_mean, GeneMixture(*parts), informative, self.threshold)
        attach_posterior(predicted.adata, conditions, posterior)
        return predicted

    def _distributions(
        self, conditions: Sequence[Condition], given: Mapping[str, Profile]
    ) -> Iterator[tuple[np.ndarray, GeneMixture, Recalibration | None, Values]]:
        """Rows of perturbed conditions, what is believed of their genes, how it is recalibrated, and the noise of a measurement."""
        training = self.measured_conditions
        measured = Measured(training)
        by_task: dict[Task, list[int]] = {}
        for row, condition in enumerate(conditions):
            if not condition.is_control:
                self._check_known(condition, measured)
                by_task.setdefault(measured.task_of(condition), []).append(row)
        for task, rows_of_task in by_task.items():
            of_task, learned = np.array(rows_of_task), self.learned_for(task)
            for part, seen in near_conditions(training, [conditions[row] for row in of_task]):
                rows, n_seen = of_task[part], len(seen)
                field, scale = self.field([conditions[row] for row in rows], task, given, seen)
                for at in np.array_split(n_seen + np.arange(len(rows)), -(-len(rows) // CHUNK)):
                    of_part = scale.take(at)
                    mixture = of_part.to_effects(
                        learned.corrected(field.predict(at), field.table.falls_of(at), of_part)
                    )
                    noise = field.noise_of(at) * of_part.slope**2
                    yield rows[at - n_seen], mixture, learned.recalibration, noise

    def field(
        self, asked: Sequence[Condition], task: Task, given: Mapping[str, Profile], seen: Rows | None = None
    ) -> tuple[Field, ResponseScale]:
        """The process over training conditions (all, or these rows) and, below them, those asked for; and the scale on which it is."""
        training = self.measured_conditions
        rows = np.arange(len(training)) if seen is None else seen
        measured = tuple(training[row] for row in rows)
        profiles, learned = {**self.profiles, **given}, self.learned_for(task)
        conditions = [*measured, *asked]
        scale = ResponseScale.of(conditions, profiles, learned.link, learned.context_amplitudes)
        arrays, seen_rows = self.learned.arrays, np.ones(len(rows), dtype=bool)
        table = Table(measured, arrays["effect"][rows], seen_rows, "context", profiles, self.sources)
        sampling = None
        if "cells_noise" in arrays:
            sampling = Sampling(arrays["cells_noise"][rows], arrays["control_noise"][rows])
        table, sampling = apply_link(table, sampling, scale.take(slice(len(measured))))
        table = table_for(table.with_targets(asked), task)
        (field,) = learn_fields(table, task, learned.weights, sampling, [learned.amplitude_of])
        return field, scale

    def learned_for(self, task: Task) -> Learned:
        """What was learned for a task, or for the first one where nothing was."""
        return self.tasks.get(task) or next(iter(self.tasks.values()))

    def _check_known(self, condition: Condition, measured: Measured) -> None:
        """Raise `ModelError` for a perturbation of which nothing was measured, of a model that has no knowledge."""
        lacking = measured.lacking(condition)
        if not lacking or self.unseen == "common" or self.knowledge:
            return
        if any(source.knows([condition.agent])[0] for source in self.sources):
            return
        raise ModelError(
            f"{self.name} cannot predict {str(condition)!r}: no training condition has {lacking[0]!r}, and the model has no knowledge. "
            "Give it some (--model.knowledge), or ask for the common response (--model.unseen common)."
        )

    @property
    def measured_conditions(self) -> tuple[Condition, ...]:
        """The training conditions."""
        return tuple(Condition(*pair) for pair in self.learned.facts["conditions"])

    @property
    def profiles(self) -> dict[str, Profile]:
        """Mean control profile of every training context of which it is known."""
        return dict(zip(self.learned.facts["profiles_of"], self.learned.arrays.get("profiles", ()), strict=True))

    @property
    def levels(self) -> Levels:
        """Control levels of the training contexts."""
        noise = dict(zip(self.profiles, self.learned.arrays.get("profile_noise", ()), strict=True))
        return Levels(self.profiles, noise, self.learned.contexts)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The knowledge that the model holds."""
        learned = self.learned
        return learned.remember("sources", lambda: stored_sources(learned.arrays, learned.facts))

    @property
    def tasks(self) -> dict[Task, Learned]:
        """What was learned for each task."""
        tasks = self.learned.facts["tasks"].items()
        try:
            return self.learned.remember("tasks", lambda: {name: from_json(one) for name, one in tasks})
        except KeyError as err:
            raise ModelError(
                f"this {self.name} was saved by another version of cycseq ({err} is missing): fit it again."
            ) from err
