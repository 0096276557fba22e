"""Find the labels in users' files: which columns hold them, and which cells are controls."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cycseq.data.control_labels import (
    Controls,
    control_notes,
    guess_controls,
    match_controls,
    no_control_error,
    several_kinds_error,
)
from cycseq.data.gene_names import note_dates
from cycseq.data.guides import join_guides, note_combinations
from cycseq.data.label_columns import (
    find_columns,
    has_label,
    pooled_doses,
    pooled_times,
    record_in,
    require_column,
    split_context,
    translate,
)
from cycseq.data.settings import ObsKeys
from cycseq.data.spellings import note_spellings
from cycseq.data.usual_names import COLUMN_NAMES, CONTROL, DOSE_NAMES, UNLABELLED, canonical_perturbation
from cycseq.errors import DataError, count_of
from cycseq.matrix.arrays import CellMask


@dataclass(frozen=True)
class CellLabels:
    """The labels of all cells, by the names that cycseq uses."""

    obs: pd.DataFrame  # columns `perturbation` (`control`, `A`, `A+B` sorted), `context`, `batch`, all str
    labelled: CellMask
    """False where a cell has no perturbation or no context, or a label that says so (`unassigned`, `doublet`)."""
    notes: tuple[str, ...]  # which columns and controls were chosen, in sentences to print
    n_other_controls: int = 0
    """Cells that are not `labelled` because theirs is another control than the one that was named."""


def find_labels(
    obs: pd.DataFrame,
    keys: ObsKeys,
    *,
    default_context: str,
    drop_unlabelled: bool = False,
    genes: Collection[str] = (),
) -> CellLabels:
    """Choose the columns of perturbation, context and batch, and translate their labels.

    Columns that `keys` do not name are found by their usual names (case does not count); `default_context` is that of all cells where
    no column names one, and `genes`, those of the data, tell symbols from guides. Raises `DataError` if no column or two different
    columns fit, a named column is absent, no control label is found or several of different kinds are, or cells have no label
    (unless `drop_unlabelled`: `CellLabels.labelled` says which they are then).
    """
    column, controls = _perturbation_column(obs, keys)
    perturbation, notes = _perturbations(obs, column, controls.labels, keys, genes)
    labelled = has_label(perturbation, column, "perturbation", allowed=drop_unlabelled)
    left_out = () if keys.other_controls == "keep" else controls.others
    other_control = obs[column].astype(str).str.strip().isin(left_out).to_numpy(dtype=bool)
    n_control, n_other = int((perturbation == CONTROL).sum()), int(other_control.sum())
    context, labelled, context_notes = _contexts(
        obs, keys, labelled & ~other_control, default_context=default_context, drop_unlabelled=drop_unlabelled
    )
    batch, batch_note = _batches(obs, keys)
    return CellLabels(
        obs=pd.DataFrame({"perturbation": perturbation, "context": context, "batch": batch}, index=obs.index),
        labelled=labelled,
        notes=(
            *control_notes(column, controls, n_control, n_other),
            *notes,
            *note_spellings(perturbation[labelled].unique(), "perturbations"),
            *filter(None, [note_dates(_labels_of(obs[column]), "perturbation")]),
            *context_notes,
            *note_spellings(context[labelled].unique(), "contexts"),
            batch_note,
            *pooled_doses(obs, perturbation),
        ),
        n_other_controls=n_other,
    )


def _contexts(
    obs: pd.DataFrame, keys: ObsKeys, labelled: np.ndarray, *, default_context: str, drop_unlabelled: bool
) -> tuple[pd.Series, np.ndarray, list[str]]:
    """The context of every cell, which cells are still labelled, and the notes on both."""
    column = _column(obs, keys.context, "context")
    if column is None:
        context = pd.Series(default_context, index=obs.index, dtype=str)
        notes = [f"context: no column names one, so all cells are {default_context!r} (--context-key names a column)"]
    else:
        context = translate(obs[column], str)
        labelled = labelled & has_label(context, column, "context", allowed=drop_unlabelled)
        notes = [f"context <- obs[{column!r}] ({count_of(context[labelled].nunique(), 'context')})"]
    if not keys.split_by:
        return context, labelled, notes + pooled_times(obs, column)
    context, levels = split_context(context, obs, keys.split_by)
    labelled = labelled & has_label(levels, keys.split_by, "level", allowed=drop_unlabelled)
    notes.append(
        f"contexts are split by obs[{keys.split_by!r}] ({count_of(context[labelled].nunique(), 'context')}, such as {context.iloc[0]!r})"
    )
    return context, labelled, notes


def _batches(obs: pd.DataFrame, keys: ObsKeys) -> tuple[pd.Series, str]:
    """The batch of every cell, and the note on it."""
    if keys.batch is None and keys.context in obs:  # a context is no batch of itself
        obs = obs.drop(columns=[keys.context])
    column = _column(obs, keys.batch, "batch")
    if column is None:
        note = "batch: no column names one, so all cells are one batch (--batch-key names a column)"
        return pd.Series("0", index=obs.index, dtype=str), note
    batch = translate(obs[column], str, missing="unknown")
    return batch, f"batch <- obs[{column!r}] ({count_of(batch.nunique(), 'batch', 'batches')})"


def _perturbation_column(obs: pd.DataFrame, keys: ObsKeys) -> tuple[str, Controls]:
    """The column that names the perturbation, and its control labels."""
    user_columns = [require_column(obs, keys.perturbation, "perturbation")] if keys.perturbation else []
    candidates = user_columns or _usual_columns(obs, "perturbation")
    if not candidates:
        msg = (
            f"no obs column names the perturbation: looked for {', '.join(COLUMN_NAMES['perturbation'][0])}; "
            f"found {', '.join(map(str, obs.columns)) or 'no columns'}. "
            "Use --perturbation-key COLUMN, or give a CSV of the cells' labels with --labels-file FILE."
        )
        raise DataError(msg, option=_likely_column(obs))
    labels_of = {column: _labels_of(obs[column]) for column in candidates}
    matches = {
        column: guess_controls(labels) if keys.control is None else match_controls(labels, keys.control)
        for column, labels in labels_of.items()
    }
    fitting = {column: controls for column, controls in matches.items() if controls is not None}
    if not fitting:
        by_frequency = [str(label).strip() for label in obs[candidates[0]].value_counts().index]
        raise no_control_error(candidates[0], by_frequency, keys.control)
    column = _same_or_error(obs, {name: fits.labels for name, fits in fitting.items()}, "perturbation")
    if keys.control is None and keys.other_controls != "keep" and fitting[column].others:
        n_cells = obs[column].astype(str).str.strip().value_counts()
        raise several_kinds_error(column, labels_of[column], n_cells.to_dict())
    return column, fitting[column]


def is_label(values: pd.Series) -> bool:
    """Whether a column holds texts, numbers or truth values: a damaged file can hold records, complex numbers or lists."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return is_label(values.cat.categories.to_series())
    if pd.api.types.is_object_dtype(values.dtype):
        return record_in(values) is None
    return pd.api.types.is_string_dtype(values.dtype) or (
        pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype)
    )


