"""Perturbations that are alike do alike."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.dataset import Condition
from cycseq.data.effect_means import mean_of_measured, weighted_mean
from cycseq.data.effects import Effects
from cycseq.knowledge.features import FeatureRows
from cycseq.matrix.arrays import Profile
from cycseq.models.base import SIZE
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, store_deltas
from cycseq.models.knowledge import FeatureSettings, store_features, with_features
from cycseq.split.settings import Kind

NUMBERS = (1, 2, 3, 5, 8, 13, 20, 30)  # numbers of neighbours that are tried, beside all


@dataclass
class NearestPerturbation(FeatureSettings, ShiftModel):
    """Control cells plus the mean Delta of the k training perturbations whose features are nearest.

    Formula: Delta^(p, c*) = mean over the k nearest p' of Delta(p', c*), Euclidean distance between features; a p'
    that was not measured in c* is the mean of its Deltas over the training contexts. A combination has the sum of its
    parts' features.

    Reference: the k-nearest-neighbour baseline of Csendes et al. 2025 (BMC Genomics).

    Strong for unseen perturbations where features group genes of one pathway, or where an embedding is good; with k
    as large as the screen it is the mean of all. It refuses perturbations without features, unless ``unseen`` says otherwise.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"k": SIZE}
    k: int | None = None
    """How many neighbours; None chooses by leaving out one perturbation at a time."""

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        features = self.features_of(train, controls, seed=seed)
        with_row = with_features(train, features, self.name)
        names = sorted({c.perturbation for c, has in zip(train.conditions(), with_row, strict=True) if has})
        k = self.k or _chosen_number(train, names, features.of(names))
        arrays, facts = store_deltas(train)
        feature_arrays, feature_facts = store_features(features)
        return {**arrays, **feature_arrays}, {**facts, **feature_facts, "k": k, "neighbours": names}

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        names, features = self.learned.facts["neighbours"], self.stored_features
        rows, nearest = self.learned.remember("rows", lambda: features.of(names)), np.arange(len(names))
        if self.unseen == "refuse" or not features.missing(condition.perturbation):
            order = _by_distance(features.of([condition.perturbation]), rows)[0]
            nearest = order[: self.learned.facts["k"]]
        deltas = [self.measured_delta(names[i], condition.context) for i in nearest]
        return mean_of_measured(np.stack([delta for delta in deltas if delta is not None]))


def _by_distance(rows: FeatureRows, others: FeatureRows) -> Int[np.ndarray, "perturbations others"]:
    """The places of the others, nearest first; ties in their order."""
    from scipy.spatial.distance import cdist

    return np.argsort(cdist(rows, others), axis=1, kind="stable")


def _chosen_number(train: Effects, names: list[str], rows: FeatureRows) -> int:
    """The number of neighbours with the least squared error on perturbations that were left out, one at a time."""
    order = _by_distance(rows, rows)
    order = order[order != np.arange(len(names))[:, None]].reshape(len(names), -1)  # nobody is its own neighbour
    numbers = sorted({n for n in NUMBERS if n < order.shape[1]} | {order.shape[1]})
    errors = np.zeros(len(numbers))
    for measured, deltas in _by_context(train, names):
        for i, number in enumerate(numbers):
            neighbours = np.zeros((len(measured), len(names)))
            np.put_along_axis(neighbours, order[measured, :number], 1.0 / number, axis=1)
            errors[i] += np.nansum(np.square(weighted_mean(neighbours, deltas) - deltas[measured]))
    return int(numbers[errors.argmin()])


def _by_context(
    train: Effects, names: list[str]
) -> list[tuple[Int[np.ndarray, "measured"], Float[np.ndarray, "perturbations genes"]]]:
    """Of every context: which perturbations it has, and all Deltas, those it lacks being means over contexts."""
    place = {name: i for i, name in enumerate(names)}
    conditions = train.conditions()
    rows = [i for i, c in enumerate(conditions) if c.perturbation in place]
    places = np.array([place[conditions[i].perturbation] for i in rows])
    contexts = np.array([conditions[i].context for i in rows])
    sums, counts = np.zeros((2, len(names), len(train.genes)))
    np.add.at(sums, places, np.nan_to_num(train.effect[rows]))
    np.add.at(counts, places, train.measured[rows])
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    by_context = []
    for context in np.unique(contexts):
        deltas, here = means.copy(), np.flatnonzero(contexts == context)
        measured = train.effect[np.array(rows)[here]]
        deltas[places[here]] = np.where(np.isnan(measured), deltas[places[here]], measured)
        by_context.append((places[here], deltas))
    return by_context
