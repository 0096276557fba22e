"""What all figures share: colours, new axes, plain spines, and labels that keep apart."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.text import Annotation
from matplotlib.ticker import LogFormatter

INK, MUTED, LINE = "#24292f", "#6b7280", "#dfe3e8"
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE)
"""Okabe and Ito's colours: they stay apart for colour-blind readers."""
MARKERS = ("o", "s", "^", "D", "v", "P")  # with the colours: a reader who sees no colour has the shapes
DIVERGING = "RdBu_r"  # blue below zero, red above: apart for colour-blind readers too


def new_axes(ax: Axes | None, *, width: float = 4.6, height: float = 3.2) -> Axes:
    """The axes, or new ones of this size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def plain(ax: Axes, grid: Literal["x", "y"] | None = None, **settings: Any) -> None:
    """Two spines, quiet ticks, a grid along one axis or none; the settings are matplotlib's (``xlabel="epoch"``)."""
    ax.set(**settings)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(MUTED)
    ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=9.5)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(INK)
    ax.set_facecolor("none")
    if grid:
        ax.grid(axis=grid, color=LINE, linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)


def colour_bar(ax: Axes, drawn: ScalarMappable, label: str, *, shrink: float) -> None:
    """What the colours of a drawing mean, beside it."""
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=shrink, aspect=14, pad=0.03)
    bar.set_label(label, color=INK, fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelcolor=INK, labelsize=8.5)


def diagonal(ax: Axes, low: float = 0.0, high: float = 1.0) -> None:
    """A dashed line where both axes have the same value."""
    ax.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)


class PlainPowers(LogFormatter):
    """Labels of a logarithmic axis as plain numbers: pages, where names may hold a ``$``, read no formula."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """The number, where matplotlib would label it."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def logarithmic(ax: Axes, *sides: Literal["x", "y"]) -> None:
    """Make these axes logarithmic."""
    for side in sides:
        ax.set(**{f"{side}scale": "log"})
        axis = ax.xaxis if side == "x" else ax.yaxis
        axis.set_major_formatter(PlainPowers())
        axis.set_minor_formatter(PlainPowers(labelOnlyBase=False))


def rows_of_names(ax: Axes, names: Sequence[str]) -> None:
    """Names down the left side, the first at the top, without spine and ticks."""
    ax.set_yticks(np.arange(len(names)), list(names))
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def legend_above(ax: Axes, *, columns: int = 3, **settings: Any) -> None:
    """The legend in the free space above the axes, from the left; the settings are matplotlib's."""
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize=9, labelcolor=INK,
        handlelength=1.4, columnspacing=1.0, borderaxespad=0.2, **settings,
    )  # fmt: skip


def name_points(
    ax: Axes,
    x: Float[np.ndarray, "labels"],
    y: Float[np.ndarray, "labels"],
    names: Sequence[str],
    *,
    columns: Float[np.ndarray, "labels"],
    to_the_left: Bool[np.ndarray, "labels"],
    high: float,
    gap: float,
) -> list[Annotation]:
    """Names in one or two columns beside their points, each with a thin line to its point; none overlaps another.

    The limits of the axes are set. `columns` says where each name's column stands, `to_the_left` whether the name ends there or
    begins, `high` above what no name stands, `gap` how far apart names of a column are at least: all in data units.
    """
    drawn = []
    for side in (False, True):
        here = np.flatnonzero(to_the_left == side).tolist()
        for i, height in zip(here, spread(y[here], gap=gap, high=high), strict=True):
            label = ax.annotate(
                names[i], (x[i], y[i]), (columns[i], height),
                ha="right" if side else "left", va="center", fontsize=8.5, color=INK,
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2},
            )  # fmt: skip
            drawn.append(label)
    return drawn


def spread(heights: Float[np.ndarray, "labels"], *, gap: float, high: float) -> Float[np.ndarray, "labels"]:
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
