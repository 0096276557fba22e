"""Which pathways move."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cycseq.show.plots.base import BLUE, DIVERGING, INK, MUTED, ORANGE, colour_bar, new_axes, plain, rows_of_names


def pathways(scores: pd.DataFrame, *, n: int = 12, alpha: float = 0.05, ax: Axes | None = None) -> Axes:
    """The pathways that move most surely: rank-test z of one condition, or a dot for every one of several conditions.

    Parameters
    ----------
    scores
        What `cycseq.pathway_scores` returns, or ``cycseq pathways --out`` wrote.
    n
        How many pathways: those of the smallest p in any condition.
    alpha
        Full dots are below this adjusted p-value, hollow ones are not.
    ax
        Axes to draw into.
    """
    best = scores.groupby("pathway", sort=False)["p"].min().sort_values(kind="stable").index[:n]
    shown = scores[scores["pathway"].isin(best)].assign(
        condition=lambda table: table["context"] + ":" + table["perturbation"]
    )
    order = shown.groupby("pathway")["z"].mean().sort_values(ascending=False).index
    conditions = list(dict.fromkeys(shown["condition"]))
    if len(conditions) == 1:
        return _lollipops(shown.set_index("pathway").loc[order], alpha, new_axes(ax, width=5.6, height=0.9 + 0.26 * n))
    ax = new_axes(ax, width=3.6 + 0.5 * len(conditions), height=1.6 + 0.26 * n)
    return _dots(shown, list(order), conditions, alpha, ax)


def _lollipops(shown: pd.DataFrame, alpha: float, ax: Axes) -> Axes:
    y = np.arange(len(shown))
    z = shown["z"].to_numpy()
    colours = [ORANGE if value > 0 else BLUE for value in z]
    significant = shown["p_adjusted"].to_numpy() < alpha
    ax.hlines(y, 0, z, color=colours, linewidth=2.2, zorder=2)
    faces = [colour if filled else "white" for colour, filled in zip(colours, significant, strict=True)]
    ax.scatter(z, y, s=46, c=faces, edgecolors=colours, linewidths=1.6, zorder=3)
    ax.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    plain(ax, "x", xlabel=f"z of the set's ranks (full: adjusted p < {alpha:g})")
    rows_of_names(ax, [_words(name) for name in shown.index])
    return ax


def _dots(shown: pd.DataFrame, order: list[str], conditions: list[str], alpha: float, ax: Axes) -> Axes:
    y = shown["pathway"].map({name: i for i, name in enumerate(order)}).to_numpy()
    x = shown["condition"].map({name: i for i, name in enumerate(conditions)}).to_numpy()
    widest = float(shown["mean_delta"].abs().max()) or 1.0
    surest = float(shown["z"].abs().max()) or 1.0
    drawn = ax.scatter(
        x, y, s=12 + 150 * shown["z"].abs() / surest, c=shown["mean_delta"], cmap=DIVERGING, vmin=-widest, vmax=widest,
        edgecolors=[INK if p < alpha else "none" for p in shown["p_adjusted"]], linewidths=1.1, zorder=2,
    )  # fmt: skip
    plain(ax)
    rows_of_names(ax, [_words(name) for name in order])
    ax.set_xticks(np.arange(len(conditions)), conditions, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.6, len(conditions) - 0.4)
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="x", length=0)
    colour_bar(ax, drawn, "mean delta (log1p)", shrink=0.6)
    ax.set_title(f"size: |z|, up to {surest:.1f}\noutlined: adjusted p < {alpha:g}", fontsize=9, loc="left")
    return ax


def _words(name: str) -> str:
    """``HALLMARK_HYPOXIA`` -> ``HYPOXIA``: no more than 42 letters, spaces for underscores."""
    text = name.removeprefix("HALLMARK_").replace("_", " ")
    return text if len(text) <= 42 else text[:40] + "..."
