"""The figures of a benchmark's report: one per metric, and one group per context."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from cycseq.benchmarking.tables import BenchmarkResult
from cycseq.data.dataset import Condition
from cycseq.data.usual_names import CONTROL
from cycseq.errors import count_of
from cycseq.matrix.arrays import Profile
from cycseq.score.ceiling import SPLIT_HALF
from cycseq.score.contexts import ContextVerdict
from cycseq.show import plots
from cycseq.show.report.figures import svg
from cycseq.show.report.numbers import clipped
from cycseq.show.report.table import Headline, badness, direction_words, with_none_better

MOST_CONTEXTS, MOST_BARS, MOST_MODELS = 30, 25, 12


@dataclass(frozen=True)
class Panel:
    """A figure with its words."""

    title: str
    note: str
    image: Markup


@dataclass(frozen=True)
class Group:
    """The figures of one context."""

    context: str
    verdict: ContextVerdict | None
    panels: tuple[Panel, ...]


def metric_panels(summary: pd.DataFrame, table: Headline) -> list[Panel]:
    """Dots and intervals of every model, one figure for each headline metric."""
    panels = []
    for column in table.columns:
        rows = summary[(summary["metric"] == column.metric) & summary["mean"].notna()].set_index("model")
        order = [model for model in table.order if model in rows.index][:MOST_MODELS]
        shown = rows.loc[order].reset_index()
        marks = {
            "ceiling": float(shown["ceiling"].iloc[0]),
            "null": float(shown["null"].iloc[0]),
            "null_name": column.null_model,
        }

        def draw(ax: Axes, shown: pd.DataFrame = shown, marks: dict[str, Any] = marks) -> None:
            plots.dot_intervals(shown, **marks, best=table.best, ax=ax)

        image = svg(draw, title=f"{column.metric} of every model", height=1.0 + 0.3 * len(shown))
        panels.append(Panel(column.metric, with_none_better(column.direction, none=column.none_better), image))
    return panels


def context_groups(
    result: BenchmarkResult, kind: str, table: Headline, metric: str, verdicts: Sequence[ContextVerdict]
) -> tuple[list[Group], int]:
    """One group of figures for every context tested, and how many contexts were left out for want of room."""
    tested = [
        (split["name"], Condition(*pair))
        for split in result.record["splits"]
        if split["kind"] == kind
        for pair in split["test"]
    ]
    contexts = sorted({condition.context for _, condition in tested})
    groups = []
    for context in contexts[:MOST_CONTEXTS]:
        here = [(name, condition) for name, condition in tested if condition.context == context]
        panels = [
            panel for panel in (_scatter(result, table.best, here), _bars(result, kind, table, metric, here)) if panel
        ]
        verdict = next((v for v in verdicts if v.context == context), None)
        groups.append(Group(context, verdict, tuple(panels)))
    return groups, max(0, len(contexts) - MOST_CONTEXTS)


def _scatter(result: BenchmarkResult, model: str, here: list[tuple[str, Condition]]) -> Panel | None:
    """Real against predicted delta of the context's condition with the largest real response."""
    deltas: list[tuple[float, Condition, Profile, Profile]] = []
    for name in dict.fromkeys(name for name, _ in here):
        real, predicted = result.result(SPLIT_HALF, name), result.result(model, name)
        if real is None or predicted is None or not predicted.means.size:
            continue
        rows = dict(zip(real.conditions, real.means, strict=True))
        guesses = dict(zip(predicted.conditions, predicted.means, strict=True))
        for condition in (c for split, c in here if split == name and c in rows and c in guesses):
            control = Condition(condition.context, CONTROL)
            delta, guess = (means[condition] - means[control] for means in (rows, guesses))
            deltas.append((float(np.linalg.norm(np.nan_to_num(delta))), condition, delta, guess))
    if not deltas:
        return None
    _, condition, delta, guess = max(deltas, key=lambda row: row[0])
    measured = ~(np.isnan(delta) | np.isnan(guess))
    delta, guess = delta[measured], guess[measured]
    genes = list(compress(result.record["data"]["gene_names"], measured))
    image = svg(
        lambda ax: plots.delta_scatter(delta, guess, genes, ax=ax),
        title=f"Real and predicted delta of {condition}",
        width=4.2,
        height=3.9,
    )
    few = "" if len(here) == 1 else f", the largest real response of {count_of(len(here), 'condition')}"
    return Panel(str(condition.perturbation), f"{model}, every gene a dot{few}", image)


def _bars(
    result: BenchmarkResult, kind: str, table: Headline, metric: str, here: list[tuple[str, Condition]]
) -> Panel | None:
    """The metric by model, or by perturbation where the context has several."""
    names = {name for name, _ in here}
    rows = result.metrics[
        (result.metrics["metric"] == metric)
        & (result.metrics["context"] == here[0][1].context)
        & result.metrics["split"].isin(names)
    ]
    values = rows.groupby(["perturbation", "model"])["value"].mean().unstack("model")
    if values.empty or not values.notna().to_numpy().any():
        return None
    models = [model for model in table.order if model in values][:MOST_MODELS]
    direction = with_none_better(direction_words(metric), none=_none_better(metric, values, table))
    if len(values) == 1:
        ceiling = [float(values[SPLIT_HALF].iloc[0])] * len(models) if SPLIT_HALF in values else None
        bars, labels = {"": [float(v) for v in values[models].iloc[0]]}, models
    else:
        two = [model for model in dict.fromkeys((table.best, "PerturbedMean", "NoChange")) if model in values][:2]
        values = values.iloc[np.argsort(badness(metric, values[two[0]]), kind="stable")][:MOST_BARS]
        bars, labels = (
            {model: [float(v) for v in values[model]] for model in two},
            [clipped(str(p)) for p in values.index],
        )
        ceiling = [float(v) for v in values[SPLIT_HALF]] if SPLIT_HALF in values else None
    image = svg(
        lambda ax: plots.bars_with_ceiling(bars, labels, ceiling=ceiling, ax=ax),
        title=f"{metric} in {here[0][1].context}",
        height=0.9 + 0.29 * len(labels) * (1 if len(bars) == 1 else 1.25),
    )
    return Panel(metric, f"{direction}; the line is the split-half ceiling", image)


def _none_better(metric: str, values: pd.DataFrame, table: Headline) -> bool:
    """Whether no model is better than every negative control for any of the perturbations."""
    bad = values.apply(lambda column: badness(metric, column))
    controls = bad[[model for model in table.controls if model in bad]]
    models = bad[[model for model in table.order if model in bad and model not in table.controls]]
    return bool(controls.shape[1] and models.shape[1]) and not bool(
        models.lt(controls.min(axis=1), axis=0).to_numpy().any()
    )
