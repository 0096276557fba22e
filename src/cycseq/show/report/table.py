"""The headline table: models by metrics, with intervals, ceiling, score and rank."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cycseq.score.ceiling import POSITIVE_CONTROLS, WRONG_TARGET
from cycseq.score.intervals import FURTHER, THESE, Scope
from cycseq.score.metrics import METRICS, headline_of
from cycseq.score.verdicts import NEGATIVE_CONTROLS
from cycseq.show.report.numbers import interval, short

UNBIASED = "mse_unbiased_norm"
ARROWS = {"higher": "higher is better", "lower": "lower is better"}


@dataclass(frozen=True)
class Entry:
    """One number of the table."""

    value: str
    interval: str
    score: float | None  # 0 is the negative control, 1 the split-half ceiling; None where it cannot be told
    sort: float | None
    first: bool

    @property
    def width(self) -> float:
        """The score's bar, in percent of what the ceiling fills."""
        return 0.0 if self.score is None else round(100 * min(max(self.score, 0.0), 1.0), 1)

    @property
    def score_words(self) -> str:
        """The score, unclipped."""
        return "no score" if self.score is None else f"score {short(self.score)}"


@dataclass(frozen=True)
class Column:
    """One metric of the table."""

    metric: str
    direction: str
    ceiling: str
    null: str
    null_model: str
    cannot_tell: bool
    no_ceiling: bool  # whether the ceiling is undefined
    none_better: bool  # whether the metric tells, and no model has a better mean than the negative control
    scope: Scope  # what the intervals are about

    @property
    def note(self) -> str:
        """Which way is better, or why no bar is drawn."""
        return "cannot tell here" if self.cannot_tell else with_none_better(self.direction, none=self.none_better)


@dataclass(frozen=True)
class Headline:
    """The table of one kind of split."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, float, tuple[Entry, ...]], ...]  # model, mean rank, entries; the best model first
    undefined: tuple[str, ...]  # headline metrics without one defined value
    partial: dict[str, int] = field(default_factory=dict)
    """Models that apply to some conditions only, with how many: their means are no match for the others'."""
    controls: tuple[str, ...] = NEGATIVE_CONTROLS
    """Models of which nothing good can be said: negative controls and their doubles."""

    @property
    def best(self) -> str:
        """The first model that is not a negative control; the first of all where there is no other."""
        return next((model for model in self.order if model not in self.controls), self.order[0] if self.rows else "")

    @property
    def order(self) -> list[str]:
        """The models from best to worst."""
        return [model for model, _, _ in self.rows]


def is_model(names: pd.Series) -> pd.Series:
    """Whether each name is a model's, and not a calibration's."""
    return ~names.isin(POSITIVE_CONTROLS) & ~names.str.endswith(WRONG_TARGET)


def headline(summary: pd.DataFrame, controls: Sequence[str] = NEGATIVE_CONTROLS) -> Headline:
    """The table of one kind of split, from its rows of `summarize_scores`; `controls` are not called the best."""
    models = summary[is_model(summary["model"])]
    defined = models[models["mean"].notna()]
    first = headline_of(models["metric"].unique())
    metrics = [name for name in first if name in set(defined["metric"])]
    undefined = [name for name in first if name in set(models["metric"]) and name not in metrics]
    if "pearson_delta_specific" in metrics and "pearson_delta" in metrics:
        metrics.remove("pearson_delta")
    if not metrics:
        metrics = list(dict.fromkeys(defined["metric"]))[:6]
    shown = defined[defined["metric"].isin(metrics)]
    of_metric = {metric: shown[shown["metric"] == metric] for metric in metrics}
    telling = [metric for metric, rows in of_metric.items() if not rows["cannot_tell"].astype(bool).all()] or metrics
    ranks = shown[shown["metric"].isin(telling)].groupby("model")["rank"].mean().sort_values(kind="stable")
    rest = [model for model in dict.fromkeys(models["model"]) if model not in ranks.index]
    covered = models.groupby("model")["n_conditions"].max()
    partial = {str(model): int(n) for model, n in covered.items() if n < covered.max()}
    order = sorted([*map(str, ranks.index), *map(str, rest)], key=lambda model: model in partial)
    rows = tuple(
        (model, float(ranks.get(model, np.nan)), tuple(_entry(of_metric[metric], model) for metric in metrics))
        for model in order
    )
    columns = tuple(_column(of_metric[metric], metric, controls) for metric in metrics)
    return Headline(columns, rows, tuple(undefined), partial, tuple(controls))


