"""What is learned for one task: weights, link, shrinkage and recalibration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from cycseq.data.gene_mixture import GeneMixture
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
from cycseq.models.kriging.context_amplitudes import amplitudes_left_out, amplitudes_of
from cycseq.models.kriging.elsewhere import fill
from cycseq.models.kriging.link import LINKS, Link, ResponseScale
from cycseq.models.kriging.noise import Sampling
from cycseq.models.kriging.recalibration import Recalibration
from cycseq.models.kriging.rest import AtRest, learn_rest
from cycseq.models.kriging.table import Table, Values
from cycseq.models.kriging.tasks import Task, Weights, draw_conditions, equal_weights, learn_weights_for, table_for

CLEARLY = 0.01  # by which share another link must be better than the additive one
CARRIED_OVER = 0.5  # of the response of the only context that was measured, to another


@dataclass(frozen=True)
class Learned:
    """What was learned for one task."""

    weights: Weights
    link: Link
    error: float  # mean squared error of left-out conditions over their mean square
    recalibration: Recalibration | None
    shrinkage: tuple[float, ...] = (1.0,) * len(STANDINGS)
    """By how much a predicted mean is multiplied, by its standing (`check.shrink`)."""
    amplitude_of: AmplitudeOf = "gene and perturbation"
    context_amplitudes: Mapping[str, float] = field(default_factory=dict)
    """How strongly each context answers (`learn_context_amplitudes`); 1 where there is none."""
    at_rest: AtRest = field(default_factory=AtRest)

    def corrected(self, mixture: GeneMixture, falls: Values, scale: ResponseScale) -> GeneMixture:
        """A predicted distribution with what the left-out conditions taught of its means, and of genes that do not respond."""
        return shrink(self.at_rest.applied(mixture, falls, scale), self.shrinkage)


def learn_task(
    table: Table, sampling: Sampling | None, task: Task, amplitudes: Mapping[str, float], *, seed: int
) -> Learned | None:
    """Weights, link and recalibration; None where the task cannot be left out of what was measured.

    Parameters
    ----------
    table, sampling
        Measured conditions; NaN where a gene was not measured.
    task
        What is left out.
    amplitudes
        How strongly each context answers (`learn_context_amplitudes`), tried beside none.
    seed
        Fixes which conditions are drawn, and which are left out together.
    """
    best: Learned | None = None
    of_best: tuple[list[Hidden], Table] | None = None
    measured, rows = ~np.isnan(table.effect), draw_conditions(table, seed=seed)
    n_contexts = len(np.unique(table.contexts))
    for link, of_context in _scales(amplitudes):
        scale = ResponseScale.of(table.conditions, table.profiles, link, of_context)
        if link != "additive" and (scale.counts is None or n_contexts < 2):
            continue
        if link != "additive" and best is not None and of_context != best.context_amplitudes:
            continue
        linked, noise = apply_link(table, sampling, scale)
        of_part = None if noise is None else noise.take(rows)
        of_rows = scale.take(rows)
        part = table_for(linked.take(rows), task)
        weights = learn_weights_for(part, task, of_part)
        if weights is None:
            return None
        ways = AMPLITUDE_OF if best is None else (best.amplitude_of,)
        for amplitude_of, predicted in zip(
            ways, predict_hidden(part, task, weights, of_part, ways, seed=seed), strict=True
        ):
            at_rest, of_rest = learn_rest(predicted, part, measured[rows], of_rows)
            shrinkage = learn_shrinkage(of_rest, part, measured[rows])
            hidden = [replace(one, predicted=shrink(one.predicted, shrinkage)) for one in of_rest]
            error = error_of(hidden, table.effect[rows], of_rows)
            alike = best is not None and (link, of_context) == (best.link, best.context_amplitudes)
            if best is None or error < best.error * (1.0 if alike else 1.0 - CLEARLY):
                best = Learned(weights, link, error, None, shrinkage, amplitude_of, of_context, at_rest)
                of_best = hidden, part
    if best is None or of_best is None:
        return None
    if task == "context":  # how strongly a new context answers is not known: the intervals must hold that too
        of_best = _with_unknown_amplitudes(*of_best, best.context_amplitudes)
    return replace(best, recalibration=recalibrate(*of_best, measured[rows], seed=seed))


def unlearned_context(table: Table) -> Learned:
    """What serves an unseen context where no context could be left out: half of a response is taken to be shared, and gene by gene."""
    return Learned(equal_weights(table), "additive", 1.0, None, (CARRIED_OVER,) * len(STANDINGS), "gene")


def _with_unknown_amplitudes(
    hidden: Sequence[Hidden], table: Table, amplitudes: Mapping[str, float]
) -> tuple[list[Hidden], Table]:
    """Measurements of contexts that were left out, on the scale on which they are predicted without their amplitude."""
    excess = amplitudes_of(table.conditions, amplitudes) / amplitudes_left_out(table.conditions, amplitudes)
    noisy = [replace(one, noise=one.noise * excess[one.rows] ** 2) for one in hidden]
    return noisy, replace(table, effect=table.effect * excess)


def _scales(amplitudes: Mapping[str, float]) -> Iterator[tuple[Link, Mapping[str, float]]]:
    """Links, each without and with amplitudes of contexts: the additive ones first."""
    for link in LINKS:
        yield link, {}
        if amplitudes:
            yield link, amplitudes


def apply_link(table: Table, sampling: Sampling | None, scale: ResponseScale) -> tuple[Table, Sampling | None]:
    """The measured rows of a table on one scale, with what was not measured filled, and their sampling variances."""
    filled = fill(replace(table, effect=scale.from_effects(table.effect), falls=scale.falls))
    return filled, None if sampling is None else scale.sampling(sampling)


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
        "context_amplitudes": dict(learned.context_amplitudes),
        "width_at_rest": list(learned.at_rest.widths),
        "fall": list(learned.at_rest.shares),
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
    return Learned(
        stored["weights"],
        stored["link"],
        stored["error"],
        recalibration,
        tuple(stored["shrinkage"]),
        stored["amplitude_of"],
        stored["context_amplitudes"],
        AtRest(tuple(stored["fall"]), tuple(stored["width_at_rest"])),
    )
