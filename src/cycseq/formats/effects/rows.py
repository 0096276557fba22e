"""Whether the rows of a table are conditions, each with its effect, or cells: by their labels and by some values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cycseq.data.label_columns import find_columns
from cycseq.data.treatments import parse_dose
from cycseq.data.usual_names import BATCH_NAMES, DOSES, TIMES, kind_of_control, usual_kind
from cycseq.formats.effects.names import CONTEXTS, PERTURBATIONS
from cycseq.formats.effects.scales import same_values_in_each_row
from cycseq.formats.readers.base import BARCODE
from cycseq.formats.settings import ReadSettings

SAMPLE_ROWS = 20  # rows whose values are looked at
ROWS_PER_CONDITION = 1.5  # tables of effects have hardly more rows than conditions (with their batches); cells are many


def label_names(columns: Iterable[str], settings: ReadSettings) -> list[str]:
    """The columns that may tell one condition from another, that of the perturbation first; none where there is none of these."""
    names = list(columns)
    obs = pd.DataFrame(
        np.empty((0, len(names)), dtype=object), columns=names
    )  # made column by column, it takes minutes
    key = settings.perturbation_key
    perturbations = [*([key] if key is not None and key in obs else []), *find_columns(obs, PERTURBATIONS)]
    others = find_columns(obs, (*CONTEXTS, *BATCH_NAMES, *DOSES, *TIMES))
    return list(dict.fromkeys([*perturbations, *others])) if perturbations else []


def rows_are_conditions(labels: pd.DataFrame, row_names: Iterable[str]) -> bool:
    """Whether no row is a control, and nearly every row is a condition of its own.

    `row_names` are columns that only repeat the perturbation, or hold barcodes: they do not count.
    """
    if labels.empty:
        return False
    rows, (perturbation, *others) = set(row_names), labels.columns
    few = labels.iloc[:SAMPLE_ROWS]  # columns that hold the rows' own names, or barcodes, do not count
    names_cells = {n for n in others if len(few) and (rows.issuperset(few[n]) or all(map(BARCODE.fullmatch, few[n])))}
    labels = labels[[perturbation, *(name for name in others if name not in names_cells)]]
    if len(labels) > ROWS_PER_CONDITION * len(labels.drop_duplicates()):
        return False
    doses = {dose for column in find_columns(labels, DOSES) for dose in labels[column].unique()}
    untreated = any(kind_of_control(dose) or ((d := parse_dose(dose)) is not None and d.number == 0) for dose in doses)
    return not untreated and not any(map(usual_kind, labels[perturbation].unique()))


def are_differences(sample: np.ndarray) -> bool:
    """Whether some values are missing or below zero, or every row holds the same ones in another order: scores of ranks."""
    return bool(np.isnan(sample).any() or (sample < 0).any()) or same_values_in_each_row(sample)
