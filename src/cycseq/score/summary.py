"""Tables of scores: means with intervals, ranks, calibrated scores, and every model beside every baseline.

Seeds, and splits that test the same condition, are averaged first: they are no more conditions. Splits of one kind
(``unseen-context:NK``, ``unseen-context:B``) are one group.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from cycseq.errors import unknown_name
from cycseq.matrix.arrays import Codes
from cycseq.score.ceiling import INTERPOLATED, POSITIVE_CONTROLS, SPLIT_HALF, WRONG_TARGET
from cycseq.score.intervals import Intervals, Values, intervals
from cycseq.score.metrics import METRICS
from cycseq.score.verdicts import NEGATIVE_CONTROLS, judge

FEWEST = 6  # with fewer conditions all fall on one side by chance more often than once in 20 (2 / 2^n): no verdict
NEGLIGIBLE = 1e-6  # a smaller difference of one condition is rounding of float32 cells: it counts as none


def summarize_scores(
    metrics: pd.DataFrame, *, baselines: Sequence[str], differences: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per kind of split, metric and model.

    Parameters
    ----------
    metrics
        Rows as of `cycseq.evaluate`, of any number of models, splits and seeds, with ``SplitHalf`` among the models
        where there is a ceiling.
    baselines
        The models that others are compared with; those that are not in the table are passed over.
    differences
        `paired_differences` of the same rows and baselines, where they are at hand.

    Returns
    -------
    Columns:

    - split: the kind (text before ``:``); metric; model;
    - mean, low, high: over defined conditions, with the 95 % interval of `cycseq.score.intervals` (NaN with fewer than two
      conditions); scope: what it is about, ``further contexts`` or (fewer than six) ``these contexts only``;
    - n_conditions, n_contexts: defined ones; n_undefined: conditions where the metric is NaN for this model;
    - rank: 1 is best; NaN for the controls ``SplitHalf``, ``InterpolatedDuplicate`` and wrong target;
    - ceiling, null, null_model: mean of ``SplitHalf``, and of the best of the negative controls (``NoChange``,
      ``PerturbedMean``, ``SmoothedControls``);
    - score: (value - null) / (ceiling - null), unclipped, over the conditions where all three are defined (for a metric
      with a target: of the distances to it); NaN where the ceiling is not above the null;
    - discrimination: share of the conditions where the positive control is better than the null: ``InterpolatedDuplicate``,
      or ``SplitHalf`` in metrics that look at single cells (the bound discrimination score of Miller et al. 2025). A metric
      that cannot tell even real cells from a null says little;
    - cannot_tell: neither positive control is above the null beyond their spread, so that the metric says nothing on these
      data. ``SplitHalf`` has half of the cells on each side, and with few cells it may lie below a good null;
      ``InterpolatedDuplicate`` takes the noise of its half into account;
    - beats, ties, loses_to: the baselines, joined by ``", "``, as far as `cycseq.score.verdicts.judge` admits it.

    Raises
    ------
    SettingsError
        If the table has a metric that does not exist.

    Examples
    --------
    >>> import cycseq
    >>> import itertools, pandas as pd
    >>> rows = [("m", "s", 0, c, p, "pearson_delta", 0.5) for c, p in itertools.product("AB", "XYZ")]
    >>> rows += [("NoChange", "s", 0, c, p, "pearson_delta", 0.1) for c, p in itertools.product("AB", "XYZ")]
    >>> names = ["model", "split", "seed", "context", "perturbation", "metric", "value"]
    >>> table = cycseq.summarize_scores(pd.DataFrame(rows, columns=names), baselines=["NoChange"])
    >>> table.set_index("model")[["mean", "rank"]].to_dict("index")["m"]
    {'mean': 0.5, 'rank': 1.0}
    """
    groups = _groups(metrics)
    if differences is None:
        differences = _paired_differences(groups, baselines)
    keys = ["split", "metric", "model"]
    rows = [row for group in groups for row in _rows(group)]
    table = pd.DataFrame(rows, columns=None if rows else [*keys, "mean"])
    verdicts = [v for _, part in table.groupby("split", sort=False) for v in judge(part, differences).verdicts]
    for column, word in (("beats", "better"), ("ties", "indistinguishable"), ("loses_to", "worse")):
        names: dict[tuple[str, ...], list[str]] = {}
        for verdict in verdicts:
            if verdict.word == word:
                names.setdefault((verdict.split, verdict.metric, verdict.model), []).append(verdict.other)
        table[column] = [", ".join(names.get(key, ())) for key in zip(*(table[name] for name in keys), strict=True)]
    return table