def _entry(rows: pd.DataFrame, model: str) -> Entry:
    rows = rows[rows["model"] == model]
    if rows.empty:
        return Entry("\u2013", "", None, None, first=False)
    row = rows.iloc[0]
    tells = not bool(row["cannot_tell"]) and np.isfinite(row["score"])
    return Entry(
        value=short(float(row["mean"])),
        interval=interval(float(row["low"]), float(row["high"])),
        score=float(row["score"]) if tells else None,
        sort=float(row["mean"]),
        first=float(row["rank"]) == 1 and not bool(row["cannot_tell"]),
    )


def _column(rows: pd.DataFrame, metric: str, controls: Sequence[str]) -> Column:
    scores = rows.loc[~rows["model"].isin(controls) & ~rows["cannot_tell"].astype(bool), "score"].dropna()
    return Column(
        metric=metric,
        direction=direction_words(metric),
        ceiling=short(float(rows["ceiling"].iloc[0])),
        null=short(float(rows["null"].iloc[0])),
        null_model=str(rows["null_model"].iloc[0]),
        cannot_tell=bool(rows["cannot_tell"].all()),
        no_ceiling=bool(rows["ceiling"].isna().all()),
        none_better=bool(len(scores)) and not bool((scores > 0).any()),
        scope=next((scope for scope in (THESE, FURTHER) if (rows["scope"] == scope).any()), ""),
    )


def wrong_target(summary: pd.DataFrame, table: Headline) -> list[str]:
    """What the best model's predictions get, shuffled among perturbations; empty where that was not computed."""
    rows = summary[summary["model"] == table.best + WRONG_TARGET]
    means = dict(zip(rows["metric"], rows["mean"], strict=True))
    return [short(means.get(column.metric)) for column in table.columns] if means else []


def discrimination(summary: pd.DataFrame, table: Headline) -> list[str]:
    """In what share of the conditions a positive control is better than the negative one; empty where there is none."""
    if "discrimination" not in summary:  # older versions wrote none
        return []
    shares = summary.groupby("metric")["discrimination"].first()
    values = [float(shares.get(column.metric, np.nan)) for column in table.columns]
    return [short(share, 2) for share in values] if np.isfinite(values).any() else []


def unbiased(summary: pd.DataFrame, table: Headline) -> dict[str, str]:
    """Of every model `mse_unbiased_norm`, which stands below `mse_ratio`; empty where either is lacking."""
    if "mse_ratio" not in {column.metric for column in table.columns}:
        return {}
    rows = summary[(summary["metric"] == UNBIASED) & summary["mean"].notna()]
    return {str(model): short(float(mean)) for model, mean in zip(rows["model"], rows["mean"], strict=True)}


def direction_words(metric: str) -> str:
    """Which way is better."""
    definition = METRICS.get(metric)
    if definition is None:
        return ""
    return ARROWS.get(definition.direction, f"nearer to {short(definition.best)} is better")


def explain(metric: str) -> str:
    """What a metric is, which way is better, and how it can be gamed, as its definition says; empty for any other text."""
    definition = METRICS.get(metric)
    if definition is None:
        return ""
    return f"{definition.formula}. {direction_words(metric).capitalize()}. Beware: {definition.caution}."


def with_none_better(note: str, *, none: bool) -> str:
    """The note; where no bar reaches beyond the negative control's, that it is so."""
    return f"{note}; none better than the negative control" if none else note


def badness(metric: str, values: Sequence[float] | pd.Series) -> np.ndarray:
    """The values turned so that lower is better."""
    return -METRICS[metric].goodness(np.asarray(values, dtype=np.float64))
