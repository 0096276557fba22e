"""The settings of models that predict from what is known of perturbations."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from cycseq.data.effects import Effects
from cycseq.errors import ModelError, SettingsError, count_of
from cycseq.knowledge.catalog import sources_for
from cycseq.knowledge.coordinates import coordinates
from cycseq.knowledge.features import Features, expression_features, read_features
from cycseq.knowledge.names import aliases_of
from cycseq.knowledge.stored import store_aliases, stored_aliases
from cycseq.matrix.arrays import Profile
from cycseq.models.base import SIZE, Fitted


@dataclass
class KnowledgeSettings:
    """The setting of any model that uses sources of knowledge."""

    knowledge: tuple[str, ...] = ()
    """What is known of genes or drugs: files (sets, edges, tables of numbers), entries of ``cycseq knowledge list``, or
    ``auto`` for all at hand."""
    unseen: Literal["refuse", "common"] = "refuse"
    """What becomes of a perturbation without measurement and without knowledge or features: an error, or the response that is common
    to all perturbations."""


@dataclass
class FeatureSettings(KnowledgeSettings):
    """The settings of a model that takes a row of numbers for each perturbation."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {"n_components": SIZE}
    features: Path | None = None
    """CSV, TSV or NPZ of numbers with genes as rows, taken as they are, or a table of GO terms. Where neither they nor
    ``knowledge`` are given, the rows are the genes' principal component scores of the mean training expression."""
    n_components: int = 10
    """Principal components of the training expression."""

    def features_of(self, train: Effects, controls: Mapping[str, Profile], *, seed: int) -> Features:
        """The rows of numbers that the settings name.

        Raises `SettingsError` if both features and knowledge are given, and `ModelError` if neither is, and effects alone are
        known.
        """
        if self.knowledge and self.features is not None:
            raise SettingsError("--model.features and --model.knowledge were both given: give one of them.")
        if self.knowledge:
            return coordinates(sources_for(self.knowledge, train.perturbations), train.perturbations)
        if self.features is not None:
            return read_features(self.features, seed=seed)
        if not has_expression(train, controls):
            raise ModelError(
                "features made of mean expression need the control means of every context and every gene in every condition, "
                "and these effects lack some: give --model.knowledge or --model.features."
            )
        return self.scores_of(train, controls, seed=seed)

    def scores_of(self, train: Effects, controls: Mapping[str, Profile], *, seed: int) -> Features:
        """Scores of the genes on the principal components of the mean expression, or of the effects where they alone are known."""
        if has_expression(train, controls):
            return expression_scores(train, controls, n_components=self.n_components, seed=seed)
        effects = np.nan_to_num(train.effect)
        return expression_features(effects, train.genes, n_components=self.n_components, seed=seed)


def expression_scores(train: Effects, controls: Mapping[str, Profile], *, n_components: int, seed: int) -> Features:
    """Scores of the genes on the principal components of all mean profiles: of controls, and of training conditions."""
    perturbed = np.stack([controls[c.context] for c in train.conditions()]) + train.effect
    profiles = np.concatenate([np.stack(list(controls.values())), perturbed])
    return expression_features(profiles, train.genes, n_components=n_components, seed=seed)


def has_expression(train: Effects, controls: Mapping[str, Profile]) -> bool:
    """Whether the mean expression of every training condition is known, in every gene."""
    return set(train.contexts) <= set(controls) and bool(train.measured.all())


def with_features(train: Effects, features: Features, name: str) -> np.ndarray:
    """Which training conditions have features; the others are left out by a model that needs them.

    Raises
    ------
    ModelError
        If fewer than two training perturbations have features.
    """
    with_row = np.array([not features.missing(c.perturbation) for c in train.conditions()])
    perturbations = set(train.perturbations)
    having = {p for p in perturbations if not features.missing(p)}
    if len(having) < 2:
        lacking = sorted(perturbations - having)
        raise ModelError(
            f"{name} cannot learn: of {count_of(len(perturbations), 'training perturbation')} {len(having)} have a row in "
            f"{features.source}, and two are needed (without: {', '.join(lacking[:5])}). Give --model.knowledge or --model.features."
        )
    return with_row


def store_features(features: Features) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Arrays and facts from which `stored_features` makes the same features again."""
    arrays, aliases = {"features": features.values}, aliases_of(features.names, features.aliases)
    if aliases:
        arrays["feature_aliases"] = store_aliases(aliases)
    facts: dict[str, object] = {"feature_names": list(features.names), "feature_source": features.source}
    return arrays, facts | ({"sources": list(features.origins)} if features.origins else {})


def stored_features(learned: Fitted) -> Features:
    """What `store_features` kept."""
    arrays, facts = learned.arrays, learned.facts
    aliases = stored_aliases(arrays.get("feature_aliases"))
    return learned.remember(
        "features",
        lambda: Features(tuple(facts["feature_names"]), arrays["features"], facts["feature_source"], aliases),
    )