def paired_differences(metrics: pd.DataFrame, *, baselines: Sequence[str]) -> pd.DataFrame:
    """Every model against every baseline and against its own wrong target, where both are defined.

    Parameters
    ----------
    metrics, baselines
        As of `summarize_scores`.

    Returns
    -------
    Columns split, metric, model, baseline, difference (mean of model minus baseline; of the distances to the target where
    a metric has one), low, high (95 % interval of the paired differences), n_conditions, n_contexts, scope (as of
    `summarize_scores`), identical (no condition differs) and verdict: ``beats`` or ``loses`` where the interval excludes zero,
    ``ties`` where it does not, ``""`` with fewer than six conditions. The verdict is the interval's alone; what may be said
    of it, `cycseq.score.verdicts.judge` decides.

    Examples
    --------
    >>> import cycseq
    >>> import itertools, pandas as pd
    >>> rows = [("m", "s", 0, c, p, "pearson_delta", 0.5) for c, p in itertools.product("AB", "XYZ")]
    >>> rows += [("NoChange", "s", 0, c, p, "pearson_delta", 0.1) for c, p in itertools.product("AB", "XYZ")]
    >>> names = ["model", "split", "seed", "context", "perturbation", "metric", "value"]
    >>> differences = cycseq.paired_differences(pd.DataFrame(rows, columns=names), baselines=["NoChange"])
    >>> differences["difference"].round(3).tolist(), differences["n_contexts"].tolist()
    ([0.4], [2])
    """
    return _paired_differences(_groups(metrics), baselines)


def _paired_differences(groups: Sequence["_Group"], baselines: Sequence[str]) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for group in groups:
        present = [name for name in dict.fromkeys(baselines) if name in group.models]
        shuffled = {model: model + WRONG_TARGET for model in group.models if model + WRONG_TARGET in group.models}
        pairs = [(m, b) for m in group.models for b in present if m != b]
        pairs += [pair for pair in shuffled.items() if pair not in pairs]
        if not pairs:
            continue
        of_model, of_baseline = (np.array([group.models.index(pair[k]) for pair in pairs]) for k in (0, 1))
        for metric, values in zip(group.metrics, group.values, strict=True):
            sign = 1.0 if METRICS[metric].direction == "higher" else -1.0
            loss = sign * METRICS[metric].goodness(values)
            difference = loss[:, of_model] - loss[:, of_baseline]
            difference = np.where(np.abs(difference) < NEGLIGIBLE, 0.0, difference)
            of_pairs = group.intervals(difference)
            wins = np.where(sign > 0, of_pairs.low > 0, of_pairs.high < 0)
            losses = np.where(sign > 0, of_pairs.high < 0, of_pairs.low > 0)
            verdicts = np.select([of_pairs.n_conditions < FEWEST, wins, losses], ["", "beats", "loses"], "ties")
            identical = (np.nan_to_num(difference) == 0).all(axis=0) & (of_pairs.n_conditions > 0)
            rows += [
                {"split": group.name, "metric": metric, "model": m, "baseline": b}
                | {"difference": of_pairs.mean[k], "low": of_pairs.low[k], "high": of_pairs.high[k]}
                | {"n_conditions": int(of_pairs.n_conditions[k]), "n_contexts": int(of_pairs.n_contexts[k])}
                | {"scope": of_pairs.scope[k], "identical": bool(identical[k]), "verdict": str(verdicts[k])}
                for k, (m, b) in enumerate(pairs)
            ]
    columns = ["split", "metric", "model", "baseline", "difference", "low", "high", "n_conditions", "n_contexts"]
    return pd.DataFrame(rows, columns=[*columns, "scope", "identical", "verdict"])


@dataclass(frozen=True)
class _Group:
    """All scores on splits of one kind."""

    name: str
    metrics: list[str]
    models: list[str]
    contexts: Codes  # context of every condition, as a number
    perturbations: Codes  # perturbation of every condition, as a number
    values: Float[np.ndarray, "metrics conditions models"]
    """Averaged over seeds and splits; NaN where undefined or absent."""
    undefined: Bool[np.ndarray, "metrics conditions models"]  # whether there is a row, and it is NaN
    spread: Float[np.ndarray, "metrics models"]  # standard deviation over seeds of the mean over conditions

    def intervals(self, values: Values) -> Intervals:
        """Intervals of the means of columns with a row for each condition."""
        return intervals(values, self.contexts, self.perturbations)


def _groups(metrics: pd.DataFrame) -> list[_Group]:
    for name in metrics["metric"].unique():
        if name not in METRICS:
            raise unknown_name(str(name), "metric", METRICS)
    of_split, splits = _codes(metrics["split"])
    kind_of = np.array([name.split(":")[0] for name in splits], dtype=object)
    kinds = list(dict.fromkeys(kind_of))
    return [_group(kind, metrics if len(kinds) == 1 else metrics[(kind_of == kind)[of_split]]) for kind in kinds]


def _group(kind: str, rows: pd.DataFrame) -> _Group:
    (of_metric, names), (of_model, models) = _codes(rows["metric"]), _codes(rows["model"])
    (of_context, _), (of_perturbation, perturbations) = _codes(rows["context"]), _codes(rows["perturbation"])
    of_condition, conditions = pd.factorize(of_context * len(perturbations) + of_perturbation)
    of_seed, seeds = pd.factorize(rows["seed"])
    value = rows["value"].to_numpy(dtype=np.float64)
    shape = (len(names), len(conditions), len(models))
    places = np.ravel_multi_index((of_metric, of_condition, of_model), shape)
    values = _means(value, places, shape)
    undefined = (np.bincount(places, minlength=values.size) > 0).reshape(shape) & np.isnan(values)
    shape = (len(names), len(models), len(seeds))
    by_seed = _means(value, np.ravel_multi_index((of_metric, of_model, of_seed), shape), shape)
    spread = pd.DataFrame(by_seed.reshape(-1, len(seeds))).std(axis=1).to_numpy().reshape(shape[:2])
    context, perturbation = np.divmod(conditions, len(perturbations))
    return _Group(kind, names, models, context, perturbation, values, undefined, spread)


