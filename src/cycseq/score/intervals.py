"""Means with paired bootstrap intervals over test conditions, ranks, wins, and calibrated scores.

Conditions are resampled within their context, never genes or cells. Contexts with one condition each cannot be
resampled within: together they are one stratum, so that leaving out one context at a time resamples contexts. Splits of
one kind (``unseen-context:NK``, ``unseen-context:B``) are pooled; seeds are averaged within a condition first. With
fewer than about ten conditions a percentile interval is somewhat too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from cycseq.errors import unknown_name
from cycseq.metrics import METRICS

POSITIVE = "SplitHalf"
NEGATIVES = ("NoChange", "PerturbedMean")
UNRANKED = " (wrong target)"
INTERVAL = (0.025, 0.975)
FEWEST = 6
"""With fewer conditions all fall on one side by chance more often than once in 20 (2 / 2^n): no verdict."""
NEGLIGIBLE = 1e-6
"""A smaller difference of one condition is rounding of float32 cells: it counts as none."""

Values = Float[np.ndarray, "conditions columns"]
Weights = Float[np.ndarray, "draws conditions"]


def summarise(metrics: pd.DataFrame, *, baselines: Sequence[str], draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """One row per kind of split, metric and model.

    Parameters
    ----------
    metrics
        Rows as of `cycseq.evaluate`, of any number of models, splits and seeds, with ``SplitHalf`` among the models
        where there is a ceiling.
    baselines
        The models that others are compared with; those that are not in the table are passed over.
    draws
        Bootstrap draws.
    seed
        Fixes them.

    Returns
    -------
    Columns:

    - split: the kind (text before ``:``); metric; model;
    - mean, low, high: over defined conditions, with the 95 % percentile interval (NaN with fewer than two conditions);
    - n_conditions, n_contexts: defined ones; n_undefined: conditions where the metric is NaN for this model;
    - rank: 1 is best; NaN for the controls ``SplitHalf`` and wrong target;
    - ceiling, null, null_model: mean of ``SplitHalf``, and of the better of ``NoChange`` and ``PerturbedMean``;
    - score: (value - null) / (ceiling - null), unclipped, over the conditions where all three are defined (for a metric
      with a target: of the distances to it);
    - cannot_tell: the ceiling is not above the null beyond their spread, so that the metric says nothing on these data;
    - beats, ties, loses_to: the baselines, joined by ``", "``, as of `paired_differences`.

    Raises
    ------
    SettingsError
        If the table has a metric that does not exist.
    """
    differences = paired_differences(metrics, baselines=baselines, draws=draws, seed=seed)
    keys = ["split", "metric", "model"]
    rows = [row for group in _groups(metrics) for row in _rows(group, draws, seed)]
    table = pd.DataFrame(rows, columns=None if rows else [*keys, "mean"])
    for column, verdict in (("beats", "beats"), ("ties", "ties"), ("loses_to", "loses")):
        named = differences[differences["verdict"] == verdict].groupby(keys, sort=False)["baseline"].agg(", ".join)
        table[column] = [named.get(key, "") for key in zip(*(table[name] for name in keys), strict=True)]
    return table


def paired_differences(
    metrics: pd.DataFrame, *, baselines: Sequence[str], draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Every model against every baseline, over the conditions where both are defined.

    Parameters
    ----------
    metrics, baselines, draws, seed
        As of `summarise`.

    Returns
    -------
    Columns split, metric, model, baseline, difference (mean of model minus baseline; of the distances to the target where
    a metric has one), low, high (95 % paired bootstrap interval), n_conditions and verdict: ``beats`` or ``loses`` where
    the interval excludes zero, ``ties`` where it does not, ``""`` with fewer than six conditions: by chance all would fall on one side too often.
    """
    rows: list[dict[str, object]] = []
    for group in _groups(metrics):
        weights = _weights(group.contexts, draws, seed)
        present = [name for name in dict.fromkeys(baselines) if name in group.models]
        pairs = [(m, b) for m in group.models for b in present if m != b]
        if not pairs:
            continue
        of_model, of_baseline = (np.array([group.models.index(pair[k]) for pair in pairs]) for k in (0, 1))
        for metric, values in zip(group.metrics, group.values, strict=True):
            sign = 1.0 if METRICS[metric].direction == "higher" else -1.0
            loss = sign * METRICS[metric].goodness(values)
            difference = loss[:, of_model] - loss[:, of_baseline]
            found = _interval(np.where(np.abs(difference) < NEGLIGIBLE, 0.0, difference), weights)
            wins = np.where(sign > 0, found.low > 0, found.high < 0)
            losses = np.where(sign > 0, found.high < 0, found.low > 0)
            verdicts = np.select([found.n < FEWEST, wins, losses], ["", "beats", "loses"], "ties")
            rows += [
                {"split": group.name, "metric": metric, "model": m, "baseline": b}
                | {"difference": found.mean[k], "low": found.low[k], "high": found.high[k]}
                | {"n_conditions": int(found.n[k]), "verdict": str(verdicts[k])}
                for k, (m, b) in enumerate(pairs)
            ]
    columns = ["split", "metric", "model", "baseline", "difference", "low", "high", "n_conditions", "verdict"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class _Group:
    """All scores on splits of one kind."""

    name: str
    metrics: list[str]
    models: list[str]
    contexts: np.ndarray
    """Of every condition."""
    values: Float[np.ndarray, "metrics conditions models"]
    """Averaged over seeds; NaN where undefined or absent."""
    undefined: Bool[np.ndarray, "metrics conditions models"]
    """Whether there is a row, and it is NaN."""
    spread: Float[np.ndarray, "metrics models"]
    """Standard deviation over seeds of the mean over conditions."""


@dataclass(frozen=True)
class _Interval:
    mean: Float[np.ndarray, "columns"]
    low: Float[np.ndarray, "columns"]
    high: Float[np.ndarray, "columns"]
    n: np.ndarray
    """Defined conditions of each column."""


def _groups(metrics: pd.DataFrame) -> Iterator[_Group]:
    for name in metrics["metric"].unique():
        if name not in METRICS:
            raise unknown_name(str(name), "metric", METRICS)
    kinds = metrics["split"].astype(str).str.split(":").str[0]
    for kind, rows in metrics.groupby(kinds, sort=False):
        of_metric, names = pd.factorize(rows["metric"])
        of_model, models = pd.factorize(rows["model"])
        labels = pd.MultiIndex.from_frame(rows[["split", "context", "perturbation"]].astype(str))
        of_condition, conditions = pd.factorize(labels)
        shape = (len(names), len(conditions), len(models))
        frame = pd.DataFrame({"metric": of_metric, "condition": of_condition, "model": of_model})
        frame["value"], frame["seed"] = rows["value"].to_numpy(dtype=np.float64), rows["seed"].to_numpy()
        means = frame.groupby(["metric", "condition", "model"])["value"].mean()
        values, undefined = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        at = tuple(means.index.get_level_values(level).to_numpy() for level in range(3))
        values[at], undefined[at] = means.to_numpy(), means.isna().to_numpy()
        by_seed = frame.groupby(["metric", "model", "seed"])["value"].mean().groupby(["metric", "model"]).std()
        spread = np.full((len(names), len(models)), np.nan)
        spread[tuple(by_seed.index.get_level_values(level).to_numpy() for level in range(2))] = by_seed.to_numpy()
        contexts = np.array([condition[1] for condition in conditions], dtype=object)
        yield _Group(str(kind), list(names), list(models), contexts, values, undefined, spread)


def _weights(contexts: np.ndarray, draws: int, seed: int) -> Weights:
    """How often each draw takes each condition: multinomial within each context, lone conditions together."""
    rng = np.random.default_rng(seed)
    code, count = np.unique(contexts, return_inverse=True, return_counts=True)[1:]
    stratum = np.where(count[code] == 1, -1, code)
    weights = np.zeros((draws, len(contexts)))
    for one in np.unique(stratum):
        members = np.flatnonzero(stratum == one)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1.0 / len(members)), size=draws)
    return weights


