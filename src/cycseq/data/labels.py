"""The names that users' files already bear, and what they mean here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from cycseq.errors import DataError, unknown_name

CONTROL = "control"
PERTURBATION_NAMES = ("perturbation", "condition", "target_gene", "gene", "target", "label", "cls", "drug")
CONTEXT_NAMES = ("context", "cell_line", "cell_type", "celltype")
BATCH_NAMES = ("batch", "gem_group", "donor", "replicate", "bio_rep")
CONTROL_NAMES = (
    "control",
    "ctrl",
    "non-targeting",
    "NT",
    "NegCtrl",
    "DMSO",
    "DMSO_TF",
    "vehicle",
    "unperturbed",
    "unstimulated",
)


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
    """Label of the control cells; several are joined by commas."""


@dataclass(frozen=True)
class FoundLabels:
    """What the labels of a file mean."""

    obs: pd.DataFrame
    """Columns `perturbation` (`control`, `A`, `A+B` sorted), `context`, `batch`, all str."""
    notes: tuple[str, ...]
    """What was chosen, in sentences to print."""


def canonical_perturbation(label: str, controls: Iterable[str]) -> str:
    """`ctrl+A`, `A+ctrl` and `A` are `A`; `B+A` is `A+B`; any control label is `control`.

    A label with an empty part (``"IFN+"``) is a name, not a combination.
    """
    known = {name.casefold() for name in controls} | {CONTROL}
    if label.strip().casefold() in known:
        return CONTROL
    parts = [part.strip() for part in label.split("+")]
    if not all(parts):
        return label.strip()
    return "+".join(sorted({part for part in parts if part.casefold() not in known})) or CONTROL


def find_labels(obs: pd.DataFrame, keys: ObsKeys, *, default_context: str) -> FoundLabels:
    """Choose the columns of perturbation, context and batch, and translate their labels.

    Parameters
    ----------
    obs
        One row per cell.
    keys
        What the user said; the rest is found by alias (case does not count).
    default_context
        The context of all cells where no column names one.

    Raises
    ------
    DataError
        If no column or two different columns fit, a named column is absent, no control label is found, or
        cells have no label.
    """
    notes: list[str] = []
    column, controls = _perturbation_column(obs, keys)
    labels = _strings(obs, column, "perturbation")
    translation = {label: canonical_perturbation(label, controls) for label in labels.unique()}
    perturbation = labels.map(translation)
    n_control = int((perturbation == CONTROL).sum())
    said = ", ".join(repr(c) for c in controls)
    notes.append(f"perturbation <- obs[{column!r}]; control = {said} ({n_control:,} cells)")

    context_column = (keys.context and _named(obs, keys.context, "context")) or _single(obs, CONTEXT_NAMES, "context")
    if context_column:
        context = _strings(obs, context_column, "context")
        notes.append(f"context <- obs[{context_column!r}] ({context.nunique()} contexts)")
    else:
        context = pd.Series(default_context, index=obs.index, dtype=str)
        notes.append(
            f"context: no column names one, so all cells are {default_context!r} (--context-key names a column)"
        )

    batch_column = (keys.batch and _named(obs, keys.batch, "batch")) or _single(obs, BATCH_NAMES, "batch")
    if batch_column:
        batch = obs[batch_column].astype(object).where(obs[batch_column].notna(), "unknown").astype(str)
        notes.append(f"batch <- obs[{batch_column!r}] ({batch.nunique()} batches)")
    else:
        batch = pd.Series("0", index=obs.index, dtype=str)
        notes.append("batch: no column names one, so all cells are one batch (--batch-key names a column)")
    found = pd.DataFrame({"perturbation": perturbation, "context": context, "batch": batch}, index=obs.index)
    return FoundLabels(obs=found, notes=tuple(notes))


def find_columns(obs: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """The columns whose name is one of the usual names, in the order of those names; case does not count."""
    folded = {str(column).casefold(): str(column) for column in reversed(obs.columns)}
    return [folded[name.casefold()] for name in names if name.casefold() in folded]


def find_controls(labels: Iterable[str]) -> list[str]:
    """The labels that usually mean control, written as in the file."""
    usual = {name.casefold() for name in CONTROL_NAMES}
    return [label for label in labels if label.strip().casefold() in usual]


def _perturbation_column(obs: pd.DataFrame, keys: ObsKeys) -> tuple[str, list[str]]:
    if keys.perturbation:
        candidates = [_named(obs, keys.perturbation, "perturbation")]
    else:
        candidates = find_columns(obs, PERTURBATION_NAMES)
    if not candidates:
        msg = (
            f"no obs column names the perturbation: looked for {', '.join(PERTURBATION_NAMES)}; "
            f"found {', '.join(map(str, obs.columns)) or 'no columns'}. Say --perturbation-key COLUMN."
        )
        raise DataError(msg)
    fitting: dict[str, list[str]] = {}
    for column in candidates:
        labels = [str(label) for label in obs[column].dropna().unique()]
        controls = [c.strip() for c in keys.control.split(",")] if keys.control else find_controls(labels)
        present = [c for c in controls if c in labels]
        if present:
            fitting[column] = present
    if not fitting:
        column = candidates[0]
        labels = sorted(str(label) for label in obs[column].dropna().unique())
        if keys.control:
            raise unknown_name(keys.control, f"control label in obs[{column!r}]", labels, DataError)
        msg = (
            f"no control cells found in obs[{column!r}]: none of its {len(labels)} labels "
            f"({', '.join(labels[:6])}{', ...' if len(labels) > 6 else ''}) usually means control. Say --control LABEL."
        )
        raise DataError(msg)
    column = _same_or_error(obs, list(fitting), "perturbation")
    return column, fitting[column]


def _single(obs: pd.DataFrame, names: tuple[str, ...], what: str) -> str | None:
    candidates = find_columns(obs, names)
    varying = [column for column in candidates if obs[column].nunique(dropna=False) > 1]
    if varying or candidates:
        return _same_or_error(obs, varying or candidates[:1], what)
    return None


def _same_or_error(obs: pd.DataFrame, columns: list[str], what: str) -> str:
    """The first of the columns, if all of them part the cells alike."""
    first = pd.factorize(obs[columns[0]])[0]
    for other in columns[1:]:
        if (first != pd.factorize(obs[other])[0]).any():
            msg = (
                f"two obs columns may name the {what}: {columns[0]!r} and {other!r}, and they differ. "
                f"Say --{what}-key {columns[0]} or --{what}-key {other}."
            )
            raise DataError(msg)
    return columns[0]


def _named(obs: pd.DataFrame, column: str, what: str) -> str:
    if column not in obs.columns:
        raise unknown_name(column, f"obs column for the {what}", map(str, obs.columns), DataError)
    return column


def _strings(obs: pd.DataFrame, column: str, what: str) -> pd.Series:
    values = obs[column]
    missing = values.isna() | (values.astype(str).str.strip() == "")
    if missing.any():
        msg = (
            f"{int(missing.sum()):,} of {len(obs):,} cells have no {what} in obs[{column!r}] "
            f"(first: {obs.index[missing][0]}). Label them, or leave them out with --drop-unlabelled true."
        )
        raise DataError(msg)
    return values.astype(str).str.strip()
