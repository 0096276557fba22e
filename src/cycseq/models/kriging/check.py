"""Measured conditions predicted without themselves: how wrong a link is, and what the stated distributions miss."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from scipy.optimize import lsq_linear, minimize

from cycseq.data.gene_mixture import GeneMixture
from cycseq.matrix.arrays import Mask
from cycseq.models.kriging.amplitudes import AmplitudeOf
from cycseq.models.kriging.field import common_fall, learn_fields
from cycseq.models.kriging.link import ResponseScale
from cycseq.models.kriging.noise import Sampling
from cycseq.models.kriging.recalibration import (
    LeftOut,
    Recalibration,
    joined,
    learn_recalibration,
    shares_of_nodes,
    standing,
)
from cycseq.models.kriging.slopes import beyond_rest
from cycseq.models.kriging.table import Table, Values
from cycseq.models.kriging.tasks import Task, Weights, blocks_of

MAX_HIDDEN = 5  # times that a part of the conditions is hidden; contexts are hidden one at a time
MAX_CONDITIONS, MAX_GENES = 60, 500  # hidden conditions, and genes of each, from which distributions are learned

STANDINGS = (0.0, 0.5, 1.0, 2.0, 4.0)  # predicted means over their standard deviations: nodes of the shrinkage
PRIOR_CONDITIONS = 5.0  # that say that genes that do not respond are as near as is stated
START_AT_REST = (1.0, 0.2)  # widths of genes that do not respond, in units of what is stated, and of their fall
LOG_AT_REST = ((-4.0, 3.0), (-4.0, 1.0))  # bounds of their logarithms
LUCK = 50.0  # times the median squared error over its variance, from which on a condition counts no more
PRIOR_SHARE = 0.01  # of the measured rows, that say that nothing is to be shrunk


@dataclass(frozen=True)
class Hidden:
    """Some measured conditions, and what is predicted of them without them."""

    rows: Int[np.ndarray, "hidden"]
    unit: Int[np.ndarray, "hidden"]  # what was left out: a number for each context or perturbation
    predicted: GeneMixture
    noise: Values  # variance of a measurement around the truth


def predict_hidden(
    table: Table, task: Task, weights: Weights, sampling: Sampling | None, ways: Sequence[AmplitudeOf], *, seed: int
) -> list[list[Hidden]]:
    """Hide what the task hides, a part at a time; what was learned of all stays. The parts for each way.

    Parameters
    ----------
    table
        Measured conditions, with the axis of the task (`table_for`).
    task, weights
        What is asked for, and the weights learned for it.
    sampling
        Sampling variances; None where they are unknown.
    ways
        What has an amplitude of its own.
    seed
        Fixes which blocks are hidden together.
    """
    blocks = blocks_of(table, task)
    rng = np.random.default_rng(seed)
    n_parts = len(blocks) if task == "context" else min(MAX_HIDDEN, len(blocks))
    order = rng.permutation(len(blocks))
    hidden: list[list[Hidden]] = [[] for _ in ways]
    for part in np.array_split(order, n_parts):
        rows = np.concatenate([blocks[i] for i in part])
        unit = np.concatenate([np.full(len(blocks[i]), i) for i in part])
        kept = np.setdiff1d(np.arange(len(table.conditions)), rows)
        if not len(kept):
            continue
        of_kept = None if sampling is None else sampling.take(kept)
        for field, of_way in zip(learn_fields(table.hide(rows), task, weights, of_kept, ways), hidden, strict=True):
            noise = field.noise_of(rows) if sampling is None else sampling.total[rows]
            of_way.append(Hidden(rows, unit, field.predict(rows), noise))
    return hidden


def learn_fall(hidden: Sequence[Hidden], table: Table, measured: Mask, scale: ResponseScale) -> tuple[float, float]:
    """Which share of the fall that kernels predict, and of that which the other genes' predicted responses imply, hidden conditions had.

    Least squares, each share between 0 and 1; few conditions say the first alone.
    """
    both, fell = [], []
    for part in hidden:
        falls = table.falls_of(part.rows)
        predicted = np.hstack(_falls_in(part.predicted, falls, scale.take(part.rows)))
        for i, row in enumerate(part.rows):
            seen = measured[row]
            if seen.any():
                both.append(predicted[i])
                fell.append(float(common_fall(table.effect[row, seen][None], falls[i, seen][None])[0][0, 0]))
    if not both:
        return 1.0, 0.0
    prior = np.sqrt(PRIOR_CONDITIONS * np.square(both).sum() / len(both))
    shares = lsq_linear(np.vstack([both, prior * np.eye(2)]), np.append(fell, [prior, 0.0]), bounds=(0.0, 1.0)).x
    return float(shares[0]), float(shares[1])


def correct_fall(mixture: GeneMixture, falls: Values, scale: ResponseScale, shares: tuple[float, float]) -> GeneMixture:
    """The distribution with the fall of genes that do not respond as `learn_fall` says."""
    own, implied = _falls_in(mixture, falls, scale)
    return mixture.shifted(np.asarray(((shares[0] - 1.0) * own + shares[1] * implied) * falls, dtype=np.float32))


def _falls_in(mixture: GeneMixture, falls: Values, scale: ResponseScale) -> tuple[Values, Values]:
    """By how much genes that do not respond fall in a predicted distribution, and by how much its other genes say that they do."""
    rest = mixture.means[..., 0]
    own = (rest * falls).sum(axis=1, keepdims=True) / np.maximum(np.square(falls).sum(axis=1, keepdims=True), 1e-12)
    return own, scale.implied_fall(mixture.mean - rest)


def learn_width_at_rest(hidden: Sequence[Hidden], table: Table, measured: Mask) -> tuple[float, float]:
    """How far off genes that do not respond were in hidden conditions: in units of stated standard deviations, and of the fall itself.

    What such genes did is what most genes say (`common_fall`), less the error of that. Both by likelihood; few conditions say 1 and 0.
    """
    of_conditions = list(_errors_at_rest(hidden, table, measured))
    if not of_conditions:
        return 1.0, 0.0
    squares, falls, noise = np.array(of_conditions).T

    def variance(logarithms: np.ndarray) -> np.ndarray:
        of_stated, of_fall = np.exp(2.0 * logarithms)
        return np.asarray(of_stated + of_fall * falls)

    def loss(logarithms: np.ndarray, errors: np.ndarray) -> float:
        believed = variance(logarithms)
        total, prior = believed + noise, believed.mean()
        of_prior = PRIOR_CONDITIONS * (np.log(prior) + 1.0 / prior)
        return float((np.log(total) + errors / total).sum() + of_prior)

    at = np.log(START_AT_REST)
    for most in (np.inf, LUCK):  # once with all errors as they are, to tell which are luck
        total = variance(at) + noise
        usual = np.minimum(squares, most * np.median(squares / total) * total)
        at = minimize(loss, at, args=(usual,), bounds=LOG_AT_REST, method="L-BFGS-B").x
    stated, fall = np.exp(at)
    return float(stated), float(fall)


def _errors_at_rest(hidden: Sequence[Hidden], table: Table, measured: Mask) -> Iterator[tuple[float, float, float]]:
    """Of every hidden condition, in units of the stated width: the squared error of the fall, the fall squared, and the variance of that error."""
    for part in hidden:
        rest, width = part.predicted.means[..., 0], np.maximum(part.predicted.sds[..., 0], 1e-6)
        for i, row in enumerate(part.rows):
            seen = measured[row]
            if seen.any():
                error, variance = common_fall((table.effect[row] - rest[i])[None, seen], width[i][None, seen])
                fall = float(rest[i] @ width[i]) / float(width[i] @ width[i])
                yield float(error[0, 0]) ** 2, fall**2, variance * float(part.noise[i, seen].mean())


def widen_rest(mixture: GeneMixture, factors: tuple[float, float]) -> GeneMixture:
    """The distribution with the width of genes that do not respond as `learn_width_at_rest` says."""
    beyond, rest = beyond_rest(mixture), mixture.means[..., :1]
    width = np.hypot(factors[0] * mixture.sds[..., :1], factors[1] * rest)
    return GeneMixture(mixture.weights, mixture.means, np.hypot(beyond.sds, width))


def learn_shrinkage(hidden: Sequence[Hidden], table: Table, measured: Mask) -> tuple[float, ...]:
    """Slopes of hidden responses on predictions, at each of `STANDINGS`: small predictions are chance more often than large ones.

    Least squares over all genes of all hidden conditions, of what they do beyond a gene that does not respond; each prediction counts to
    the two nodes around its standing, the mean over its standard deviation. Few rows say 1.
    """
    n = len(STANDINGS)
    products, squares = np.zeros(n), np.zeros((n, n))
    for part in hidden:
        rest = part.predicted.means[..., 0]
        beyond = part.predicted.shifted(-rest)
        mean = beyond.mean * measured[part.rows]
        near = shares_of_nodes(standing(beyond), STANDINGS).reshape(n, -1).astype(np.float64) * mean.ravel()
        products += near @ (table.effect[part.rows] - rest).ravel()
        squares += near @ near.T
    prior = PRIOR_SHARE * np.diag(squares) + 1e-12
    slopes = np.linalg.solve(squares + np.diag(prior), products + prior)
    return tuple(np.clip(slopes, 0.0, 1.5).tolist())


def shrink(mixture: GeneMixture, slopes: Sequence[float]) -> GeneMixture:
    """The distribution with its mean, beyond that of a gene that does not respond, times the slope of its standing; its width stays."""
    rest = mixture.means[..., 0]
    beyond = mixture.shifted(-rest)
    slope = np.tensordot(np.array(slopes, dtype=np.float32), shares_of_nodes(standing(beyond), STANDINGS), 1)
    return GeneMixture(mixture.weights, beyond.means * slope[..., None], mixture.sds).shifted(rest)


def error_of(hidden: Sequence[Hidden], real: Values, scale: ResponseScale) -> float:
    """Mean over hidden conditions of squared error over squared effect, over the genes that were measured.

    Parameters
    ----------
    hidden
        Predictions, on the scale on which they were learned.
    real
        Effects as they were measured; NaN where they were not.
    scale
        That scale, by condition.
    """
    ratios = []
    for part in hidden:
        predicted = scale.take(part.rows).to_effects(part.predicted).mean
        error = np.nansum((predicted - real[part.rows]) ** 2, axis=1)
        ratios.append(error / np.maximum(np.nansum(real[part.rows] ** 2, axis=1), 1e-12))
    return float(np.concatenate(ratios).mean())


def recalibrate(hidden: Sequence[Hidden], table: Table, measured: Mask, *, seed: int) -> Recalibration | None:
    """What the hidden conditions teach of the stated distributions, by the genes that were measured in them."""
    rng = np.random.default_rng(seed)
    n_genes = table.effect.shape[1]
    genes = np.sort(rng.choice(n_genes, min(n_genes, MAX_GENES), replace=False))
    share = min(1.0, MAX_CONDITIONS / max(sum(len(part.rows) for part in hidden), 1))
    parts = []
    for part in hidden:
        for i, row in enumerate(part.rows):
            y = table.effect[row, genes].astype(np.float64)
            varies = measured[row, genes] & (y != 0) & (part.noise[i, genes] > 0)
            if rng.random() > share or not varies.any():
                continue
            of_row = (np.full(int(varies.sum()), float(value)) for value in (row, part.unit[i]))
            parts.append(
                LeftOut(
                    part.predicted.at(i, genes[varies]),
                    y[varies],
                    part.noise[i, genes[varies]].astype(np.float64),
                    *of_row,
                )
            )
    return learn_recalibration(joined(parts)) if parts else None