def _interval(values: Values, weights: Weights) -> _Interval:
    """Mean and percentile interval of every column, over its defined conditions."""
    defined = ~np.isnan(values)
    filled, n = np.where(defined, values, 0.0), defined.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / n
        drawn = (weights @ filled) / (weights @ defined)
    low, high = np.full((2, len(n)), np.nan)
    whole = ~np.isnan(drawn).any(axis=0)
    if whole.any():
        low[whole], high[whole] = np.quantile(drawn[:, whole], INTERVAL, axis=0)
    for column in np.flatnonzero(~whole & (n > 1)):  # some draws took none of the few defined conditions
        low[column], high[column] = np.nanquantile(drawn[:, column], INTERVAL)
    low[n < 2], high[n < 2] = np.nan, np.nan
    return _Interval(mean, low, high, n)


def _rows(group: _Group, draws: int, seed: int) -> Iterator[dict[str, object]]:
    weights = _weights(group.contexts, draws, seed)
    ranked = np.array([model != POSITIVE and not model.endswith(UNRANKED) for model in group.models])
    for k, metric in enumerate(group.metrics):
        values = group.values[k]
        found = _interval(values, weights)
        good = METRICS[metric].goodness(values)
        mean_good = _interval(good, weights).mean
        ranks = pd.Series(np.where(ranked, mean_good, np.nan)).rank(ascending=False, method="min")
        scale = _scale(group, k, good, weights)
        for m, model in enumerate(group.models):
            defined = ~np.isnan(values[:, m])
            yield {
                "split": group.name,
                "metric": metric,
                "model": model,
                "mean": found.mean[m],
                "low": found.low[m],
                "high": found.high[m],
                "n_conditions": int(found.n[m]),
                "n_contexts": len(set(group.contexts[defined])),
                "n_undefined": int(group.undefined[k, :, m].sum()),
                "rank": ranks[m],
                "ceiling": np.nan if scale.positive is None else found.mean[scale.positive],
                "null": np.nan if scale.negative is None else found.mean[scale.negative],
                "null_model": "" if scale.negative is None else group.models[scale.negative],
                "score": scale.score(good, m),
                "cannot_tell": scale.cannot_tell,
            }


