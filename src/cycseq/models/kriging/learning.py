"""The settings of the response field, from training conditions alone: moments, marginal likelihood, leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cycseq.models.kriging.block import Block, PerRow
from cycseq.models.kriging.calibration import cautious_slope, drawn_slope, leave_one_out
from cycseq.models.kriging.conserved import learn_conserved
from cycseq.models.kriging.covariance import RESPONSE_PATTERNS, euclidean, median_distance
from cycseq.models.kriging.field import Field, is_combination, single_conditions
from cycseq.models.kriging.measured import Levels, Measured
from cycseq.models.kriging.mixture import Covariances, equal_weights, learn_mixture
from cycseq.models.kriging.private import learn_private
from cycseq.models.kriging.settings import Settings, Stage

COMMON_FROM = 3
"""Single perturbations from which a common response is told from a specific one."""
COMMON_SCALES = tuple((10.0 ** np.arange(-2.5, 2.6, 0.5)).tolist())
SPECIFIC_SCALES = tuple((10.0 ** np.arange(-2.5, 2.1, 0.5)).tolist())
ROWS_TO_LEARN = 20_000
"""Rows (a gene of a perturbation) from which the weights of a stage are learned."""
PRIOR_CONDITIONS = 20.0
"""Weight of the mean gene in a gene's variance."""
LEAST_GENE = 0.05
"""Least variance of a gene, in units of the mean one."""
STRENGTHS = (0.01, 100.0)
"""Least and largest variance of a perturbation, in units of the mean one."""
PRIOR_COMBINATIONS = 5.0
"""Combinations that are exactly additive, in the mean of the combinations' coefficients."""


def learn_settings(measured: Measured, *, seed: int = 0) -> Settings:
    """Everything that the field needs to know beside the measured responses.

    Parameters
    ----------
    measured
        The training conditions.
    seed
        Fixes which rows the weights are learned from.
    """
    rng = np.random.default_rng(seed)
    single = single_conditions(measured)
    names = np.asarray(measured.names)
    with_common = len(set(names[single])) >= COMMON_FROM
    gene_variance, strength = _moments(measured, single, centred=with_common)
    perturbed = np.unique(measured.context)
    seen = perturbed if len(perturbed) > 1 else np.arange(len(measured.levels.mean))
    settings = Settings(
        unit=median_distance(euclidean(measured.levels.mean[seen])),
        gene_variance=gene_variance,
        common_variance=1.0,
        strength=strength,
        common=None,
        specific=Stage(equal_weights(len(RESPONSE_PATTERNS), SPECIFIC_SCALES)),
    )
    if with_common:
        block = Field(measured, settings, measured.levels.mean).common_block()
        settings = replace(settings, common_variance=_excess(block.y, block.noise))
        field = Field(measured, settings, measured.levels.mean)
        settings = replace(settings, common=learned_stage([field.common_block()], field.covariances, COMMON_SCALES))
    field = Field(measured, settings, measured.levels.mean)
    scales = SPECIFIC_SCALES if with_common else COMMON_SCALES
    blocks = [field.specific_block(name) for name in _sampled(sorted(strength), rng)]
    settings = replace(settings, specific=learned_stage(_thinned(blocks, rng), field.covariances, scales))
    if with_common:
        field = Field(measured, settings, measured.levels.mean)
        settings = replace(settings, typical_slope=_typical_slope(field, _sampled(sorted(strength), rng)))
    combinations = sorted({name for name in names[~single] if is_combination(name)})
    if combinations:
        settings = _learn_combinations(Field(measured, settings, measured.levels.mean), combinations, rng)
    return settings


def _moments(measured: Measured, single: np.ndarray, *, centred: bool) -> tuple[PerRow, dict[str, float]]:
    """Variance of every gene and strength of every perturbation, noise taken off, by the method of moments."""
    contexts, place = np.unique(measured.context[single], return_inverse=True)
    residual, noise = measured.delta[single].copy(), measured.cell_noise[single].copy()
    lost = 0
    if centred:
        for i in range(len(contexts)):
            residual[place == i] -= residual[place == i].mean(axis=0)
        lost = len(contexts)
    else:
        noise += measured.control_noise[single]
    names = np.asarray(measured.names)[single]
    n = max(len(residual) - lost, 1)
    excess = (residual**2 - noise * (n / len(residual))).sum(axis=0) / n
    mean = max(float(excess.mean()), 1e-6)
    gene = np.maximum((n * excess + PRIOR_CONDITIONS * mean) / (n + PRIOR_CONDITIONS), LEAST_GENE * mean)
    if not centred:  # too few conditions to know a gene's variance from its own response
        gene = np.full_like(gene, mean)
        return gene, dict.fromkeys(map(str, np.unique(names)), 1.0)
    of_row = (residual**2 - noise).sum(axis=1) / gene.sum()
    strength = {str(name): float(np.clip(of_row[names == name].mean(), *STRENGTHS)) for name in np.unique(names)}
    return gene, strength


def _excess(y: np.ndarray, noise: np.ndarray) -> float:
    return max(float((y**2 - noise).mean()), 1e-6)


def _sampled(names: list[str], rng: np.random.Generator, most: int = 200) -> list[str]:
    return names if len(names) <= most else sorted(rng.choice(names, most, replace=False).tolist())


