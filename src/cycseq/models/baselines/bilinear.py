"""A linear map from what a perturbed gene is like to what happens to all genes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.dataset import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.data.effects import Effects
from cycseq.knowledge.features import FeatureRows
from cycseq.matrix.arrays import Profile, Profiles
from cycseq.models.base import WEIGHT
from cycseq.models.baselines.shift import Controls, Learned, ShiftModel, perturbed_means
from cycseq.models.knowledge import FeatureSettings, store_features, with_features
from cycseq.split.settings import Kind

PUBLISHED_PENALTY = 0.1
N_FOLDS = 5
RELATIVE_PENALTIES = 10.0 ** np.arange(-3, 6)  # penalties that are tried, in units of the mean square of a column of P

Scores = Float[np.ndarray, "genes components"]


@dataclass
class Bilinear(FeatureSettings, ShiftModel):
    """Control cells plus G K p + b: a linear map from features of the perturbed gene to all genes.

    Formula: Y = G K P^T + b with Y the training Deltas (genes x conditions), b the mean Delta of the context (of all
    training conditions where it has none), G the scores of the genes on the principal components of the mean training
    expression (of Y where only effects are known), P the rows of the perturbed genes in G, in a file or by knowledge, and
    K = (G^T G + l)^-1 G^T (Y - b) P (P^T P + l)^-1. A combination has the sum of its parts' rows.

    Reference: the linear model of Ahlmann-Eltze, Huber and Anders 2025 (Nature Methods), with l = 0.1 and 10
    components; their code counts control as one more training condition with Delta = 0 and P = 0.

    Strong for unseen perturbations whose features say something; where they say nothing, a chosen penalty brings it
    back to `PerturbedMean`. Beyond b it predicts the same in all contexts. It refuses perturbations without features, unless ``unseen`` says otherwise;
    training perturbations without them only help b. A value that was not measured counts as b.
    """

    limits: ClassVar[dict[str, tuple[float, float]]] = {"penalty": WEIGHT}
    penalty: float | None = None
    """Ridge penalty l of both solves (0.1 is published); None keeps 0.1 for G and chooses P's by leaving out perturbations."""

    def learn(self, train: Effects, controls: Controls, *, task: Kind | None = None, seed: int) -> Learned:
        scores = self.scores_of(train, controls, seed=seed)
        features = self.features_of(train, controls, seed=seed)
        with_row = np.flatnonzero(with_features(train, features, self.name))
        p = features.of([train.conditions()[i].perturbation for i in with_row])
        g = scores.values.astype(np.float64)
        penalty = _chosen_penalty(train, with_row, g, p, seed) if self.penalty is None else self.penalty
        offsets = _offsets(train, np.ones(len(train.effect), dtype=bool))
        k = _solve(
            np.nan_to_num(train.effect[with_row] - offsets[with_row]),
            g,
            p,
            PUBLISHED_PENALTY if self.penalty is None else self.penalty,
            penalty,
        )
        arrays, facts = store_features(features)
        of_means, keys = perturbed_means(train)
        arrays |= {"map": (g @ k).astype(np.float32), **of_means}
        return arrays, {**facts, **keys, "penalty": penalty}

    def shift(self, condition: Condition, control_mean: Profile | None) -> Profile:
        mean, features = self.perturbed_mean(Condition(condition.context, "")), self.stored_features
        if self.unseen == "common" and features.missing(condition.perturbation):
            return mean
        shift: Profile = self.learned.arrays["map"].astype(np.float64) @ features.of([condition.perturbation])[0] + mean
        return shift.astype(np.float32)


def _solve(
    y: Profiles, g: Scores, p: FeatureRows, gene_penalty: float, penalty: float
) -> Float[np.ndarray, "components features"]:
    """K of Y^T = G K P^T, by one ridge solve on either side."""
    left = np.linalg.solve(g.T @ g + gene_penalty * np.eye(g.shape[1]), g.T @ y.T @ p)
    return np.linalg.solve(p.T @ p + penalty * np.eye(p.shape[1]), left.T).T


def _chosen_penalty(train: Effects, with_row: Int[np.ndarray, "known"], g: Scores, p: FeatureRows, seed: int) -> float:
    """The penalty of P with the least squared error on perturbations that were left out, in every context at once."""
    perturbations = np.array([c.perturbation for c in train.conditions()])
    names = np.unique(perturbations[with_row])
    fold_of = dict(zip(np.random.default_rng(seed).permutation(names), np.arange(len(names)) % N_FOLDS, strict=True))
    folds = np.array([fold_of.get(name, -1) for name in perturbations])
    penalties = RELATIVE_PENALTIES * max(float(np.square(p).sum() / p.shape[1]), np.finfo(np.float64).tiny)
    errors = np.zeros(len(penalties))
    for fold in np.unique(folds[with_row]):
        training, left_out = folds != fold, folds[with_row] == fold
        y = train.effect[with_row] - _offsets(train, training)[with_row]
        for i, penalty in enumerate(penalties):
            k = _solve(np.nan_to_num(y[~left_out]), g, p[~left_out], PUBLISHED_PENALTY, penalty)
            errors[i] += np.nansum(np.square(y[left_out] - p[left_out] @ k.T @ g.T))
    return float(penalties[errors.argmin()])


def _offsets(train: Effects, kept: np.ndarray) -> Profiles:
    """For every condition the mean of the kept Deltas of its context, or of all kept ones where it has none, gene by gene."""
    contexts = np.array([c.context for c in train.conditions()])
    overall = mean_of_measured(train.effect[kept])
    offsets = np.tile(overall, (len(contexts), 1))
    for context in np.unique(contexts[kept]):
        mean = mean_of_measured(train.effect[kept & (contexts == context)])
        offsets[contexts == context] = np.where(np.isnan(mean), overall, mean)
    return offsets
