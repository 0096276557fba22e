"""How sure a model is, and whether it may be: coverage of its intervals, and what more conditions would leave."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cycseq.show.plots.base import BLUE, MARKERS, MUTED, PALETTE, diagonal, legend_above, new_axes, plain, rows_of_names


def calibration_curve(coverage: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of real deltas inside the predicted interval, against the share that should be.

    On the diagonal, the model knows how sure it is; below it, its intervals are too narrow.

    Parameters
    ----------
    coverage
        Columns `nominal` and `observed`, in [0, 1], and `context`, a line each; what
        `cycseq.coverage` returns.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, width=4.0, height=4.2)
    ax.annotate("too wide", (0.05, 0.95), va="top", fontsize=9, color=MUTED)
    ax.annotate("too narrow", (0.95, 0.05), ha="right", fontsize=9, color=MUTED)
    curves = {
        str(context): (part["nominal"], part["observed"]) for context, part in coverage.groupby("context", sort=False)
    }
    return _beside_diagonal(ax, curves, "nominal coverage", "observed coverage")


def variance_left(chosen: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What is left of the posterior variance after each of the suggested conditions (`cycseq.run.suggest.suggest`).

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
    plain(ax, "x", xlabel="posterior variance left, % of today's")
    rows_of_names(ax, [f"{c}:{p}" for c, p in zip(chosen["context"], chosen["perturbation"], strict=True)])
    return ax


def reliability_curve(reliability: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How often a response is above 0, or beyond the threshold, against the probability that was stated.

    On the diagonal, a stated probability is what it says; the grey band is a tenth on both sides.

    Parameters
    ----------
    reliability
        Columns `event`, a line each, `stated` and `observed`, in [0, 1]: what `cycseq.reliability` returns.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, width=4.0, height=4.2)
    ax.fill_between([0, 1], [-0.1, 0.9], [0.1, 1.1], color=MUTED, alpha=0.15, linewidth=0, zorder=0)
    curves = {
        str(event): (part["stated"], part["observed"]) for event, part in reliability.groupby("event", sort=False)
    }
    return _beside_diagonal(ax, curves, "stated probability", "observed frequency")


def _beside_diagonal(ax: Axes, curves: Mapping[str, tuple[pd.Series, pd.Series]], x: str, y: str) -> Axes:
    """Curves of shares against shares, in a square with its diagonal."""
    diagonal(ax)
    for i, (name, (across, up)) in enumerate(curves.items()):
        ax.plot(
            across, up, color=PALETTE[i % len(PALETTE)], marker=MARKERS[i % len(MARKERS)],
            markersize=4, linewidth=1.6, label=name, zorder=2,
        )  # fmt: skip
    plain(ax, xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=x, ylabel=y)
    legend_above(ax)
    return ax
