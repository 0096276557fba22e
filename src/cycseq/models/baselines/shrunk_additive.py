"""Perturbation and context add up, each as far as it can be predicted from noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.data.condition import Condition, split_treatment
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.base import WEIGHT
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel
from cycseq.split.settings import Kind

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 100.0)
"""Conditions that count as if they had been measured at 0, for each effect."""
ROUNDS = 12  # rounds of fitting one kind of effect while the other is held
N_FOLDS, MOST_GENES = 5, 200  # folds on which the penalties are chosen, and genes drawn for it
CODE = Int[np.ndarray, "conditions"]


@dataclass
class ShrunkAdditive(ShiftModel):
    """Control cells plus a mean, an effect of the perturbation and an effect of the context, both shrunk to 0.

    Formula: Delta^(p, c*) = m + a_p + b_c, where a and b minimise the squared error plus l |a|^2 + k |b|^2 (random effects, gene
    by gene with common penalties). The penalties are chosen on conditions that are left out: whole contexts for an unseen
    context, whole perturbations for an unseen one, else single conditions.

    Reference: Robinson 1991 (best linear unbiased prediction).

    Strong where contexts and perturbations hardly interact and conditions are noisy. Of an unseen perturbation it says m + b,
    of an unseen context m + a: it predicts any. An unseen dose or time has the mean a of the others of its perturbation.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"perturbation_penalty": WEIGHT, "context_penalty": WEIGHT}
    perturbation_penalty: float | None = None
    """l; None chooses it."""
    context_penalty: float | None = None
    """k; None chooses it."""

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        conditions = train.conditions()
        contexts, of_context = np.unique([c.context for c in conditions], return_inverse=True)
        names, of_name = np.unique([c.perturbation for c in conditions], return_inverse=True)
        penalties = self._penalties(train.effect, of_name, of_context, task, seed)
        mean, of_names, of_contexts = _fitted(train.effect, of_name, of_context, penalties)
        arrays = {"mean": mean, "of_perturbation": of_names, "of_context": of_contexts}
        facts: dict[str, object] = {"names": names.tolist(), "penalties": list(penalties)}
        return {name: array.astype(np.float32) for name, array in arrays.items()}, facts | {
            "contexts": contexts.tolist()
        }

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        learned = self.learned
        names, contexts = learned.facts["names"], learned.facts["contexts"]
        total = learned.arrays["mean"].copy()
        by_agent = learned.remember("places by agent", lambda: _places_by_agent(names))
        same = learned.remember("places", lambda: {name: [place] for place, name in enumerate(names)})
        alike = same.get(condition.perturbation) or by_agent.get(condition.agent)
        if alike:
            total += learned.arrays["of_perturbation"][alike].mean(axis=0)
        if condition.context in contexts:
            total += learned.arrays["of_context"][contexts.index(condition.context)]
        if not alike and condition.context not in contexts:
            raise ModelError(
                f"{self.name} cannot predict {str(condition)!r}: training has neither its perturbation nor its context."
            )
        return total

    def _penalties(
        self, effect: Profiles, of_name: CODE, of_context: CODE, task: Kind | None, seed: int
    ) -> tuple[float, float]:
        first = PENALTIES if self.perturbation_penalty is None else (self.perturbation_penalty,)
        second = PENALTIES if self.context_penalty is None else (self.context_penalty,)
        if len(first) == len(second) == 1:
            return first[0], second[0]
        rng = np.random.default_rng(seed)
        genes = np.sort(rng.permutation(effect.shape[1])[:MOST_GENES])
        left_out = {"unseen-context": of_context, "unseen-perturbation": of_name}.get(
            task or "", np.arange(len(effect))
        )
        groups = rng.permutation(int(left_out.max()) + 1)[left_out] % N_FOLDS
        errors = {(a, b): 0.0 for a in first for b in second}
        effect = effect[:, genes]
        for fold in np.unique(groups):
            train, test = groups != fold, groups == fold
            if not train.any():
                continue
            for pair in errors:
                mean, of_names, of_contexts = _fitted(effect[train], of_name[train], of_context[train], pair)
                predicted = mean + _rows(of_names, of_name[test]) + _rows(of_contexts, of_context[test])
                errors[pair] += float(np.nansum(np.square(predicted - effect[test])))
        return min(errors, key=lambda pair: errors[pair])


