"""Doses and times beside the labels: pooled and said so, or levels that are contexts of their own."""

from __future__ import annotations

import shlex

import pandas as pd

from cycseq.data.label_columns import find_columns, require_column, translate
from cycseq.data.usual_names import CONTROL, DOSE_NAMES, TIME_NAMES


def pooled_doses(obs: pd.DataFrame, perturbation: pd.Series) -> list[str]:
    """What to say of perturbations with several doses, which are pooled."""
    notes = []
    for column in find_columns(obs, DOSE_NAMES):
        levels = obs[column].astype(object).groupby(perturbation.to_numpy()).nunique().drop(CONTROL, errors="ignore")
        if (mixed := levels[levels > 1]).size:
            notes.append(
                f"doses are pooled: {mixed.size} perturbations have several levels of obs[{column!r}] (most: "
                f"{mixed.idxmax()}, {mixed.max()})"
            )
    return notes


def pooled_times(obs: pd.DataFrame, context_column: str | None) -> list[str]:
    """What to say of columns of times with several levels, which are pooled unless contexts are split by them."""
    levels = {c: obs[c].dropna().unique() for c in find_columns(obs, TIME_NAMES) if c != context_column}
    return [
        f"times are pooled: obs[{column!r}] has {len(times)} levels ({', '.join(str(time) for time in times[:5])}"
        f"{', ...' if len(times) > 5 else ''}); --split-by {shlex.quote(column)} makes a context of each"
        for column, times in levels.items()
        if len(times) > 1
    ]


def split_context(context: pd.Series, obs: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """The context of every cell with its level of a column (``K562_time_24``), and the level; empty where it has none."""
    levels = translate(obs[require_column(obs, column, "levels of a context")], lambda name: name.removesuffix(".0"))
    return context + f"_{column}_" + levels, levels
