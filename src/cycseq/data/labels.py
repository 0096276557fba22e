"""What the labels in users' files mean here: which columns they stand in, and which cells are controls."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool

from cycseq.data.usual_names import (
    BATCH_NAMES,
    CONTEXT_NAMES,
    CONTROL,
    DOSE_NAMES,
    LIKELY_CONTROL,
    NO_CONTROL,
    PERTURBATION_NAMES,
    UNLABELLED,
    canonical_perturbation,
    find_controls,
)
from cycseq.errors import DataError, unknown_name


@dataclass(frozen=True)
class ObsKeys:
    """Which obs columns to use; what is left out is found by its usual names."""

    perturbation: str | None = None
    """Column of the perturbation label of each cell."""
    context: str | None = None
    """Column of the cell line or cell type."""
    batch: str | None = None
    """Column of the batch, donor or replicate."""
    control: str | None = None
    """Label of the control cells; several are joined by commas; `none` where the file has no control cells."""


@dataclass(frozen=True)
class FoundLabels:
    """What the labels of a file mean."""

    obs: pd.DataFrame
    """Columns `perturbation` (`control`, `A`, `A+B` sorted), `context`, `batch`, all str."""
    labelled: Bool[np.ndarray, "cells"]
    """False where a cell has no perturbation or no context, or a label that says so (`unassigned`, `doublet`)."""
    notes: tuple[str, ...]
    """What was chosen, in sentences to print."""


def find_labels(
    obs: pd.DataFrame, keys: ObsKeys, *, default_context: str, drop_unlabelled: bool = False
) -> FoundLabels:
    """Choose the columns of perturbation, context and batch, and translate their labels.

    Parameters
    ----------
    obs
        One row per cell.
    keys
        What the user said; the rest is found by alias (case does not count).
    default_context
        The context of all cells where no column names one.
    drop_unlabelled
        Whether cells without a label may be there; `labelled` says which they are.

    Raises
    ------
    DataError
        If no column or two different columns fit, a named column is absent, no control label is found, or
        cells have no label.
    """
    notes: list[str] = []
    column, controls = _perturbation_column(obs, keys)
    perturbation = _perturbations(obs, column, controls, notes)
    labelled = _labelled(perturbation, column, "perturbation", allowed=drop_unlabelled)
    said = ", ".join(map(repr, controls)) or "none"
    n_control = int((perturbation == CONTROL).sum())
    notes.insert(0, f"perturbation <- obs[{column!r}]; control = {said} ({n_control:,} cells)")

    context_column = (keys.context and _named(obs, keys.context, "context")) or _single(obs, CONTEXT_NAMES, "context")
    if context_column:
        context = _translated(obs[context_column], str)
        labelled = labelled & _labelled(context, context_column, "context", allowed=drop_unlabelled)
        notes.append(f"context <- obs[{context_column!r}] ({context[labelled].nunique()} contexts)")
    else:
        context = pd.Series(default_context, index=obs.index, dtype=str)
        notes.append(
            f"context: no column names one, so all cells are {default_context!r} (--context-key names a column)"
        )

    batch_column = (keys.batch and _named(obs, keys.batch, "batch")) or _single(obs, BATCH_NAMES, "batch")
    if batch_column:
        batch = _translated(obs[batch_column], str, missing="unknown")
        notes.append(f"batch <- obs[{batch_column!r}] ({batch.nunique()} batches)")
    else:
        batch = pd.Series("0", index=obs.index, dtype=str)
        notes.append("batch: no column names one, so all cells are one batch (--batch-key names a column)")
    notes += _mixed_doses(obs, perturbation)
    found = pd.DataFrame({"perturbation": perturbation, "context": context, "batch": batch}, index=obs.index)
    return FoundLabels(obs=found, labelled=labelled, notes=tuple(notes))


def find_columns(obs: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """The columns whose name is one of the usual names, in the order of those names; case does not count.

    Raises
    ------
    DataError
        If one of them holds lists or records, of which no labels can be made.
    """
    folded = {str(column).casefold(): str(column) for column in reversed(obs.columns)}
    return [_of_labels(obs, folded[name.casefold()]) for name in names if name.casefold() in folded]


def _perturbation_column(obs: pd.DataFrame, keys: ObsKeys) -> tuple[str, list[str]]:
    named = [_named(obs, keys.perturbation, "perturbation")] if keys.perturbation else []
    candidates = named or find_columns(obs, PERTURBATION_NAMES)
    if not candidates:
        msg = (
            f"no obs column names the perturbation: looked for {', '.join(PERTURBATION_NAMES)}; "
            f"found {', '.join(map(str, obs.columns)) or 'no columns'}. "
            "Say --perturbation-key COLUMN, or give a CSV of the cells' labels with --labels-file FILE."
        )
        raise DataError(msg, option=_likely_column(obs))
    fitting: dict[str, list[str]] = {}
    for column in candidates:
        labels = [str(label).strip() for label in obs[column].dropna().unique()]
        present = _controls_among(labels, keys.control)
        if present is not None:
            fitting[column] = present
    if not fitting:
        _no_control(obs, candidates[0], keys)
    column = _same_or_error(obs, fitting, "perturbation")
    return column, fitting[column]


def _controls_among(labels: list[str], said: str | None) -> list[str] | None:
    """The control labels of a column; none where that was said; None where the column does not fit."""
    if said is None:
        return find_controls(labels) or None
    wanted = [said] if said in labels else [name.strip() for name in said.split(",")]
    if wanted == [NO_CONTROL] and NO_CONTROL not in labels:
        return []
    return wanted if set(wanted) <= set(labels) else None


def _no_control(obs: pd.DataFrame, column: str, keys: ObsKeys) -> None:
    labels = [str(label).strip() for label in obs[column].value_counts().index]
    if keys.control:
        unknown = next(name for name in map(str.strip, keys.control.split(",")) if name not in labels)
        raise unknown_name(unknown, f"control label in obs[{column!r}]", sorted(labels), DataError)
    shown = ", ".join(labels[:6]) + (", ..." if len(labels) > 6 else "")
    msg = (
        f"no control cells found in obs[{column!r}]: none of its {len(labels)} labels ({shown}) usually means control. "
        f"Say --control LABEL, or --control {NO_CONTROL} if the file holds perturbed cells only."
    )
    likely = next((label for label in labels if re.search(LIKELY_CONTROL, label)), (labels or [NO_CONTROL])[0])
    raise DataError(msg, option=f"--control {shlex.quote(likely)}")


def _likely_column(obs: pd.DataFrame) -> str:
    """An option that names the first column that could hold perturbations: texts, some of them in many cells."""
    usual = {name.casefold() for name in (*CONTEXT_NAMES, *BATCH_NAMES, *DOSE_NAMES)}
    for name, values in obs.items():
        text = not pd.api.types.is_numeric_dtype(values) and str(name).casefold() not in usual
        if text and 1 < values.nunique() <= max(2, len(obs) // 3):
            return f"--perturbation-key {shlex.quote(str(name))}"
    return "--labels-file FILE"


def _perturbations(obs: pd.DataFrame, column: str, controls: list[str], notes: list[str]) -> pd.Series:
    """Canonical perturbation of every cell."""
    values, n_joined = _joined_by_plus(obs, column)
    if n_joined:
        notes.append(f"{n_joined:,} cells have combinations written A_B (obs['nperts'] says so)")
    return _translated(values, lambda label: canonical_perturbation(label, controls), keep=controls)


def _joined_by_plus(obs: pd.DataFrame, column: str) -> tuple[pd.Series, int]:
    """The column, with ``A+B`` for scPerturb's ``A_B`` where `nperts` says 2, and the number of such cells."""
    values = obs[column]
    if "nperts" not in obs:
        return values, 0
    text = _translated(values, str)
    n_parts = pd.to_numeric(obs["nperts"], errors="coerce")
    several = (text.str.count("_") + 1 == n_parts) & (n_parts > 1) & ~text.str.contains("+", regex=False)
    return (values.astype(str).where(~several, text.str.replace("_", "+")) if several.any() else values), int(
        several.sum()
    )


