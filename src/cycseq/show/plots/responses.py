"""The response of genes: real against predicted, the top genes with their intervals, volcanoes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cycseq.errors import DataError, count_of
from cycseq.matrix.arrays import Profile
from cycseq.show.plots.base import (
    BLUE,
    INK,
    LINE,
    MUTED,
    ORANGE,
    VERMILION,
    diagonal,
    legend_above,
    name_points,
    new_axes,
    plain,
    rows_of_names,
)


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
    diagonal(ax, low - pad, high + pad)
    ax.scatter(real, predicted, s=9, color=BLUE, alpha=0.55, linewidths=0, zorder=2, rasterized=True)
    ax.scatter(real[top], predicted[top], s=20, color=ORANGE, linewidths=0, zorder=3)
    ax.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
    side = real[top] > (low + high) / 2
    gap = 0.06 * (high - low)
    columns = np.where(side, real[top][side].min(initial=high) - gap, real[top][~side].max(initial=low) + gap)
    name_points(
        ax, real[top], predicted[top], [genes[i] for i in top],
        columns=columns, to_the_left=side, high=high, gap=0.052 * (high - low + 2 * pad),
    )  # fmt: skip
    plain(ax, xlabel="real delta (log1p)", ylabel="predicted delta (log1p)")
    return ax


def top_genes(changes: pd.DataFrame, *, n: int = 8, real: pd.Series | None = None, ax: Axes | None = None) -> Axes:
    """The genes that most surely change, condition below condition, with intervals of their predicted delta.

    Parameters
    ----------
    changes
        Columns `context`, `perturbation`, `gene`, `effect`, `lower`, `upper`, `lfsr`: what
        `cycseq.data.posterior.all_changes` returns and ``cycseq predict --genes-out`` writes. One or several conditions.
    n
        Genes of each condition: those with the least local false sign rate, larger effects first among equals.
    real
        Real deltas, indexed by context, perturbation and gene, drawn as crosses where they are known.
    ax
        Axes to draw into.
    """
    chosen = [
        part.assign(size=part["effect"].abs())
        .sort_values(["lfsr", "size"], ascending=[True, False], kind="stable")
        .head(n)
        .sort_values("effect", ascending=False, kind="stable")
        for _, part in changes.groupby(["context", "perturbation"], sort=False)
    ]
    ax = new_axes(ax, width=4.8, height=1.0 + 0.2 * sum(len(part) + 1.5 for part in chosen))
    names: list[str] = []
    places: list[float] = []
    heads: list[int] = []
    row = 0.0
    for part in chosen:
        y = row + np.arange(len(part))
        if len(chosen) > 1:
            heads.append(len(names))
            names.append(f"{part['context'].iloc[0]}: {part['perturbation'].iloc[0]}")
            places.append(row - 1.0)
        colours = [ORANGE if effect > 0 else BLUE for effect in part["effect"]]
        ax.hlines(y, part["lower"], part["upper"], color=colours, linewidth=2.2, zorder=2)
        ax.scatter(part["effect"], y, s=34, color=colours, zorder=3)
        if real is not None:
            keys = list(zip(part["context"], part["perturbation"], part["gene"], strict=True))
            measured = real.reindex(pd.MultiIndex.from_tuples(keys)).to_numpy()
            ax.scatter(measured, y, s=30, marker="x", color=INK, linewidths=1.4, zorder=4)
        names += list(part["gene"])
        places += y.tolist()
        row = float(y[-1]) + 2.6
    ax.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    plain(ax, "x", xlabel="predicted effect (log1p), 90% interval" + ("\n(cross: real)" if real is not None else ""))
    rows_of_names(ax, names)
    ax.set_yticks(places, names, fontsize=8.5)
    for place in heads:
        ax.get_yticklabels()[place].set_fontweight("bold")
    ax.set_ylim(places[-1] + 0.8, -1.7 if len(chosen) > 1 else -0.8)
    return ax


def volcano(
    real: pd.DataFrame, predicted: pd.DataFrame, *, named: int = 6, alpha: float = 0.05, ax: Axes | None = None
) -> Axes:
    """Two volcanoes on one axis of delta: real genes upwards, predicted ones downwards, mirrored.

    A gene's two points mirror each other where real and predicted cells agree; each half has its own scale of p. The
    genes of the largest real responses are named in both halves.

    Parameters
    ----------
    real, predicted
        Indexed by gene, with columns `delta` and `p_adjusted`: what `cycseq.differential` returns.
    named
        How many genes are named.
    alpha
        Genes below this adjusted p-value are drawn in colour.
    ax
        Axes to draw into.
    """
    missing = [column for table in (real, predicted) for column in ("delta", "p_adjusted") if column not in table]
    if missing:
        raise DataError(f"the table has no column {missing[0]!r}: give what cycseq.differential returns.")
    ax = new_axes(ax, width=4.8, height=5.0)
    predicted = predicted.reindex(real.index)
    heights = [_height(table["p_adjusted"]) for table in (real, predicted)]
    scales = [max(1.0, float(height.max())) for height in heights]
    top = np.argsort(-np.abs(real["delta"].to_numpy() * heights[0]), kind="stable")[:named]
    right = _room(ax, [real["delta"].to_numpy(), predicted["delta"].to_numpy()], top)
    halves = zip(("real", "predicted"), (real, predicted), heights, scales, (1, -1), (BLUE, VERMILION), strict=True)
    for name, table, height, scale, way, colour in halves:
        x, y = table["delta"].to_numpy(dtype=np.float64), way * height / scale
        significant = table["p_adjusted"].to_numpy() < alpha
        ax.scatter(x[~significant], y[~significant], s=7, color=MUTED, alpha=0.35, linewidths=0, rasterized=True)
        ax.scatter(
            x[significant], y[significant], s=11, color=colour, alpha=0.75, linewidths=0, rasterized=True,
            label=f"{name}: {count_of(int(significant.sum()), 'gene')} below {alpha:g}",
        )  # fmt: skip
        name_points(
            ax, x[top], y[top], [str(gene) for gene in real.index[top]],
            columns=np.where(right, *ax.get_xlim()[::-1]), to_the_left=right,
            high=1.0 if way > 0 else -0.06, gap=0.09,
        )  # fmt: skip
    ax.axhline(0, color=INK, linewidth=1)
    ax.axvline(0, color=LINE, linewidth=1, zorder=0)
    plain(ax, "y", xlabel="delta (log1p)", ylabel="-log10 adjusted p (predicted: downwards)", ylim=(-1.08, 1.08))
    ticks = [(way * v / scale, f"{v:g}") for way, scale in zip((1, -1), scales, strict=True) for v in _ticks(scale)]
    ax.set_yticks(*zip(*ticks, strict=True))
    legend_above(ax, columns=1)
    return ax


def _ticks(highest: float) -> list[float]:
    return [float(v) for v in MaxNLocator(4).tick_values(0.0, highest) if v <= highest]


def _room(ax: Axes, x: Sequence[np.ndarray], top: np.ndarray) -> Bool[np.ndarray, "labels"]:
    """Leave room for names at the sides that have some, and say whose name stands at the right."""
    right = np.asarray(x[0][top] > 0)
    low, high = min(0.0, float(min(a.min() for a in x))), max(0.0, float(max(a.max() for a in x)))
    room = 0.34 * (high - low or 1.0)
    ax.set_xlim(low - (room / 8 if right.all() else room), high + (room if right.any() else room / 8))
    return right


def _height(p: pd.Series) -> Float[np.ndarray, "genes"]:
    """-log10, with what is too small for a float at the smallest."""
    return np.asarray(-np.log10(np.maximum(p.to_numpy(dtype=np.float64), 1e-300)))
