"""What commands print: sentences and tables on standard output, plain where it is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import TARGET_SUM
from cycseq.data.validate import AS_WRITTEN, CHANGED
from cycseq.errors import printable
from cycseq.score.metrics import HEADLINE, METRICS

WIDTH = 160
"""Columns of a table that goes into a file or a pipe."""


def say(lines: Iterable[str] | str) -> None:
    """Print sentences as they are."""
    console = Console(highlight=False, soft_wrap=True)
    for line in [lines] if isinstance(lines, str) else lines:
        console.print("\n".join(map(printable, line.split("\n"))), markup=False)


def say_choices(path: Path, data: PerturbationData) -> None:
    """Say how a file was read; nothing of files that are as cycseq wrote them."""
    if data.notes and (AS_WRITTEN not in data.notes or any(CHANGED in note for note in data.notes)):
        say([f"{path.name}:", *(f"  {note}" for note in data.notes)])


def say_counts(path: Path, data: PerturbationData) -> None:
    """Say how a file was read, and what is made of counts where a command takes them as they are."""
    say_choices(path, data)
    if data.scale == "counts":
        say(
            f"{path} holds counts: taken as log1p of counts per {TARGET_SUM:,.0f}, all cells and genes "
            "(cycseq prepare also looks at quality and chooses genes)"
        )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table; numbers to the right."""
    body = [[_cell(value) for value in row] for row in rows]
    shown = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for i, column in enumerate(columns):
        numeric = all(row[i] == "-" or row[i].lstrip("+-").replace(".", "", 1).isdigit() for row in body)
        shown.add_column(column, justify="right" if numeric and body else "left", no_wrap=i == 0, overflow="fold")
    for row in body:
        shown.add_row(*row)
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(shown)


def headline(scores: pd.DataFrame, index: Sequence[str], *, title: str | None = None) -> None:
    """Print the headline metrics of a table of scores: a row for each value of the index columns.

    Parameters
    ----------
    scores
        With the index columns, `metric` and `value`.
    index
        What a row stands for: `model`, or `context` and `perturbation`.
    title
        Stands above.
    """
    scores = scores[scores["metric"].isin(HEADLINE)] if scores["metric"].isin(HEADLINE).any() else scores
    undefined = [str(m) for m, values in scores.groupby("metric", sort=False)["value"] if values.isna().all()]
    shown = scores.pivot_table(index=list(index), columns="metric", values="value", sort=False)
    rows = shown[[m for m in METRICS if m in shown]].reset_index()
    table([str(c) for c in rows.columns], rows.itertuples(index=False), title=title)
    if undefined:
        say(f"undefined here: {', '.join(undefined)} (cycseq list metrics says when)")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3f}"  # noqa: PLR0124  (NaN is what differs from itself)
    return printable(str(value))
