"""Real effects as metrics see them: conditions whose mean is the effect, beside a control of no change."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_response_of, mean_responses
from cycseq.data.effects import WITH_MAGNITUDE, Effects
from cycseq.errors import DataError
from cycseq.matrix.arrays import Profiles
from cycseq.score.metrics.base import Axes, Metric, Need, RealContext
from cycseq.score.metrics.population import Population
from cycseq.score.settings import EvaluateSettings

MEAN_OF_OTHERS = "mu_all is the mean of the other real perturbations of a context: no training conditions were given"


def metrics_of_effects(metrics: Sequence[Metric], effects: Effects) -> tuple[tuple[Metric, ...], str]:
    """The metrics that these effects can be scored with, and a sentence that names the others; empty where there are none.

    Raises `DataError` if none is left.
    """
    absent: set[Need] = {"cells", "mean expression", "counts"}
    if effects.scale not in WITH_MAGNITUDE:
        absent.add("magnitude")
    se = effects.layer("se")
    if se is None or not np.isfinite(se).any():
        absent.add("standard errors")
    usable = tuple(metric for metric in metrics if not absent.intersection(metric.needs))
    without = [
        f"{', '.join(names)} (need {need if need != 'magnitude' else f'a {need}'})"
        for need in get_args(Need)
        if (names := [m.name for m in metrics if next((n for n in m.needs if n in absent), None) == need])
    ]
    sentence = f"left out, as these are effects ({effects.scale}): {'; '.join(without)}" if without else ""
    if not usable:
        raise DataError(f"no metric is left: {sentence}. Use --metrics means.")
    return usable, sentence


def real_contexts(real: Effects, training: Effects | None, settings: EvaluateSettings) -> dict[str, RealContext]:
    """The real conditions of every context with what is computed from them alone.

    `real` may hold more conditions than are tested, for retrieval to tell from. Raises `DataError` if there are only controls.
    """
    conditions = real.conditions()
    contexts = list(dict.fromkeys(c.context for c in conditions if not c.is_control))
    if not contexts:
        msg = "there are only controls among the real effects: nothing can be compared. Give perturbed conditions in --real."
        raise DataError(msg)
    perturbed_training = None if training is None else training.perturbed()
    by_context = {}
    for context in contexts:
        rows = np.array([i for i, c in enumerate(conditions) if c.context == context and not c.is_control])
        by_context[context] = _context(
            real, [conditions[i] for i in rows], rows, perturbed_training, keep_target=settings.keep_target
        )
    return by_context


def _context(
    real: Effects, conditions: Sequence[Condition], rows: np.ndarray, training: Effects | None, *, keep_target: bool
) -> RealContext:
    effect = real.effect[rows].astype(np.float64)
    kept = ~np.isnan(effect)
    for i, condition in enumerate(() if keep_target else conditions):
        kept[i, real.targets(condition)] = False
    se = real.layer("se")
    n_genes = effect.shape[1]
    reference = RealContext(
        context=conditions[0].context,
        perturbations=tuple(condition.perturbation for condition in conditions),
        genes=tuple(real.genes),
        cells=population(np.nan_to_num(effect), None if se is None else se[rows].astype(np.float64) ** 2),
        control=population(np.zeros((1, n_genes)), np.zeros((1, n_genes))),
        kept=kept,
        mean_perturbed=None,
        axes=Axes(np.zeros(n_genes), np.zeros((n_genes, 0))),
    )
    if training is None:
        return replace(reference, mean_perturbed=_mean_of_others(effect))
    mean = _mean_perturbed(training, conditions)
    return replace(reference, mean_perturbed=mean)


def population(mean: Profiles, variance: Profiles | None) -> Population:
    """Conditions without cells: their means, and the sampling variance of these where it is known."""
    nothing = np.zeros((0, mean.shape[1]), dtype=np.float32)
    none = np.zeros(0, dtype=np.int64)
    unknown = np.broadcast_to(np.float64(np.nan), mean.shape)
    n_cells = np.ones(len(mean), dtype=np.int64)
    return Population(nothing, (none,) * len(mean), n_cells, mean, unknown if variance is None else variance, unknown)


def _mean_perturbed(training: Effects, conditions: Sequence[Condition]) -> Profiles | None:
    """What `PerturbedMean` predicts of each condition; None with one training perturbation."""
    if len(training.perturbations) < 2:
        return None
    means = {key: np.nan_to_num(mean).astype(np.float64) for key, mean in mean_responses(training).items()}
    means_of = [mean_response_of(means, condition) for condition in conditions]
    alike = all(mean is means_of[0] for mean in means_of)
    return np.broadcast_to(means_of[0], (len(means_of), len(means_of[0]))) if alike else np.stack(means_of)


def _mean_of_others(effect: Profiles) -> Profiles | None:
    """For every condition the mean of the others, over the genes measured there."""
    if len(effect) < 3:
        return None
    measured = ~np.isnan(effect)
    values = np.nan_to_num(effect)
    n = measured.sum(axis=0) - measured
    return np.asarray((values.sum(axis=0) - values) / np.maximum(n, 1))