def _places_by_agent(names: Sequence[str]) -> dict[str, list[int]]:
    """Where the doses and times of every agent stand among the names."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(split_treatment(name)[0], []).append(place)
    return places


def _rows(effects: Profiles, codes: CODE) -> Profiles:
    """The effects of these codes; 0 of one beyond those fitted."""
    padded = np.concatenate([effects, np.zeros((1, effects.shape[1]))])
    return np.asarray(padded[np.minimum(codes, len(effects))])


def _fitted(
    effect: Profiles, of_name: CODE, of_context: CODE, penalties: tuple[float, float]
) -> tuple[Profile, Profiles, Profiles]:
    """Mean and effects, by fitting each in turn while the others are held; values that were not measured are passed over."""
    measured = ~np.isnan(effect)
    values = np.nan_to_num(effect).astype(np.float64)
    if measured.all():
        return _fitted_to_all(values, of_name, of_context, penalties)
    members = [_members(codes) for codes in (of_name, of_context)]
    counts = [member @ measured.astype(np.float64) for member in members]
    n = np.maximum(measured.sum(axis=0), 1)
    mean: Float[np.ndarray, "genes"] = values.sum(axis=0) / n
    effects = [np.zeros_like(count) for count in counts]
    for _ in range(ROUNDS):
        for i, (codes, member) in enumerate(zip((of_name, of_context), members, strict=True)):
            other = effects[1 - i][(of_context, of_name)[i]]
            residual: Profiles = np.where(measured, values - mean - other, 0.0)
            effects[i] = (member @ residual) / np.maximum(counts[i] + penalties[i], 1e-12)
            mean = np.where(measured, values - effects[i][codes] - other, 0.0).sum(axis=0) / n
    return mean, effects[0], effects[1]


def _fitted_to_all(
    values: Profiles, of_name: CODE, of_context: CODE, penalties: tuple[float, float]
) -> tuple[Profile, Profiles, Profiles]:
    """As `_fitted`, where all values were measured: the rounds need the effects of the many perturbations in sums over contexts alone."""
    members, members_of_context = _members(of_name), _members(of_context)
    sums, sums_of_context = members @ values, members_of_context @ values
    shared = (members @ members_of_context.T).toarray()  # conditions of a perturbation in a context
    counts, counts_of_context, (n, total) = shared.sum(axis=1), shared.sum(axis=0), (len(values), values.sum(axis=0))
    shrinkage, shrinkage_of_context = (
        np.maximum(count + penalty, 1e-12)[:, None]
        for count, penalty in zip((counts, counts_of_context), penalties, strict=True)
    )
    weights = (shared / shrinkage).T
    of_sums, of_counts, of_shared = weights @ sums, weights @ counts, weights @ shared
    mean, of_contexts = total / n, np.zeros_like(sums_of_context)
    for _ in range(ROUNDS):
        before = mean, of_contexts
        of_names = (
            of_sums - np.outer(of_counts, mean) - of_shared @ of_contexts
        )  # summed over the conditions of each context
        mean = (total - of_names.sum(axis=0) - counts_of_context @ of_contexts) / n
        of_contexts = (sums_of_context - np.outer(counts_of_context, mean) - of_names) / shrinkage_of_context
        mean = (total - of_names.sum(axis=0) - counts_of_context @ of_contexts) / n
    return mean, (sums - np.outer(counts, before[0]) - shared @ before[1]) / shrinkage, of_contexts


def _members(codes: CODE) -> sp.csr_matrix:
    """Groups x conditions: 1 where a condition belongs to a group."""
    return sp.csr_matrix(
        (np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(int(codes.max()) + 1, len(codes))
    )
