"""The six members of the Virtual Cell Challenge 2026 (rule version 3), from profiles of real and predicted counts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from cycseq.matrix.arrays import Codes, Mask, Profile, Profiles
from cycseq.score.metrics.base import Scores
from cycseq.score.metrics.challenge.profiles import ControlProfile, CountProfiles

ALPHA = 0.05
PURITY = 0.9  # share of right signs that a prefix of `direction_reach` keeps
FEWEST_GENES = 10  # significant genes without which `lfc_nmae` is undefined


@dataclass(frozen=True)
class CountComparison:
    """Predicted and real conditions of one context, as counts; row i of everything but `all_real` is one condition."""

    all_real: CountProfiles  # all real conditions of the context: `pds_cosine` may confuse any of them
    places: Codes  # where the compared conditions stand among them
    predicted: CountProfiles
    control: ControlProfile  # the real control cells
    perturbed: Mask  # True at the genes that each of `all_real` perturbs
    genes: tuple[str, ...]
    predicted_control: ControlProfile | None = None
    """The controls of the predictions, where they are others (one half of the real cells predicts the other half)."""

    @cached_property
    def real(self) -> CountProfiles:
        """The compared real conditions."""
        return self.all_real.take(self.places)

    @cached_property
    def kept(self) -> Mask:
        """False at the genes that a compared condition perturbs."""
        return np.asarray(~self.perturbed[self.places])

    @cached_property
    def significant(self) -> tuple[Mask, Mask]:
        """Genes that are called, predicted and real."""
        predicted, real = ((side.adjusted_p < ALPHA) & self.kept for side in (self.predicted, self.real))
        return predicted, real

    @cached_property
    def has_direction(self) -> Mask:
        """Genes whose real fold change is known and not 0, and which the prediction was tested in."""
        return np.asarray(np.abs(self.real.lfc) > 0)

    @cached_property
    def right(self) -> Mask:
        """Genes whose predicted fold change has the real sign."""
        return np.asarray(self.has_direction & (np.sign(self.predicted.lfc) == np.sign(self.real.lfc)))

    @cached_property
    def errors(self) -> tuple[Scores, Scores]:
        """N and D of `expr_mse_unbiased_capped_norm`."""
        predicted, real, kept = self.predicted, self.real, self.kept
        n_genes = kept.sum(axis=1)
        capped = np.minimum(predicted.variance, real.variance)
        claimed = float((capped / n_genes).sum())
        spread = _spread(predicted.bulk, kept, 1.0 / n_genes)
        allowed = min(1.0, spread / claimed) if claimed > 0 else 1.0
        noise = allowed * capped + real.variance
        error = ((predicted.bulk - real.bulk) ** 2).sum(axis=1, where=kept)
        effect = ((real.bulk - self.control.bulk) ** 2).sum(axis=1, where=kept)
        return (error - noise) / n_genes, (effect - real.variance - self.control.variance) / n_genes


def pds_cosine(comparison: CountComparison) -> Scores:
    """1 - k / (n - 1), k the real conditions that are nearer to the prediction than its own, ties half; targets left out."""
    scored = ~comparison.perturbed.any(axis=0)
    control = comparison.predicted_control or comparison.control
    predicted = (comparison.predicted.bulk - control.bulk)[:, scored]
    real = (comparison.all_real.bulk - comparison.control.bulk)[:, scored]
    size = np.linalg.norm(predicted, axis=1)[:, None] * np.linalg.norm(real, axis=1)
    distance = (1.0 - np.divide(predicted @ real.T, size, out=np.zeros_like(size), where=size > 0)).clip(0.0, 2.0)
    of_target = np.take_along_axis(distance, comparison.places[:, None], axis=1)
    nearer = (distance < of_target).sum(axis=1) + ((distance == of_target).sum(axis=1) - 1) / 2
    return np.asarray(1.0 - nearer / max(distance.shape[1] - 1, 1))


def expr_mse_unbiased_capped_norm(comparison: CountComparison) -> Scores:
    """Each condition's share, N_p over the mean of D: the mean over conditions is the member, sum N / sum D."""
    error, effect = comparison.errors
    return error / effect.mean() if effect.mean() > 0 else np.full(len(error), np.nan)


def direction_fidelity_yield(comparison: CountComparison) -> Scores:
    """Calls with the right sign over the larger number of calls, predicted or real."""
    predicted, real = comparison.significant
    called = predicted & comparison.has_direction
    most = np.maximum(called.sum(axis=1), real.sum(axis=1))
    return _ratio((called & comparison.right).sum(axis=1), most)


def direction_reach(comparison: CountComparison) -> Scores:
    """The longest prefix of the real calls, in the order of the prediction, with 0.9 right signs, over all real calls."""
    predicted, real = comparison.significant
    names = np.argsort(np.argsort(np.array(comparison.genes)))
    reach = np.zeros(len(real))
    for i, called in enumerate(real):
        pool = np.flatnonzero(called & ~np.isnan(comparison.predicted.p[i]))
        side = comparison.predicted
        keys = (names, -np.abs(side.lfc[i]), side.p[i], side.adjusted_p[i], ~predicted[i])
        order = pool[np.lexsort([key[pool] for key in keys])]
        depth = np.cumsum(comparison.has_direction[i, order])
        pure = np.cumsum(comparison.right[i, order]) / np.maximum(depth, 1) >= PURITY
        reach[i] = depth[pure].max(initial=0)
    return _ratio(reach, real.sum(axis=1))


def sig_jaccard(comparison: CountComparison) -> Scores:
    """Calls of both over calls of either; 1 where there are none."""
    predicted, real = comparison.significant
    either = (predicted | real).sum(axis=1)
    return np.where(either > 0, (predicted & real).sum(axis=1) / np.maximum(either, 1), 1.0)


def lfc_nmae(comparison: CountComparison) -> Scores:
    """Absolute error of the fold changes of the real calls over their absolute size."""
    return relative_error(comparison.predicted.lfc, comparison.real.lfc, comparison)


def relative_error(lfc: Profiles, other: Profiles, comparison: CountComparison) -> Scores:
    """Sum |lfc - other| / sum |real lfc| over the real calls; what was not tested counts as no change."""
    called = comparison.significant[1]
    error = np.abs(np.nan_to_num(lfc) - np.nan_to_num(other)).sum(axis=1, where=called)
    size = np.abs(comparison.real.lfc).sum(axis=1, where=called)
    return np.where(called.sum(axis=1) >= FEWEST_GENES, _ratio(error, size), np.nan)


def _spread(bulk: Profiles, kept: Mask, weights: Float[np.ndarray, "conditions"]) -> float:
    """Weighted squares of the conditions' distances to their mean, over genes that two conditions or more keep."""
    weight = kept * weights[:, None]
    total = weight.sum(axis=0)
    mean = np.divide((weight * bulk).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    enough: Bool[np.ndarray, "genes"] = kept.sum(axis=0) >= 2
    of_genes: Profile = (weight * (bulk - mean) ** 2).sum(axis=0)
    return float(of_genes[enough].sum())


def _ratio(top: np.ndarray, bottom: np.ndarray) -> Scores:
    """NaN where the bottom is 0."""
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))
