"""A linear regression of the response on perturbation and context."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.dataset import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.knowledge.features import Features
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.base import WEIGHT
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel
from cycseq.models.knowledge import FeatureSettings, store_features, with_features
from cycseq.models.parts_ridge import Inputs, PartsRidge
from cycseq.split.settings import Kind

ROUNDS = 10
"""Values that were not measured are filled by what is predicted of them, so many times: they then tell nothing."""
NO_FEATURES = Features((), np.zeros((0, 0), dtype=np.float32), "the features (none are used)")

Encoding = Literal["both", "one-hot", "features"]


@dataclass
class Ridge(FeatureSettings, ShiftModel):
    """Control cells plus a ridge regression of Delta on perturbation and control profile.

    Formula: Delta^(p, c) = b + z(p, c) W with W = Z^T (Z Z^T + l)^-1 (Y - b), Z the centred inputs of the training
    conditions. z holds a 1 for every part of p that was seen, the sum of the features of its parts, and the scores of
    the context's control profile on the principal components of the training contexts' (where control profiles are not
    known, a place for each context); the blocks of features and scores have mean squared length 1. l is chosen in closed
    form by leaving out groups of conditions (PRESS).

    Reference: Kernfeld et al. 2025 (Genome Biology) compare such regressions with networks.

    Strong where many conditions are seen in several contexts, or features are good. Perturbation and context add up
    and do not interact. It refuses a part that was neither seen nor has features, unless ``unseen`` says otherwise.
    Eight seconds of one core for 6,000 conditions of 3,000 perturbations and 3,200 genes.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"n_context_components": WEIGHT, "penalty": WEIGHT}
    encoding: Encoding = "both"
    """What stands for a perturbation: one place for each (``one-hot``), its features, or both."""
    n_context_components: int = 10
    """Principal components of the control profiles; 0 leaves the context out."""
    penalty: float | None = None
    """Ridge penalty l, in units of the mean squared length of the centred inputs; None chooses it."""
    leave_out: Literal["context", "perturbation"] | None = None
    """What is left out to choose the penalty; None is ``context`` where a context has control cells alone, else
    ``perturbation``."""

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        features, with_row = self._features(train, controls, seed)
        conditions = [c for c, has in zip(train.conditions(), with_row, strict=True) if has]
        contexts = sorted({c.context for c in conditions})
        contexts = [] if set(contexts) <= set(controls) else contexts
        profiles = np.stack([_place(c.context, contexts) if contexts else controls[c.context] for c in conditions])
        parts = () if self.encoding == "features" else tuple(sorted({part for c in conditions for part in c.parts}))
        n_components = len(contexts) if contexts and self.n_context_components else self.n_context_components
        encoder = _encoder(conditions, profiles, parts, features, n_components)
        z, delta = encoder.inputs(conditions, profiles), train.effect[with_row].astype(np.float64)
        groups = self._groups(conditions, waiting=set(controls) - {c.context for c in conditions}, task=task)
        missing = np.isnan(delta)
        delta = np.where(missing, np.nan_to_num(mean_of_measured(delta)), delta)
        regression = PartsRidge.of(z, len(parts))
        penalty = regression.choose_penalty(delta, groups) if self.penalty is None else self.penalty
        fit = regression.at(penalty)
        weights = fit.weights(delta)
        for _ in range(ROUNDS if missing.any() else 0):
            delta[missing] = regression.predict(*weights)[missing]
            weights = fit.weights(delta)
        arrays, facts = store_features(features)
        of_features = z[:, len(parts) : len(parts) + features.values.shape[1]]
        arrays |= {
            "mean_features": (of_features.mean(axis=0) / (encoder.feature_scale or 1.0)).astype(np.float32),
            "weights": np.concatenate([weights[0], weights[1][:-1]]).astype(np.float32),
            "intercept": weights[1][-1].astype(np.float32),
            "centre": encoder.centre,
            "directions": encoder.directions,
        }
        facts |= {"parts": list(parts), "places": list(contexts), "feature_scale": encoder.feature_scale}
        return arrays, {**facts, "penalty": penalty}

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        learned = self.learned
        encoder = learned.remember(f"encoder, unseen: {self.unseen}", self._stored_encoder)
        if contexts := learned.facts["places"]:
            profile = _place(condition.context, contexts) if condition.context in contexts else encoder.centre
        elif control_mean is None:
            msg = f"{self.name} has learned from control profiles: give the controls of {condition.context!r}."
            raise ModelError(msg)
        else:
            profile = control_mean
        z = encoder.inputs([condition], profile[None])[0]
        places = np.flatnonzero(z)  # of thousands of perturbations, one
        shift: Profile = learned.arrays["intercept"] + z[places] @ learned.arrays["weights"][places].astype(np.float64)
        return shift.astype(np.float32)

    def _stored_encoder(self) -> "_Encoder":
        learned = self.learned
        return _Encoder(
            tuple(learned.facts["parts"]),
            self.stored_features,
            learned.facts["feature_scale"],
            learned.arrays["centre"],
            learned.arrays["directions"],
            learned.arrays["mean_features"] if self.unseen == "common" else None,
        )

    def _features(self, train: Effects, controls: Controls, seed: int) -> tuple[Features, np.ndarray]:
        """The features, and which training conditions can be encoded; none are used where two perturbations lack them."""
        everything = np.ones(len(train.effect), dtype=bool)
        if self.encoding == "one-hot":
            return NO_FEATURES, everything
        source = self.knowledge or self.features
        if not source and self.encoding == "both" and not controls:
            return NO_FEATURES, everything
        features = self.features_of(train, controls, seed=seed)
        if self.encoding == "features":
            return features, with_features(train, features, self.name)
        having = {c.perturbation for c in train.conditions() if not features.missing(c.perturbation)}
        return (features if len(having) > 1 else NO_FEATURES), everything

    def _groups(
        self, conditions: Sequence[Condition], waiting: set[str], task: Kind | None = None
    ) -> Int[np.ndarray, "conditions"]:
        """What each condition is left out together with."""
        left_out = self.leave_out or ("context" if waiting or task == "unseen-context" else "perturbation")
        by_context = np.unique([c.context for c in conditions], return_inverse=True)[1]
        by_perturbation = np.unique([c.perturbation for c in conditions], return_inverse=True)[1]
        first, second = by_context, by_perturbation
        if left_out == "perturbation":
            first, second = second, first
        return first if first.max() > 0 else second


