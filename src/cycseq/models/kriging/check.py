"""Measured conditions predicted without themselves: how wrong a link is, and what the stated distributions miss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from cycseq.data.gene_mixture import GeneMixture
from cycseq.matrix.arrays import Mask
from cycseq.models.kriging.field import learn_field
from cycseq.models.kriging.recalibration import LeftOut, Recalibration, joined, learn_recalibration
from cycseq.models.kriging.table import Table, Values
from cycseq.models.kriging.tasks import Task, Weights, blocks_of, table_for

MAX_HIDDEN = 5
"""Times that a part of the conditions is hidden; contexts are hidden one at a time."""
MAX_CONDITIONS, MAX_GENES = 60, 500
"""Hidden conditions, and genes of each, from which distributions are learned."""


@dataclass(frozen=True)
class Hidden:
    """Some measured conditions, and what is predicted of them without them."""

    rows: Int[np.ndarray, "hidden"]
    unit: Int[np.ndarray, "hidden"]
    """What was left out: a number for each context or perturbation."""
    predicted: GeneMixture
    noise: Values
    """Variance of a measurement around the truth."""


def predict_hidden(
    table: Table, task: Task, weights: Weights, variance: Values | None, *, seed: int
) -> Iterator[Hidden]:
    """Hide what the task hides, a part at a time; what was learned of all stays.

    Parameters
    ----------
    table
        Measured conditions.
    task, weights
        What is asked for, and the weights learned for it.
    variance
        Known sampling variances; None where they are unknown.
    seed
        Fixes which blocks are hidden together.
    """
    table = table_for(table, task)
    blocks = blocks_of(table, task)
    rng = np.random.default_rng(seed)
    n_parts = len(blocks) if task == "context" else min(MAX_HIDDEN, len(blocks))
    order = rng.permutation(len(blocks))
    for part in np.array_split(order, n_parts):
        rows = np.concatenate([blocks[i] for i in part])
        unit = np.concatenate([np.full(len(blocks[i]), i) for i in part])
        kept = np.setdiff1d(np.arange(len(table.conditions)), rows)
        if not len(kept):
            continue
        field = learn_field(table.hide(rows), task, weights, None if variance is None else variance[kept])
        yield Hidden(rows, unit, field.predict(rows), field.noise_of(rows) if variance is None else variance[rows])


def error_of(hidden: Sequence[Hidden], real: Values, slope: Values | None = None) -> float:
    """Mean over hidden conditions of squared error over squared effect, over the genes that were measured.

    Parameters
    ----------
    hidden
        Predictions, on the scale of a link.
    real
        Effects as they were measured; NaN where they were not.
    slope
        What brings predictions back from that scale; None for the additive link.
    """
    ratios = []
    for part in hidden:
        predicted = part.predicted.mean if slope is None else part.predicted.mean * slope[part.rows]
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
