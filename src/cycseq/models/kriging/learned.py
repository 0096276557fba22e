"""What is learned for one task: weights, link, shrinkage and recalibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cycseq.models.kriging.amplitudes import AMPLITUDE_OF, AmplitudeOf
from cycseq.models.kriging.check import (
    STANDINGS,
    Hidden,
    error_of,
    learn_shrinkage,
    predict_hidden,
    recalibrate,
    shrink,
)
from cycseq.models.kriging.elsewhere import fill
from cycseq.models.kriging.link import LEAST_SHARE, LINKS, Link, slopes, unlink
from cycseq.models.kriging.noise import Sampling
from cycseq.models.kriging.recalibration import Recalibration
from cycseq.models.kriging.table import Table, Values
from cycseq.models.kriging.tasks import Task, Weights, draw_conditions, learn_weights_for, table_for

CLEARLY = 0.01
"""By which share another link must be better than the additive one."""


@dataclass(frozen=True)
class Learned:
    """What was learned for one task."""

    weights: Weights
    link: Link
    error: float
    """Mean squared error of left-out conditions over their mean square."""
    recalibration: Recalibration | None
    shrinkage: tuple[float, ...] = (1.0,) * len(STANDINGS)
    """By how much a predicted mean is multiplied, by its standing (`check.shrink`)."""
    amplitude_of: AmplitudeOf = "gene and perturbation"


def learn_task(table: Table, sampling: Sampling | None, task: Task, *, seed: int) -> Learned | None:
    """Weights, link and recalibration; None where the task cannot be left out of what was measured."""
    best: Learned | None = None
    of_best: tuple[list[Hidden], Table] | None = None
    measured, rows = ~np.isnan(table.effect), draw_conditions(table, seed=seed)
    for link in LINKS:
        slope = slopes(table.conditions, table.profiles, link)
        if link != "additive" and (slope is None or len(np.unique(table.contexts)) < 2):
            continue
        linked, noise = apply_link(table, sampling, slope)
        of_part = None if noise is None else noise.take(rows)
        part = table_for(linked.take(rows), task)
        weights = learn_weights_for(part, task, of_part)
        if weights is None:
            return None
        ways = AMPLITUDE_OF if best is None else (best.amplitude_of,)
        for amplitude_of, as_predicted in zip(
            ways, predict_hidden(part, task, weights, of_part, ways, seed=seed), strict=True
        ):
            shrinkage = learn_shrinkage(as_predicted, part, measured[rows])
            hidden = [replace(one, predicted=shrink(one.predicted, shrinkage)) for one in as_predicted]
            error = error_of(hidden, table.effect[rows], None if slope is None else slope[rows])
            if best is None or error < best.error * (1.0 if link == best.link else 1.0 - CLEARLY):
                best, of_best = Learned(weights, link, error, None, shrinkage, amplitude_of), (hidden, part)
    if best is None or of_best is None:
        return None
    return replace(best, recalibration=recalibrate(*of_best, measured[rows], seed=seed))


def apply_link(table: Table, sampling: Sampling | None, slope: Values | None) -> tuple[Table, Sampling | None]:
    """The measured rows of a table on the scale of a link, with what was not measured filled, and their sampling variances."""
    n = len(table.conditions)
    own = None if slope is None else slope[:n]
    filled = fill(replace(table, effect=unlink(table.effect, own)))
    if sampling is None or own is None:
        return filled, sampling
    return filled, sampling.divided(np.maximum(own, LEAST_SHARE))


def as_json(learned: Learned) -> dict[str, Any]:
    """What a saved model keeps of it."""
    recalibration = None if learned.recalibration is None else asdict(learned.recalibration)
    return {
        "weights": learned.weights,
        "link": learned.link,
        "error": learned.error,
        "recalibration": recalibration,
        "shrinkage": list(learned.shrinkage),
        "amplitude_of": learned.amplitude_of,
    }


def from_json(stored: Mapping[str, Any]) -> Learned:
    """The same, read again."""
    fields = stored["recalibration"]
    recalibration = None
    if fields is not None:
        recalibration = Recalibration(
            tuple(fields["log_sizes"]),
            tuple(map(tuple, fields["changes"])),
            tuple(map(tuple, fields["weights"])),
            tuple(fields["agreements"]),
        )
    shrinkage, amplitude_of = tuple(stored["shrinkage"]), stored["amplitude_of"]
    return Learned(stored["weights"], stored["link"], stored["error"], recalibration, shrinkage, amplitude_of)