def _labels_of(values: pd.Series) -> list[str]:
    """The labels of a column, each once; none of what holds no labels."""
    if not is_label(values):
        return []
    return list(dict.fromkeys(str(label).strip() for label in values.dropna().unique()))


def _likely_column(obs: pd.DataFrame) -> str:
    """An option that names the first column that could hold perturbations: texts, some of them in many cells."""
    usual = {*COLUMN_NAMES["context"][0], *COLUMN_NAMES["batch"][0], *DOSE_NAMES}
    for name, values in obs.items():
        text = not pd.api.types.is_numeric_dtype(values) and str(name).casefold() not in usual
        if text and 1 < values.nunique() <= max(2, len(obs) // 3):
            return f"--perturbation-key {shlex.quote(str(name))}"
    return "--labels-file FILE"


def _perturbations(
    obs: pd.DataFrame, column: str, controls: Sequence[str], keys: ObsKeys, genes: Collection[str]
) -> tuple[pd.Series, list[str]]:
    """Canonical perturbation of every cell, with what was done to the labels, in sentences."""
    values, n_joined = _joined_by_plus(obs, column)
    notes = [f"{n_joined:,} cells have combinations written A_B (obs['nperts'] says so)"] if n_joined else []
    perturbing = [label for label in _labels_of(values) if label not in controls and label.casefold() not in UNLABELLED]
    gene_of, note = join_guides(perturbing, keys.guide_suffix, genes)
    single = [label for label in perturbing if label not in gene_of and "+" not in label]
    notes += filter(None, (note, note_combinations(single, genes)))

    def canonical(label: str) -> str:
        parts = [label] if label in gene_of else label.split("+")
        return canonical_perturbation("+".join(gene_of.get(part.strip(), part) for part in parts), controls)

    return translate(values, canonical, keep=controls), notes


def _joined_by_plus(obs: pd.DataFrame, column: str) -> tuple[pd.Series, int]:
    """The column, with ``A+B`` for scPerturb's ``A_B`` where `nperts` says 2, and the number of such cells."""
    values = obs[column]
    if "nperts" not in obs:
        return values, 0
    text = translate(values, str)
    n_parts = pd.to_numeric(obs["nperts"], errors="coerce")
    several = (text.str.count("_") + 1 == n_parts) & (n_parts > 1) & ~text.str.contains("+", regex=False)
    if not several.any():
        return values, 0
    return values.astype(str).where(~several, text.str.replace("_", "+")), int(several.sum())


def _column(obs: pd.DataFrame, key: str | None, what: str) -> str | None:
    """The column that the user named, or one of a usual name, rather one that varies; None where there is none."""
    if key:
        return require_column(obs, key, what)
    candidates = _usual_columns(obs, what)
    columns = [column for column in candidates if obs[column].nunique(dropna=False) > 1] or candidates[:1]
    return _same_or_error(obs, dict.fromkeys(columns, ()), what) if columns else None


def _usual_columns(obs: pd.DataFrame, what: str) -> list[str]:
    usual, rarer = COLUMN_NAMES[what]
    return find_columns(obs, usual) or find_columns(obs, rarer)[:1]


def _same_or_error(obs: pd.DataFrame, columns: Mapping[str, Sequence[str]], what: str) -> str:
    """The first of the columns (name -> its control labels), if all part the cells alike, with the same controls."""

    def groups(column: str) -> np.ndarray:
        controls = columns[column]
        name = str if what != "perturbation" else lambda label: canonical_perturbation(label, controls)
        values = _joined_by_plus(obs, column)[0] if what == "perturbation" else obs[column]
        labels = translate(values, name, keep=controls)
        return np.where(labels == CONTROL, -1, pd.factorize(labels)[0])

    first, *others = columns
    for other in others:
        if (groups(first) != groups(other)).any():
            msg = (
                f"two obs columns may name the {what}: {first!r} and {other!r}, and they differ. "
                f"Use --{what}-key {shlex.quote(first)} or --{what}-key {shlex.quote(other)}."
            )
            raise DataError(msg, option=f"--{what}-key {shlex.quote(first)}")
    return first
