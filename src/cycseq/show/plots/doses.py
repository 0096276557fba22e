"""Dose and response of one gene: what was measured, with error bars, and what is predicted, with its band."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cycseq.data.effects import Effects
from cycseq.data.treatments import place_of_dose
from cycseq.errors import DataError, unknown_name
from cycseq.show.plots.base import LINE, MARKERS, PALETTE, legend_above, new_axes, plain

Z95 = 1.959964
AXES = {
    "log1p": "difference of log1p means",
    "log_fold_change": "natural log fold change",
    "z": "z-score",
    "rank": "rank score",
}


def dose_response(
    real: Effects | None,
    perturbation: str,
    gene: str,
    *,
    context: str,
    predicted: Effects | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The response of one gene over the doses of a perturbation, a colour for each time.

    Doses lie on a logarithmic axis (named levels one step apart). Points are measured, with 95 % intervals where there are
    standard errors; lines are predicted, with a band of 95 % where the model says how sure it is (layer `sd`).

    Parameters
    ----------
    real
        Measured effects; None draws predictions alone.
    perturbation
        Without dose and time.
    gene
        A gene of the data.
    context
        Where.
    predicted
        Predicted effects of several doses (`cycseq predict --as effects`).
    ax
        Axes to draw into.

    Raises
    ------
    DataError
        If the gene is unknown, or no dose of the perturbation is there in this context.
    """
    sides = [_curve(side, perturbation, gene, context, layer) for side, layer in ((real, "se"), (predicted, "sd"))]
    if not any(len(side) for side in sides):
        msg = f"no dose of {perturbation!r} in {context!r} has an order: name the perturbation without its dose, and a context that has it."
        raise DataError(msg)
    points = pd.concat([side for side in sides if len(side)])
    ax = new_axes(ax)
    times = sorted(points["time"].unique())
    ax.axhline(0.0, color=LINE, linewidth=1, zorder=1)
    for i, time in enumerate(times):
        colour, marker = PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]
        measured, line = (side[side["time"] == time] for side in sides)
        name = f"{time:g} h" if time >= 0 else ""
        if len(line):
            ax.fill_between(line["at"], line["low"], line["high"], color=colour, alpha=0.18, linewidth=0, zorder=2)
            ax.plot(
                line["at"], line["effect"], color=colour, linewidth=1.6, label=f"predicted {name}".strip(), zorder=3
            )
        if len(measured):
            ax.vlines(measured["at"], measured["low"], measured["high"], color=colour, linewidth=1.2, zorder=4)
            ax.plot(measured["at"], measured["effect"], color=colour, marker=marker, markersize=5, linestyle="",
                    label=f"measured {name}".strip(), zorder=5)  # fmt: skip
    ticks = points.drop_duplicates("at").sort_values("at")
    ax.set_xticks(ticks["at"], ticks["dose"])
    plain(ax, "y", xlabel=f"dose of {perturbation}", ylabel=f"{gene}, {AXES[points['scale'].iloc[0]]}")
    legend_above(ax, columns=min(3, len(times)))
    return ax


def _no_points() -> pd.DataFrame:
    return pd.DataFrame(columns=["at", "dose", "time", "effect", "low", "high", "scale"])


def _curve(effects: Effects | None, agent: str, gene: str, context: str, layer: str) -> pd.DataFrame:
    """Place, dose, time, effect and its interval of each dose, in ascending order; no time is -1."""
    if effects is None:
        return _no_points()
    if gene not in effects.genes:
        raise unknown_name(gene, "gene", effects.genes, DataError)
    column = effects.genes.index(gene)
    spread = effects.layer(layer)
    rows = []
    for i, c in enumerate(effects.conditions()):
        place = place_of_dose(c.dose)
        if c.context == context and c.agent == agent and place is not None:
            value = float(effects.effect[i, column])
            half = Z95 * float(spread[i, column]) if spread is not None else np.nan
            time = -1.0 if c.time is None else c.time
            rows.append((place[1], c.dose, time, value, value - half, value + half, effects.scale))
    return pd.DataFrame(rows, columns=_no_points().columns).sort_values(["time", "at"])