def _codes(column: pd.Series) -> tuple[Codes, list[str]]:
    """For every row the place of its label among the different ones, as text."""
    codes, labels = pd.factorize(column, use_na_sentinel=False)
    merged, texts = pd.factorize(np.array([str(label) for label in labels], dtype=object))
    return merged[codes], list(texts)


def _means(value: Float[np.ndarray, "rows"], places: Codes, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Mean of the values of every place that are not NaN; NaN where there are none."""
    defined, size = ~np.isnan(value), int(np.prod(shape))
    n = np.bincount(places[defined], minlength=size)
    total = np.bincount(places[defined], weights=value[defined], minlength=size)
    return np.divide(total, n, out=np.full(size, np.nan), where=n > 0).reshape(shape)


def _rows(group: _Group) -> Iterator[dict[str, object]]:
    ranked = np.array([model not in POSITIVE_CONTROLS and not model.endswith(WRONG_TARGET) for model in group.models])
    for k, metric in enumerate(group.metrics):
        values = group.values[k]
        of_models = group.intervals(values)
        good = METRICS[metric].goodness(values)
        mean_good = group.intervals(good).mean
        ranks = pd.Series(np.where(ranked, mean_good, np.nan)).rank(ascending=False, method="min")
        scale = _scale(group, k, good)
        for m, model in enumerate(group.models):
            yield {
                "split": group.name,
                "metric": metric,
                "model": model,
                "mean": of_models.mean[m],
                "low": of_models.low[m],
                "high": of_models.high[m],
                "scope": of_models.scope[m],
                "n_conditions": int(of_models.n_conditions[m]),
                "n_contexts": int(of_models.n_contexts[m]),
                "n_undefined": int(group.undefined[k, :, m].sum()),
                "rank": ranks[m],
                "ceiling": np.nan if scale.positive is None else of_models.mean[scale.positive],
                "null": np.nan if scale.negative is None else of_models.mean[scale.negative],
                "null_model": "" if scale.negative is None else group.models[scale.negative],
                "score": scale.score(good, m),
                "discrimination": scale.discrimination,
                "cannot_tell": scale.cannot_tell,
            }


@dataclass(frozen=True)
class _Scale:
    """Which columns are 0 and 1 of the calibrated score."""

    positive: int | None
    negative: int | None
    cannot_tell: bool
    discrimination: float = float("nan")

    def score(self, good: Values, model: int) -> float:
        """(value - negative) / (positive - negative) over the conditions where all three are defined."""
        if self.positive is None or self.negative is None:
            return float("nan")
        three = good[:, [model, self.positive, self.negative]]
        three = three[~np.isnan(three).any(axis=1)]
        if not len(three):
            return float("nan")
        value, positive, negative = three.mean(axis=0)
        return float((value - negative) / (positive - negative)) if positive > negative else float("nan")


def _scale(group: _Group, metric: int, good: Values) -> _Scale:
    """A metric tells where one of the positive controls is above the null."""
    positive = group.models.index(SPLIT_HALF) if SPLIT_HALF in group.models else None
    candidates = [
        i for i, model in enumerate(group.models) if model in NEGATIVE_CONTROLS and not np.isnan(good[:, i]).all()
    ]
    negative = max(candidates, key=lambda i: float(np.nanmean(good[:, i])), default=None)
    if positive is None or negative is None:
        return _Scale(positive, negative, cannot_tell=False)
    tells = any(
        _above(group, metric, good, i, negative) for i, model in enumerate(group.models) if model in POSITIVE_CONTROLS
    )
    return _Scale(positive, negative, not tells, _discrimination(group, good, negative))


def _above(group: _Group, metric: int, good: Values, positive: int, negative: int) -> bool:
    """Whether a positive control is above the null by more than halving varies, and by its interval.

    With fewer than `FEWEST` conditions, in place of the interval: in each of them.
    """
    above = good[:, [positive]] - good[:, [negative]]
    of_above = group.intervals(above)
    lowest = of_above.low[0] if of_above.n_conditions[0] >= FEWEST else np.nanmin(above, initial=np.inf)
    repeats = np.nan_to_num(group.spread[metric, positive])
    return bool(of_above.mean[0] > 2 * repeats and lowest > 0)


def _discrimination(group: _Group, good: Values, negative: int) -> float:
    """Share of the conditions where the positive control, interpolated where it is there, is better than the negative."""
    for name in (INTERPOLATED, SPLIT_HALF):
        above = good[:, group.models.index(name)] - good[:, negative] if name in group.models else np.array([np.nan])
        if not np.isnan(above).all():
            return float((above[~np.isnan(above)] > 0).mean())
    return float("nan")
