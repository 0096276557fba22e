"""Columns of obs: which are there by their usual names, and the labels in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from jaxtyping import Bool

from cycseq.data.usual_names import UNLABELLED
from cycseq.errors import DataError, unknown_name


def find_columns(obs: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """The columns whose name is one of the usual names, in the order of those names; case does not count.

    `Condition` and `condition` are two.

    Raises
    ------
    DataError
        If one of them holds lists or records, of which no labels can be made.
    """
    folded: dict[str, list[str]] = {}
    for column in map(str, obs.columns):
        folded.setdefault(column.casefold(), []).append(column)
    return [_check_labels(obs, column) for name in names for column in folded.get(name.casefold(), ())]


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


def has_label(values: pd.Series, column: str, what: str, *, allowed: bool) -> Bool[np.ndarray, "cells"]:
    """Which cells have a label; raises `DataError` where some have none and that is not allowed."""
    labelled: np.ndarray = (values != "").to_numpy(dtype=bool)
    if not allowed and not labelled.all():
        msg = (
            f"{int((~labelled).sum()):,} of {len(values):,} cells have no {what} in obs[{column!r}] "
            f"(first: {values.index[~labelled][0]}). Label them, or leave them out with --drop-unlabelled true."
        )
        raise DataError(msg, option="--drop-unlabelled true")
    return labelled


def _check_labels(obs: pd.DataFrame, column: str) -> str:
    """The column; `DataError` if it holds lists or records."""
    if obs[column].dtype == object:
        try:
            set(obs[column])
        except TypeError as err:
            msg = (
                f"obs[{column!r}] holds what no labels can be made of ({err}): write it as text, or name it otherwise."
            )
            raise DataError(msg) from err
    return column