@dataclass(frozen=True)
class _Encoder:
    """Turns conditions and the control profiles of their contexts into inputs."""

    parts: tuple[str, ...]
    features: Features
    feature_scale: float
    centre: Profile
    directions: Float[np.ndarray, "genes components"]
    otherwise: Float[np.ndarray, "features"] | None = None  # what a part without features gets; None refuses it

    @cached_property
    def places(self) -> dict[str, int]:
        """Of the parts."""
        return {part: i for i, part in enumerate(self.parts)}

    def inputs(self, conditions: Sequence[Condition], profiles: Profiles) -> Inputs:
        """One row for each; raises `ModelError` for a part that was neither seen nor has features."""
        place = self.places
        seen = np.zeros((len(conditions), len(place)))
        features = np.zeros((len(conditions), self.features.values.shape[1]))
        for row, condition in enumerate(conditions):
            for part in condition.parts:
                if part in place:
                    seen[row, place[part]] = 1.0
                if not self.features.missing(part):
                    features[row] += self.features.of([part])[0]
                elif part not in place:
                    features[row] += self.features.of([part])[0] if self.otherwise is None else self.otherwise
        return np.hstack([seen, features * self.feature_scale, (profiles - self.centre) @ self.directions])


def _place(context: str, contexts: Sequence[str]) -> Profile:
    """1 at the place of the context, else 0."""
    return np.array([other == context for other in contexts], dtype=np.float32)


def _encoder(
    conditions: Sequence[Condition], profiles: Profiles, parts: tuple[str, ...], features: Features, n_components: int
) -> _Encoder:
    """The encoder whose blocks of features and of control scores have mean squared length 1 on these conditions."""
    of_context = dict(zip([c.context for c in conditions], profiles.astype(np.float64), strict=True))
    distinct = np.stack(list(of_context.values()))
    centre = distinct.mean(axis=0).astype(np.float32)
    n_components = min(n_components, len(distinct) - 1)
    directions = np.linalg.svd(distinct - centre, full_matrices=False)[2][:n_components].T
    plain = _Encoder(parts, features, 1.0, centre, directions)
    blocks = plain.inputs(conditions, profiles)[:, len(parts) :]
    of_features, scores = np.split(blocks, [features.values.shape[1]], axis=1)
    scaled = (directions * _scale(scores)).astype(np.float32)
    return _Encoder(parts, features, _scale(of_features), centre, scaled)


def _scale(block: Inputs) -> float:
    """The factor that gives the centred rows a mean squared length of 1; 0 for a block that does not vary."""
    length = float(np.square(block - block.mean(axis=0)).sum() / len(block))
    return length**-0.5 if length > 1e-12 else 0.0
