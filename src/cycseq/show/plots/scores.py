"""Scores of models: dots with intervals, bars by context, losses by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cycseq.show.plots.base import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    PALETTE,
    VERMILION,
    legend_above,
    logarithmic,
    new_axes,
    plain,
    rows_of_names,
)

VALIDATION = "validation_"
APART = 20.0


def dot_intervals(
    table: pd.DataFrame,
    *,
    ceiling: float | None = None,
    null: float | None = None,
    null_name: str = "no change",
    best: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One metric: a dot and an interval for every model, with what a perfect and a void prediction would get.

    Parameters
    ----------
    table
        Columns `model`, `mean`, `low`, `high`, in the order from top to bottom.
    ceiling
        What one half of the real cells gets for predicting the other half.
    null, null_name
        What the negative control gets, and which it is.
    best
        The model to draw in colour.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, height=0.7 + 0.34 * len(table))
    y = np.arange(len(table))
    colours = [BLUE if model == best else MUTED for model in table["model"]]
    marks = [(null, null_name, VERMILION), (ceiling, "ceiling", GREEN)]
    drawn = sorted((value, word, colour) for value, word, colour in marks if value is not None and np.isfinite(value))
    for (value, word, colour), side in zip(drawn, ("right", "left") if len(drawn) == 2 else ("center",), strict=True):
        ax.axvline(value, color=colour, linewidth=1.4, linestyle=(0, (4, 2)), zorder=1)
        ax.annotate(
            word, (value, 1), ({"right": -2, "left": 2}.get(side, 0), 3), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha=side, va="bottom", fontsize=8.5, color=colour,
        )  # fmt: skip
    ax.hlines(y, table["low"], table["high"], color=colours, linewidth=2.2, zorder=2)
    ax.scatter(table["mean"], y, s=42, color=colours, zorder=3)
    ax.margins(x=0.08)
    plain(ax, grid="x")
    rows_of_names(ax, list(table["model"]))
    return ax


def bars_with_ceiling(
    values: Mapping[str, Sequence[float]],
    labels: Sequence[str],
    *,
    ceiling: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Horizontal bars of a metric: one group for every label (a context or a perturbation), one bar for every model.

    Parameters
    ----------
    values
        For every model one value for every label; NaN draws no bar.
    labels
        From top to bottom.
    ceiling
        The split-half ceiling of every label, drawn as a tick across its bars.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, height=0.8 + 0.22 * len(labels) * max(len(values), 1.6))
    y = np.arange(len(labels))
    thickness = 0.78 / max(len(values), 1)
    handles: list[Any] = []
    for i, (model, series) in enumerate(values.items()):
        place = y - 0.39 + thickness * (i + 0.5)
        colour = PALETTE[i % len(PALETTE)]
        handles.append(ax.barh(place, series, height=thickness * 0.88, color=colour, label=model, zorder=2))
    if ceiling is not None:
        marks = ax.vlines(ceiling, y - 0.43, y + 0.43, color=INK, linewidth=1.8, label="ceiling", zorder=3)
        handles.append(marks)
    ax.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    plain(ax, grid="x")
    rows_of_names(ax, labels)
    # matplotlib names bars without a label "_container0"
    legend_above(ax, handles=[h for h in handles if h.get_label() and not str(h.get_label()).startswith("_")])
    return ax


def loss_curves(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Every loss of a run's history against its epoch (the first column); validation losses are dashed.

    What is zero all the time, or the same as another loss, is left out. The axis is logarithmic where losses are further
    apart than twentyfold.

    Parameters
    ----------
    history
        `Run.history()`, or another table whose first numeric column counts epochs.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax)
    numbers = history.select_dtypes("number")
    trained = _distinct(numbers, [str(c) for c in numbers.columns[1:] if not str(c).startswith(VALIDATION)])
    validated = [str(c) for c in numbers.columns[1:] if str(c).startswith(VALIDATION)]
    validated.sort(key=lambda name: name.removeprefix(VALIDATION) not in trained)
    losses = trained + _distinct(numbers, validated)
    kinds = list(dict.fromkeys(name.removeprefix(VALIDATION) for name in losses))
    for name in losses:
        kind = kinds.index(name.removeprefix(VALIDATION))
        ax.plot(
            numbers.iloc[:, 0], numbers[name], color=PALETTE[kind % len(PALETTE)], linewidth=1.8,
            linestyle=(0, (3, 1.5)) if name.startswith(VALIDATION) else "-", label=name.replace("_", " "),
        )  # fmt: skip
    plain(ax, "y", xlabel=str(numbers.columns[0]))
    values = numbers[losses].to_numpy()
    if values.size and values.min() > 0 and values.max() > APART * values.min():
        logarithmic(ax, "y")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_above(ax, columns=2)
    return ax


def _distinct(table: pd.DataFrame, columns: list[str]) -> list[str]:
    """The columns that are not zero all the time, nor the same as one before."""
    names = table[columns].loc[:, (table[columns] != 0).any()].T.drop_duplicates().index
    return [str(column) for column in names]