def _typical_slope(field: Field, names: list[str]) -> float:
    """Slope of every perturbation's own response on the mean of the others', over genes and contexts.

    It is smaller by its standard error over perturbations: where a few strong ones make the mean, a new perturbation,
    likely a weak one, is predicted by what most have in common.
    """
    contexts = np.unique(field.measured.context)
    own = np.stack([field.specific(name).mean[:, contexts] for name in names])
    others = (own.sum(axis=0) - own) / (len(names) - 1)
    products, squares = (own * others).sum(axis=(1, 2)), (others**2).sum(axis=(1, 2))
    return cautious_slope(products, squares)


def _thinned(blocks: Sequence[Block], rng: np.random.Generator) -> list[Block]:
    """At most `ROWS_TO_LEARN` rows in all, the same share of every block; blocks at the same points are joined."""
    share = min(1.0, ROWS_TO_LEARN / sum(len(block.y) for block in blocks))
    groups: dict[tuple[int, ...], list[Block]] = {}
    for block in blocks:
        n = len(block.y)
        rows = np.arange(n) if share == 1.0 else np.sort(rng.choice(n, max(int(share * n), 1), replace=False))
        groups.setdefault(tuple(block.points.tolist()), []).append(block.rows(rows))
    return [
        Block(
            np.concatenate([b.y for b in same]),
            np.concatenate([b.noise for b in same]),
            np.concatenate([b.variance for b in same]),
            same[0].points,
        )
        for same in groups.values()
    ]


def learned_stage(blocks: Sequence[Block], covariances: Covariances, scales: Sequence[float]) -> Stage:
    """The prior of a stage: weights by marginal likelihood, trust by leaving out contexts.

    A pattern more is that of conserved responses (`cycseq.models.kriging.conserved`). It is likely wherever contexts differ more
    than a Gaussian process believes, but knows nothing of near ones: it is taken where it tells more of left-out contexts.

    Parameters
    ----------
    blocks, covariances, scales
        As in `cycseq.models.kriging.mixture.learn_mixture`.
    """
    law = learn_conserved(blocks, scales)
    found = []
    for conserved in (None,) if law is None else (None, law):
        mixture = learn_mixture(blocks, covariances, scales, conserved=conserved)
        found.append((leave_one_out(blocks, mixture, covariances), mixture))
    trust, mixture = min(found, key=lambda one: one[0].error)
    return Stage(mixture, trust, learn_private(blocks, mixture, covariances))


def level_slope(field: Field, excess: Levels) -> float:
    """How much of the excess of control levels over their smoothed form shows in the responses, sign reversed.

    A control mean that is too high by chance makes every response of its context too low by as much. So responses that
    are predicted from the other contexts miss by the excess, if the excess is chance: the slope is 1. It is 0 where
    contexts differ more than smoothing believes. Few contexts tell little of it: it is drawn to 0 as far as its standard
    error over contexts (jackknife) says, by the rule of James and Stein (1961).

    Parameters
    ----------
    field
        The training responses with everything else learned.
    excess
        Control mean minus smoothed level of every context.
    """
    settings = field.settings
    if settings.common is not None:
        stage, blocks = settings.common, [field.common_block()]
    else:
        stage, blocks = settings.specific, [field.specific_block(name) for name in settings.strength]
    products, squares = np.zeros((2, len(excess)))
    for block in blocks:
        for column, context in enumerate(block.points if len(block.points) > 1 else ()):
            others = block.without(column)
            predicted = stage.krige(others, field.covariances, block.points[[column]]).mean[:, 0]
            products[context] -= (block.y[:, column] - predicted) @ excess[context]
            squares[context] += excess[context] @ excess[context]
    told = squares > 0
    if not told.any():
        return 1.0
    return drawn_slope(products[told], squares[told])


def _learn_combinations(field: Field, names: list[str], rng: np.random.Generator) -> Settings:
    """The coefficient of the parts (the mean of the combinations' own, drawn to 1), and the prior of interactions."""
    own = []
    for name in names:
        rows = field.measured.rows(name)
        contexts = field.measured.context[rows]
        sums = field.additive(name).mean[:, contexts]
        y = field.measured.delta[rows].T - field.control_error.mean[:, contexts]
        own.append((sums * y).sum() / max((sums**2).sum(), 1e-12))
    kept = np.clip(own, 0.0, 2.0)
    coefficient = float((kept.sum() + PRIOR_COMBINATIONS) / (len(kept) + PRIOR_COMBINATIONS))
    settings = replace(field.settings, part_coefficient=coefficient, interaction_variance=1.0)
    field = Field(field.measured, settings, field.levels)
    blocks = [field.interaction_block(name) for name in names]
    excess = np.mean([((b.y**2 - b.noise).sum() / b.variance.sum()) / b.y.shape[1] for b in blocks])
    settings = replace(settings, interaction_variance=float(np.clip(excess, 0.01, 10.0)))
    field = Field(field.measured, settings, field.levels)
    blocks = [field.interaction_block(name) for name in names]
    return replace(settings, interaction=learned_stage(_thinned(blocks, rng), field.covariances, SPECIFIC_SCALES))