def _mixed_doses(obs: pd.DataFrame, perturbation: pd.Series) -> list[str]:
    notes = []
    for column in find_columns(obs, DOSE_NAMES):
        levels = obs[column].astype(object).groupby(perturbation.to_numpy()).nunique().drop(CONTROL, errors="ignore")
        if (mixed := levels[levels > 1]).size:
            notes.append(
                f"doses are pooled: {mixed.size} perturbations have several levels of obs[{column!r}] (most: "
                f"{mixed.idxmax()}, {mixed.max()})"
            )
    return notes


def _single(obs: pd.DataFrame, names: tuple[str, ...], what: str) -> str | None:
    candidates = find_columns(obs, names)
    varying = [column for column in candidates if obs[column].nunique(dropna=False) > 1]
    if varying or candidates:
        return _same_or_error(obs, {column: [] for column in varying or candidates[:1]}, what)
    return None


def _same_or_error(obs: pd.DataFrame, columns: dict[str, list[str]], what: str) -> str:
    """The first of the columns (name -> its control labels), if all part the cells alike, with the same controls."""

    def parted(column: str) -> np.ndarray:
        controls = columns[column]
        alike = str if what != "perturbation" else lambda label: canonical_perturbation(label, controls)
        values = _joined_by_plus(obs, column)[0] if what == "perturbation" else obs[column]
        labels = _translated(values, alike, keep=controls)
        return np.where(labels == CONTROL, -1, pd.factorize(labels)[0])

    first, *others = columns
    for other in others:
        if (parted(first) != parted(other)).any():
            msg = (
                f"two obs columns may name the {what}: {first!r} and {other!r}, and they differ. "
                f"Say --{what}-key {shlex.quote(first)} or --{what}-key {shlex.quote(other)}."
            )
            raise DataError(msg, option=f"--{what}-key {shlex.quote(first)}")
    return first


