"""Predicted against real counts: the members of the challenge as rows of the tidy table of `cycseq.evaluate`."""

from collections.abc import Iterator, Sequence

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.score.challenge.reference import CountReference
from cycseq.score.challenge.rows import labelled, member_rows
from cycseq.score.challenge.scale import ChallengeScale
from cycseq.score.match import check_match
from cycseq.score.metrics.base import Metric
from cycseq.score.metrics.challenge import METRICS


def require_counts(data: PerturbationData, which: str) -> None:
    """Raise `DataError` unless these are counts."""
    if data.scale != "counts":
        raise DataError(
            f"the challenge scores counts, and the {which} cells are {data.scale}: give whole numbers (cycseq predict --as counts "
            "writes them), and real cells as they were counted."
        )


def references(predicted: PerturbationData, real: PerturbationData) -> Iterator[CountReference]:
    """The real side of every predicted context, one at a time; both sides are checked first.

    Raises `DataError` if a side is not counts, genes or real conditions are missing, or a context has no control cells.
    """
    for data, which in ((predicted, "predicted"), (real, "real")):
        require_counts(data, which)
    check_match(predicted, real.genes, [c for c in real.conditions() if not c.is_control])
    for context in predicted.contexts:
        if any(c.context == context and not c.is_control for c in predicted.conditions()):
            yield CountReference.of(real, context)


def evaluate_counts(
    predicted: PerturbationData,
    real: PerturbationData,
    metrics: Sequence[Metric] = METRICS,
    *,
    scale: ChallengeScale | None = None,
    **labels: str | int,
) -> pd.DataFrame:
    """The members of the challenge of every predicted condition.

    Both sides are tested against the real control cells of the context; predicted ones play no part. Stored counts are read one
    context at a time. The scale is completed for the predicted contexts, where it is given; `labels` are model, split and seed.
    The table is as of `cycseq.evaluate`, `expr_mse_unbiased_capped_norm` one row a context, with perturbation ``*``. Raises
    `DataError` as `references`.
    """
    rows = []
    for reference in references(predicted, real):
        rows.append(member_rows(reference, reference.compare(predicted), metrics, pool=True))
        if scale is not None:
            scale.complete(reference, real)
    return labelled(rows, **{"model": "predicted", "split": "", "seed": 0, **labels})
