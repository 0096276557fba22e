"""Whether a model's intervals and probabilities may be taken as stated, over all contexts and splits: pooled tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.posterior import CONDITIONS
from cycseq.score.coverage import (
    EVENTS,
    MIN_IN_BIN,
    STRATA,
    Truth,
    bins_of,
    compare,
    compare_effects,
    strata_of,
    tenth_of,
)

COVERAGE = ("context", "stratum", "observed", "n")
RELIABILITY = ("context", "event", "stated", "observed", "n")
GOAL = (0.85, 0.95)  # share of responses inside their 90 % interval, in every stratum and context
NEAR = 0.1  # how far an observed frequency may be from the stated probability, in every bin


def certainty(
    predictions: Sequence[PerturbationData], real: PerturbationData, *, truth: Truth | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Coverage by stratum, and reliability in every bin, of the conditions of one context.

    No condition comes twice; predictions without a posterior are passed over. `truth` is as of `cycseq.coverage_by_stratum`.

    Returns
    -------
    Columns `COVERAGE`, and `RELIABILITY` (of bins with few genes too, so that contexts can be pooled).
    """
    of_strata, of_bins = [], []
    for predicted in predictions:
        if CONDITIONS in predicted.adata.uns:
            compared = list(compare(predicted, real, truth))
            of_strata.append(strata_of(compared))
            of_bins.append(bins_of(compared, fewest=1).assign(context=predicted.contexts[0]))
    return (
        pooled_coverage(_stacked(of_strata, COVERAGE), ["context"]),
        pooled_reliability(_stacked(of_bins, RELIABILITY), ["context"], fewest=1),
    )


def certainty_of_effects(predicted: Effects, real: Effects) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As `certainty`, of predicted effects with standard deviations; no rows without them, or where no noise is known."""
    compared = list(compare_effects(predicted, real))
    if not compared:
        return _stacked([], COVERAGE), _stacked([], RELIABILITY)
    contexts = dict.fromkeys(one.condition.context for one in compared)
    of_bins = [
        bins_of([one for one in compared if one.condition.context == context], fewest=1).assign(context=context)
        for context in contexts
    ]
    return (
        pooled_coverage(strata_of(compared), ["context"]),
        pooled_reliability(_stacked(of_bins, RELIABILITY), ["context"], fewest=1),
    )


def pooled_coverage(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Coverage of every stratum, all genes of conditions counted alike, for each value of the columns `by`."""
    keys = [*by, "stratum"]
    pooled = _weighted(rows, keys, ["observed"])
    order = pooled["stratum"].map({name: i for i, name in enumerate(STRATA)})
    return pooled.assign(order=order).sort_values([*by, "order"], kind="stable", ignore_index=True)[
        [*keys, "observed", "n"]
    ]


def pooled_reliability(rows: pd.DataFrame, by: Sequence[str], *, fewest: int = MIN_IN_BIN) -> pd.DataFrame:
    """Stated and observed frequency in every tenth; tenths with fewer genes of conditions than `fewest` are left out."""
    tenth = tenth_of(rows["stated"].to_numpy(dtype=float))
    pooled = _weighted(rows.assign(tenth=tenth), [*by, "event", "tenth"], ["stated", "observed"])
    order = pooled["event"].map({name: i for i, name in enumerate(EVENTS)})
    pooled = pooled.assign(order=order).sort_values([*by, "order", "tenth"], kind="stable")
    return pooled.loc[pooled["n"] >= fewest, [*by, "event", "stated", "observed", "n"]].reset_index(drop=True)


def off_goal(coverage: pd.DataFrame) -> pd.DataFrame:
    """The rows whose coverage is outside of `GOAL`, the farthest first; those with few genes are not judged."""
    observed = coverage["observed"].astype(float)
    distance = np.maximum(GOAL[0] - observed, observed - GOAL[1])
    wrong = coverage.assign(away=distance)[(distance > 0) & (coverage["n"] >= MIN_IN_BIN)]
    return wrong.sort_values("away", ascending=False, kind="stable").drop(columns="away")


def off_diagonal(reliability: pd.DataFrame) -> pd.DataFrame:
    """The bins whose observed frequency is more than `NEAR` from the stated probability, the farthest first."""
    away = (reliability["stated"] - reliability["observed"]).astype(float).abs()
    wrong = reliability.assign(away=away)[(away > NEAR) & (reliability["n"] >= MIN_IN_BIN)]
    return wrong.sort_values("away", ascending=False, kind="stable").drop(columns="away")


def _stacked(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)[list(columns)] if tables else pd.DataFrame(columns=list(columns))


def _weighted(rows: pd.DataFrame, keys: list[str], values: list[str]) -> pd.DataFrame:
    """Means of the values, weighted by n, and the sum of n."""
    n = rows["n"].astype(int)
    sums = rows.assign(**{name: rows[name].astype(float) * n for name in values}, n=n)
    sums = sums.groupby(keys, sort=False, as_index=False)[[*values, "n"]].sum()
    return sums.assign(**{name: sums[name] / sums["n"] for name in values})