def _named(obs: pd.DataFrame, column: str, what: str) -> str:
    if column not in obs.columns:
        raise unknown_name(column, f"obs column for the {what}", map(str, obs.columns), DataError)
    return _of_labels(obs, column)


def _of_labels(obs: pd.DataFrame, column: str) -> str:
    if obs[column].dtype == object:
        try:
            set(obs[column])
        except TypeError as err:
            msg = (
                f"obs[{column!r}] holds what no labels can be made of ({err}): write it as text, or name it otherwise."
            )
            raise DataError(msg) from err
    return column


def _translated(
    values: pd.Series, translate: Callable[[str], str], *, missing: str = "", keep: Iterable[str] = ()
) -> pd.Series:
    """Every label translated once; those that say that there is none become `missing`, unless they are to be kept."""
    codes, labels = pd.factorize(values)
    kept = set(keep)
    names = [str(label).strip() for label in labels]
    new = [translate(name) if name in kept or name.casefold() not in UNLABELLED else missing for name in names]
    return pd.Series(np.array([*new, missing], dtype=object)[codes], index=values.index, dtype=object)


def _labelled(values: pd.Series, column: str, what: str, *, allowed: bool) -> Bool[np.ndarray, "cells"]:
    labelled: np.ndarray = (values != "").to_numpy(dtype=bool)
    if not allowed and not labelled.all():
        msg = (
            f"{int((~labelled).sum()):,} of {len(values):,} cells have no {what} in obs[{column!r}] "
            f"(first: {values.index[~labelled][0]}). Label them, or leave them out with --drop-unlabelled true."
        )
        raise DataError(msg, option="--drop-unlabelled true")
    return labelled
