"""Columns of obs: which are there by their usual names, the labels in them, and doses and times beside the labels."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from itertools import filterfalse

import numpy as np
import pandas as pd

from cycseq.data.treatments import unit_in_dose_name, unit_in_time_name
from cycseq.data.usual_names import CONTROL, DOSES, TIMES, UNLABELLED
from cycseq.errors import DataError, count_of, join_names, unknown_name
from cycseq.matrix.arrays import CellMask

POOLED = ("doses are pooled", "times are pooled")
"""What the notes on doses and times that are not told apart begin with."""


def find_columns(obs: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """The columns whose name is one of the usual names, in the order of those names; case does not count.

    `Condition` and `condition` are two. Raises `DataError` if one of them holds lists or records, of which no labels can be made.
    """
    names = [name.casefold() for name in names]
    wanted = set(names)
    there = [column for column in map(str, obs.columns) if column.casefold() in wanted]
    return [_check_labels(obs, column) for name in names for column in there if column.casefold() == name]


def require_column(obs: pd.DataFrame, column: str, what: str) -> str:
    """The column, if it is there and labels can be made of it; `DataError` otherwise."""
    if column not in obs.columns:
        raise unknown_name(column, f"obs column for the {what}", map(str, obs.columns), DataError)
    return _check_labels(obs, column)


def translate(
    values: pd.Series, name: Callable[[str], str], *, missing: str = "", keep: Iterable[str] = ()
) -> pd.Series:
    """The new name of every label; labels that say that there is none (`unassigned`) become `missing`, except those of `keep`."""
    codes, unique = pd.factorize(values)
    exempt = set(keep)
    labels = [str(label).strip() for label in unique]
    new = [name(label) if label in exempt or label.casefold() not in UNLABELLED else missing for label in labels]
    return pd.Series(np.array([*new, missing], dtype=object)[codes], index=values.index, dtype=object)


def has_label(values: pd.Series, column: str, what: str, *, allowed: bool) -> CellMask:
    """Which cells have a label; raises `DataError` where some have none and that is not allowed."""
    labelled: np.ndarray = (values != "").to_numpy(dtype=bool)
    if not allowed and not labelled.all():
        msg = (
            f"{int((~labelled).sum()):,} of {count_of(len(values), 'cell')} have no {what} in obs[{column!r}] "
            f"(first: {values.index[~labelled][0]}). Label them, or leave them out with --drop-unlabelled true."
        )
        raise DataError(msg, option="--drop-unlabelled true")
    return labelled


def _check_labels(obs: pd.DataFrame, column: str) -> str:
    """The column; `DataError` if it holds lists or records."""
    record = record_in(obs[column])
    if record is not None:
        raise DataError(
            f"obs[{column!r}] holds what no labels can be made of (a {type(record).__name__}): write it as text, or name it otherwise."
        )
    return column


def record_in(values: pd.Series) -> object:
    """The first list, tuple or record among the values of a column; None where each is a single value."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return record_in(values.cat.categories.to_series())
    return next(filterfalse(pd.api.types.is_scalar, values), None) if values.dtype == object else None


def pooled_doses(obs: pd.DataFrame, perturbation: pd.Series) -> list[str]:
    """What to say of perturbations with several doses, which are pooled."""
    notes = []
    by_unit = [column for column in map(str, obs.columns) if unit_in_dose_name(column)]
    for column in [*find_columns(obs, DOSES), *by_unit]:
        levels = obs[column].astype(object).groupby(perturbation.to_numpy()).nunique().drop(CONTROL, errors="ignore")
        if (mixed := levels[levels > 1]).size:
            notes.append(
                f"doses are pooled: {mixed.size} {'perturbation has' if mixed.size == 1 else 'perturbations have'} several levels of "
                f"obs[{column!r}] (most: {mixed.idxmax()}, {mixed.max()}); --doses separate makes a condition of each"
            )
    return notes


def pooled_times(obs: pd.DataFrame, context_column: str | None) -> list[str]:
    """What to say of columns of times with several levels, which are pooled unless contexts are split by them."""
    by_unit = [column for column in map(str, obs.columns) if unit_in_time_name(column)]
    columns = dict.fromkeys([*find_columns(obs, TIMES), *by_unit])
    levels = {column: obs[column].dropna().unique() for column in columns if column != context_column}
    return [
        f"times are pooled: obs[{column!r}] has {len(times)} levels ({join_names(times, 5)}); "
        f"--split-by {shlex.quote(column)} makes a context of each"
        for column, times in levels.items()
        if len(times) > 1
    ]


def split_context(context: pd.Series, obs: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """The context of every cell with its level of a column (``K562_time_24``), and the level; empty where it has none."""
    if column not in obs and "," in column:
        msg = f"--split-by takes one column, not {column!r}: use --doses separate, which makes a condition of each dose and time."
        raise DataError(msg, option="--doses separate")
    levels = translate(obs[require_column(obs, column, "levels of a context")], lambda name: name.removesuffix(".0"))
    return context + f"_{column}_" + levels, levels
