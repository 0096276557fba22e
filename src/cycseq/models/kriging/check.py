"""Measured conditions predicted without themselves: how wrong a link is, and what the stated distributions miss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from cycseq.data.gene_mixture import GeneMixture
from cycseq.matrix.arrays import Mask
from cycseq.models.kriging.amplitudes import AmplitudeOf
from cycseq.models.kriging.field import learn_fields
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
from cycseq.models.kriging.table import Table, Values
from cycseq.models.kriging.tasks import Task, Weights, blocks_of

MAX_HIDDEN = 5  # times that a part of the conditions is hidden; contexts are hidden one at a time
MAX_CONDITIONS, MAX_GENES = 60, 500  # hidden conditions, and genes of each, from which distributions are learned

STANDINGS = (0.0, 0.5, 1.0, 2.0, 4.0)  # predicted means over their standard deviations: nodes of the shrinkage
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
