"""Figures of results. Every function draws into the axes it is given (or new ones) and returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from cycseq.arrays import Profile

INK, MUTED, LINE = "#24292f", "#6b7280", "#dfe3e8"
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE)
"""Okabe and Ito's colours: they stay apart for colour-blind readers."""


def new_axes(ax: Axes | None, *, width: float = 4.6, height: float = 3.2) -> Axes:
    """The axes, or new ones of this size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


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
    ax.set_yticks(y, list(table["model"]))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.margins(x=0.08)
    _plain(ax, grid="x")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
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
    ax.set_yticks(y, list(labels))
    ax.set_ylim(len(labels) - 0.5, -0.5)
    _plain(ax, grid="x")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.legend(
        handles=[handle for handle in handles if handle.get_label()], loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9, labelcolor=INK,
        handlelength=1.0, columnspacing=1.0, borderaxespad=0.2,
    )  # fmt: skip
    return ax


def delta_scatter(
    real: Profile, predicted: Profile, genes: Sequence[str], *, named: int = 8, ax: Axes | None = None
) -> Axes:
    """Real against predicted delta of every gene, with the genes of the largest real response named.

    Parameters
    ----------
    real, predicted
        Perturbed minus control mean, in log1p units.
    genes
        Their names.
    named
        How many genes are named.
    ax
        Axes to draw into; real is on x, predicted on y, and the diagonal is a perfect prediction.
    """
    ax = new_axes(ax, width=4.2, height=4.0)
    top = np.argsort(-np.abs(real), kind="stable")[:named]
    both = np.concatenate([real, predicted])
    low, high = float(both.min()), float(both.max())
    pad = 0.06 * (high - low or 1.0)
    ax.axhline(0, color=LINE, linewidth=1, zorder=0)
    ax.axvline(0, color=LINE, linewidth=1, zorder=0)
    ax.plot([low - pad, high + pad], [low - pad, high + pad], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    ax.scatter(real, predicted, s=9, color=BLUE, alpha=0.55, linewidths=0, zorder=2, rasterized=True)
    ax.scatter(real[top], predicted[top], s=20, color=ORANGE, linewidths=0, zorder=3)
    ax.set_xlim(low - pad, high + pad)
    ax.set_ylim(low - pad, high + pad)
    heights = _spread(predicted[top], gap=0.052 * (high - low + 2 * pad), high=high)
    side = real[top] > (low + high) / 2
    gap = 0.06 * (high - low)
    columns = np.where(side, real[top][side].min(initial=high) - gap, real[top][~side].max(initial=low) + gap)
    for i, column, height, right in zip(top, columns, heights, side, strict=True):
        ax.annotate(
            genes[i], (real[i], predicted[i]), (column, height),
            ha="right" if right else "left", va="center", fontsize=8.5, color=INK,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
    ax.set_xlabel("real delta (log1p)")
    ax.set_ylabel("predicted delta (log1p)")
    _plain(ax)
    return ax


def variance_left(chosen: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What is left of the posterior variance after each of the suggested conditions (`cycseq.suggest.suggest`).

    Parameters
    ----------
    chosen
        Columns `context`, `perturbation`, `variance_left`, best first.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, height=0.9 + 0.28 * len(chosen))
    y = np.arange(len(chosen))
    left = 100.0 * chosen["variance_left"]
    before = np.concatenate([[100.0], left[:-1]])
    ax.hlines(y, left, before, color=BLUE, linewidth=5, zorder=2)
    ax.set_yticks(y, [f"{c}:{p}" for c, p in zip(chosen["context"], chosen["perturbation"], strict=True)])
    ax.set_ylim(len(chosen) - 0.5, -0.5)
    ax.set_xlabel("posterior variance left, % of today's")
    _plain(ax, grid="x")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def loss_curves(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Every numeric column of a run's history against its epoch (its first column)."""
    ax = new_axes(ax)
    numbers = history.select_dtypes("number")
    for i, column in enumerate(numbers.columns[1:]):
        ax.plot(numbers.iloc[:, 0], numbers[column], color=PALETTE[i % len(PALETTE)], linewidth=1.8, label=str(column))
    ax.set_xlabel(str(numbers.columns[0]))
    _plain(ax, grid="y")
    ax.legend(frameon=False, fontsize=9, labelcolor=INK)
    return ax


def _plain(ax: Axes, grid: str | None = None) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=9.5)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)
    ax.set_facecolor("none")
    if grid == "x":
        ax.grid(axis="x", color=LINE, linewidth=0.8, zorder=0)
    elif grid == "y":
        ax.grid(axis="y", color=LINE, linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)


def _spread(heights: Float[np.ndarray, "labels"], *, gap: float, high: float) -> Float[np.ndarray, "labels"]:
    """The heights, moved apart until neighbours are a gap from each other, as far below a limit as they need."""
    order = np.argsort(heights, kind="stable")
    placed = heights[order].astype(np.float64)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed -= max(0.0, placed[-1] - high) if len(placed) else 0.0
    for i in range(1, len(placed)):
        placed[-i - 1] = min(placed[-i - 1], placed[-i] - gap)
    out = np.empty_like(placed)
    out[order] = placed
    return out
