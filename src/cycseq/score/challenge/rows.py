"""The members of the challenge as rows of the tidy table of `cycseq.evaluate`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cycseq.score.challenge.reference import CountReference
from cycseq.score.evaluate import COLUMNS
from cycseq.score.metrics.base import Metric
from cycseq.score.metrics.challenge import METRICS, POOLED
from cycseq.score.metrics.challenge.members import CountComparison

WHOLE = "*"  # stands for all perturbations of a context together


def member_rows(
    reference: CountReference, comparison: CountComparison, metrics: Sequence[Metric] = METRICS, *, pool: bool = False
) -> pd.DataFrame:
    """Context, perturbation, metric and value.

    With `pool`, `expr_mse_unbiased_capped_norm` is one row with perturbation ``*`` in place of its share of each perturbation:
    the mean of the shares is the same, and they may be paired.
    """
    names = [reference.perturbations[i] for i in comparison.places]
    rows = []
    for metric in metrics:
        values, labels = metric.compute(comparison), names
        if pool and metric.name == POOLED:
            values, labels = np.array([values.mean()]), [WHOLE]
        rows.append(pd.DataFrame({"perturbation": labels, "metric": metric.name, "value": values}))
    return pd.concat(rows, ignore_index=True).assign(context=reference.context)


def labelled(rows: Sequence[pd.DataFrame], **labels: str | int) -> pd.DataFrame:
    """The rows of contexts as one table with the columns `COLUMNS`."""
    return pd.concat(rows, ignore_index=True).assign(**labels)[list(COLUMNS)]
