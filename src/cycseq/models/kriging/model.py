"""Kriging over conditions: the mean response where it was never measured, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.gene_mixture import GeneMixture
from cycseq.data.posterior import GenePosterior, attach_posterior
from cycseq.errors import ModelError
from cycseq.knowledge.features import Features, expression_features, read_features
from cycseq.matrix.arrays import Profiles
from cycseq.models.base import SIZE, WEIGHT, Fitted, Model
from cycseq.models.baselines.shift import cells_shifted_by, kept_features, known_features
from cycseq.models.kriging.features import FEWEST_PERTURBATIONS, krige_features, learn_features
from cycseq.models.kriging.field import Field, is_combination, parts_of
from cycseq.models.kriging.learning import learn_settings, level_slope
from cycseq.models.kriging.left_out import KnownFeatures, kind_of, learn_recalibrations, moved
from cycseq.models.kriging.levels import learn_levels, smooth_levels, weight_of_known
from cycseq.models.kriging.measured import ControlLevels, Measured, control_levels, measure
from cycseq.models.kriging.mixture import Posterior
from cycseq.models.kriging.recalibration import COMPONENTS
from cycseq.models.kriging.settings import Settings
from cycseq.models.kriging.stored import mixture_from, mixture_json, settings_from, settings_json

SAME = 0.05
"""The prior alone gives both directions 0.5: where the probability of a rise is not further from it, the prediction is not
informative of the gene."""


@dataclass
class ConditionKriging(Model):
    """Empirical-Bayes kriging over conditions: predicts every condition's mean response with its uncertainty.

    Per gene, the true Delta(p, c) is a response common to all perturbations of the context plus the perturbation's own;
    each is a Gaussian process over contexts (a mixture of shared by all, shared by contexts with near control profiles,
    and private) or, where that tells more of contexts left out, a response that most contexts have and some have not;
    observed with the known sampling noise of the cells. The mixture is learned by marginal likelihood over all genes, its
    intervals are checked by leaving out training contexts. The prediction is the posterior mean.

    It borrows from other contexts as far as the training contexts show that this helps, and predicts no change where
    nothing can be told. A perturbation that was never measured is refused unless `features` or `unseen` say otherwise.

    Reference: adaptive shrinkage over many conditions, Urbut et al. 2019 (Nature Genetics).
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"n_components": SIZE, "threshold": WEIGHT}
    features: Literal["expression"] | Path | None = "expression"
    """What is known of perturbations that were never measured: CSV, TSV or NPZ of features with genes as rows, or a table
    of GO terms; "expression" takes the principal components of the perturbed genes' own expression; None refuses them."""
    unseen: Literal["refuse", "common"] = "refuse"
    """What becomes of a perturbation without measurement and without features: an error, or the response that is common
    to all perturbations, with an interval that is wide enough. The same of a combination's parts; measured ones count."""
    n_components: int = 10
    """Principal components of the expression, or of GO terms."""
    smooth_controls: bool = True
    """Take sampling noise off the control mean of the context, by kriging control levels over contexts."""
    threshold: float = 0.1
    """A gene has changed where its true Delta is beyond this, up or down, in log1p units."""

    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Learn from the training and the validation conditions: nothing is chosen on the latter."""
        data = self.training_cells(train, validation)
        measured = measure(data)
        settings = learn_settings(measured, seed=seed)
        levels = measured.levels
        level_mixture = None
        if self.smooth_controls and len(levels.contexts) > 1:
            level_mixture = learn_levels(levels.mean, levels.noise)
            excess = levels.mean - smooth_levels(levels.mean, levels.noise, level_mixture).mean.T
            slope = level_slope(Field(measured, settings, levels.mean), excess)
            settings = replace(settings, level_slope=slope)
        feature_arrays, feature_facts, told = self._learn_features(measured, settings, data.genes, seed=seed)
        settings = replace(settings, features=None if told is None else told.stage)
        field = Field(measured, settings, levels.mean)
        settings = replace(settings, recalibrations=learn_recalibrations(field, told, seed=seed))
        facts: dict[str, Any] = {
            **feature_facts,
            "names": list(measured.names),
            "level_contexts": list(levels.contexts),
            "settings": settings_json(settings),
            "level_mixture": None if level_mixture is None else mixture_json(level_mixture),
        }
        self.fitted_ = Fitted(
            genes=tuple(data.genes),
            scale=data.scale,
            contexts=tuple(sorted({levels.contexts[i] for i in measured.context})),
            perturbations=tuple(sorted(set(measured.names))),
            arrays={
                "context": measured.context,
                "delta": measured.delta,
                "cell_noise": measured.cell_noise,
                "control_noise": measured.control_noise,
                "level_mean": levels.mean,
                "level_noise": levels.noise,
                "gene_variance": settings.gene_variance,
                **feature_arrays,
            },
            facts=facts,
        )
        return self

    def _learn_features(
        self, measured: Measured, settings: Settings, genes: Sequence[str], *, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, Any], KnownFeatures | None]:
        """The features as arrays and facts, and what they tell; nothing where too few perturbations have some."""
        if self.features is None:
            return {}, {}, None
        if self.features == "expression":
            profiles = np.concatenate([measured.levels.mean, measured.levels.mean[measured.context] + measured.delta])
            features = expression_features(profiles, genes, n_components=self.n_components, seed=seed)
        else:
            features = read_features(Path(self.features), n_components=self.n_components, seed=seed)
        known = [name for name in settings.strength if not features.missing(name)]
        if len(known) < FEWEST_PERTURBATIONS:
            return {}, {}, None
        field = Field(measured, settings, measured.levels.mean)
        stage = learn_features(field, known, features.of(known), seed=seed)
        arrays, facts = kept_features(features)
        return arrays, {**facts, "with_features": known}, KnownFeatures(stage, known, features.of(known))

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
        controls = self.check_controls(controls, conditions)
        for condition in conditions:
            self._check_known(condition)
        levels = control_levels(controls.controls({c.context for c in conditions}))
        shifts, posterior = self._posterior(conditions, levels)
        shifted = dict(zip(conditions, shifts, strict=True))
        predicted = cells_shifted_by(shifted, self, controls, n_cells=n_cells, seed=seed)
        attach_posterior(predicted.adata, conditions, posterior)
        return predicted

    def _posterior(self, conditions: list[Condition], given: ControlLevels) -> tuple[Profiles, GenePosterior]:
        """The shift of each condition's control cells, and what is believed of its genes."""
        learned = self.learned
        known = list(learned.facts["level_contexts"])
        others = [context for context in given.contexts if context not in known]
        place = {context: i for i, context in enumerate([*known, *others])}
        levels = learned.arrays["level_mean"].astype(np.float64)
        noise = learned.arrays["level_noise"].astype(np.float64)
        rows = [given.contexts.index(context) for context in others]
        field = replace(self.field, levels=np.concatenate([levels, given.mean[rows]]))
        means, noises = field.levels.copy(), np.concatenate([noise, given.noise[rows]])
        for i, context in enumerate(given.contexts):
            means[place[context]], noises[place[context]] = given.mean[i], given.noise[i]
        excess, level_variance = self._level_excess(means, noises, field.settings.level_slope)
        perturbed = set(field.measured.context.tolist()) if field.settings.common is not None else set()

        shape = (len(conditions), len(learned.genes))
        shifts, mean, variance, of_mean = (np.zeros(shape) for _ in range(4))
        informative = np.zeros(shape, dtype=bool)
        parts = [np.zeros((*shape, COMPONENTS), dtype=np.float32) for _ in range(3)]
        parts[0][..., 0] = 1.0
        names = list(dict.fromkeys(c.perturbation for c in conditions if not c.is_control))
        targets = np.array(sorted({place[c.context] for c in conditions}), dtype=np.int64)
        new = self._never_measured(field, names, targets)
        for name in names:
            rows = [i for i, c in enumerate(conditions) if c.perturbation == name]
            response = field.response(name, new, targets)
            for i in rows:
                at = place[conditions[i].context]
                column = int(np.searchsorted(targets, at))
                mean[i] = response.mean[:, column]
                mixture, informative[i] = self._stated(field, name, at, response, column)
                variance[i] = mixture.variance
                for part, stated in zip(parts, (mixture.weights, mixture.means, mixture.sds), strict=True):
                    part[i, :, : stated.shape[1]] = stated
                if at in perturbed:
                    here = given.contexts.index(conditions[i].context)
                    trained = weight_of_known(levels[at], noise[at], given.mean[here], given.noise[here])
                    level = levels[at] + field.control_error.mean[:, at]
                    error = field.control_error.variance[:, at] - field.common.variance[:, at]
                    shifts[i] = mean[i] + trained * (level - given.mean[here])
                    of_mean[i] = variance[i] + trained * error + (1.0 - trained) * given.noise[here]
                else:
                    free = 1.0 - response.own_weight[:, column]
                    shifts[i] = mean[i] - free * excess[at]
                    of_mean[i] = variance[i] + free**2 * level_variance[at]
        posterior = GenePosterior(
            mean, np.sqrt(variance), np.sqrt(np.maximum(of_mean, 0.0)), GeneMixture(*parts), informative, self.threshold
        )
        return shifts, posterior

    def _stated(
        self, field: Field, name: str, context: int, response: Posterior, column: int
    ) -> tuple[GeneMixture, np.ndarray]:
        """The distribution of every gene, recalibrated as leaving out such conditions has taught; and which genes it tells of."""
        mixture = response.mixture
        if mixture is None:
            msg = f"{self.name} has no distribution for {name!r}."
            raise ModelError(msg)
        mixture = mixture.at(slice(None), column)
        mixture = mixture.shifted(
            response.mean[:, column] - mixture.mean
        )  # single precision is not enough for the mean
        kind = kind_of(field, name, context)
        learned = None if kind is None else field.settings.recalibrations.get(kind)
        if learned is not None:
            mixture = learned.applied(mixture)
        informative = mixture.probabilities(self.threshold).lfsr < 0.5 - SAME
        return mixture, informative & (learned is None or learned.tells)

    def _never_measured(self, field: Field, names: Sequence[str], targets: np.ndarray) -> dict[str, Posterior]:
        """What perturbations, or parts, that were never measured are expected to do beside the common response."""
        lacking = {part for name in names for part in self._lacking(name)}
        if not lacking:
            return {}
        stage, features, typical = field.settings.features, self._features, field.typical[:, targets]
        unknown = field.unmeasured(typical, field.settings.gene_variance, field.settings.specific)
        new = dict.fromkeys(sorted(lacking), unknown)
        told = [name for name in new if stage is not None and features is not None and not features.missing(name)]
        if told and stage is not None and features is not None:
            known = self.learned.facts["with_features"]
            own = krige_features(field, stage, known, features.of(known), features.of(told))
            for i, name in enumerate(told):
                new[name] = moved(own.at(np.array([i])), typical)
        return new

    @property
    def _features(self) -> Features | None:
        return known_features(self.learned) if "feature_names" in self.learned.facts else None

    def _level_excess(self, means: Profiles, noises: Profiles, slope: float) -> tuple[Profiles, Profiles]:
        """What smoothing takes off every control mean, and the variance of the level that is left."""
        stored = self.learned.facts["level_mixture"]
        if stored is None:
            return np.zeros_like(means), noises
        smooth = smooth_levels(means, noises, mixture_from(stored))
        return slope * (means - smooth.mean.T), slope * smooth.variance.T + (1.0 - slope) * noises

    @property
    def field(self) -> Field:
        """What was measured and learned, in the contexts whose control cells were in training."""
        learned = self.learned
        arrays = learned.arrays
        levels = ControlLevels(tuple(learned.facts["level_contexts"]), arrays["level_mean"], arrays["level_noise"])
        measured = Measured(
            names=tuple(learned.facts["names"]),
            context=arrays["context"],
            delta=arrays["delta"],
            cell_noise=arrays["cell_noise"],
            control_noise=arrays["control_noise"],
            levels=levels,
        )
        settings = settings_from(learned.facts["settings"], arrays["gene_variance"])
        return Field(measured, settings, arrays["level_mean"].astype(np.float64))

    def _lacking(self, name: str) -> list[str]:
        """What features, or the common response, must tell: parts of a combination, or all of it where none is known."""
        strength, features = self.learned.facts["settings"]["strength"], self._features
        parts = parts_of(name)
        lacking = [] if name in strength else [part for part in parts if part not in strength]
        listed = features is not None and not features.missing(name) and any(map(features.missing, lacking))
        return [name] if listed or len(lacking) == len(parts) else lacking

    def _check_known(self, condition: Condition) -> None:
        """Raise if a perturbation, or a part of a combination, was never measured."""
        lacking = [] if condition.is_control or self.unseen == "common" else self._lacking(condition.perturbation)
        features = self._features if lacking else None
        if not lacking or (features is not None and not any(map(features.missing, lacking))):
            return
        name = condition.perturbation
        part = next(part for part in parts_of(name) if part not in self.learned.facts["settings"]["strength"])
        what = "it" if not is_combination(name) else f"its part {part!r}"
        why = (
            "too few training perturbations have features"
            if features is None
            else f"it has no row in {features.source}"
        )
        msg = (
            f"{self.name} cannot predict {name!r} in {condition.context!r}: {what} was never measured, and {why}. "
            f"Give features with --model.features FILE, take the response common to all with --model.unseen common, or "
            f"leave it out."
        )
        raise ModelError(msg)