@dataclass(frozen=True)
class _Scale:
    """Which columns are 0 and 1 of the calibrated score."""

    positive: int | None
    negative: int | None
    cannot_tell: bool

    def score(self, good: Values, model: int) -> float:
        """(value - negative) / (positive - negative) over the conditions where all three are defined."""
        if self.positive is None or self.negative is None:
            return float("nan")
        three = good[:, [model, self.positive, self.negative]]
        three = three[~np.isnan(three).any(axis=1)]
        if not len(three):
            return float("nan")
        value, positive, negative = three.mean(axis=0)
        return float((value - negative) / (positive - negative)) if positive != negative else float("nan")


def _scale(group: _Group, metric: int, good: Values, weights: Weights) -> _Scale:
    positive = group.models.index(POSITIVE) if POSITIVE in group.models else None
    there = [i for i, model in enumerate(group.models) if model in NEGATIVES and not np.isnan(good[:, i]).all()]
    negative = max(there, key=lambda i: float(np.nanmean(good[:, i])), default=None)
    if positive is None or negative is None:
        return _Scale(positive, negative, cannot_tell=False)
    above = _interval(good[:, [positive]] - good[:, [negative]], weights)
    repeats = np.nan_to_num(group.spread[metric, positive])
    beyond = above.mean[0] > 2 * repeats and (above.n[0] < 2 or above.low[0] > 0)
    return _Scale(positive, negative, cannot_tell=not beyond)
