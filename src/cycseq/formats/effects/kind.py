"""Whether a file holds effects of conditions or cells: told by what it says and by a few of its values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from cycseq.data.effects import KIND
from cycseq.data.label_columns import find_columns
from cycseq.data.mark import MARK
from cycseq.data.treatments import parse_dose
from cycseq.data.usual_names import BATCH_NAMES, CONTEXT_NAMES, PERTURBATION_NAMES, kind_of_control, usual_kind
from cycseq.data.validate import check_indices
from cycseq.formats.effects.scales import names_expression, same_values_in_each_row, scale_in_text, texts_of
from cycseq.formats.effects.table import CONTEXTS, PERTURBATIONS
from cycseq.formats.effects.treatments import DOSES, TIMES
from cycseq.formats.readers.anndata_files import fits_h5, fits_zarr
from cycseq.formats.readers.base import BARCODE, as_read_error
from cycseq.formats.readers.contained import check_h5
from cycseq.formats.readers.contained_zarr import open_zarr
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import existing_file
from cycseq.io.special_files import refuse_special

SAMPLE_ROWS = 20
"""Rows whose values are looked at."""
ROWS_PER_CONDITION = 1.5
"""Tables of effects have hardly more rows than conditions (with their batches); cells are many."""


def is_effects(path: Path | str, settings: ReadSettings | None = None) -> bool:
    """Whether a file is read by `cycseq.read_effects` rather than as cells; no more is read than is needed to tell.

    It is where cycseq wrote effects into it. Of other files it is where no row is a control and hardly any condition has two
    rows, if the file says that its values are fold changes, z-scores or ranks, or if values are missing, negative, or scores of
    ranks. Else it holds cells.

    Parameters
    ----------
    path
        A file of any format.
    settings
        `kind` says it; `layer` is where the values stand.

    Raises
    ------
    FileError
        If the file is missing or damaged.
    """
    settings = settings or ReadSettings()
    path = refuse_special(Path(path))
    if settings.kind is not None:
        return settings.kind == "effects"
    if not (fits_h5(path) or fits_zarr(path)) or path.suffix == ".h5mu":
        return False
    existing_file(path)
    with _group(path) as group:
        return _holds_effects(group, settings)


@contextmanager
def _group(path: Path) -> Iterator[Any]:
    """The members of an h5ad file or zarr store, looked at before values are read."""
    with as_read_error(path, "zarr" if fits_zarr(path) else "h5ad"):
        if fits_zarr(path):
            yield open_zarr(path)
            return
        with h5py.File(path) as file:
            check_h5(file, path)
            yield file


def _holds_effects(group: Any, settings: ReadSettings) -> bool:
    if not hasattr(group.get("obs"), "keys"):
        return False
    uns = group.get("uns", {})
    if MARK in uns:
        mark = _element(uns[MARK])
        return isinstance(mark, dict) and mark.get("kind") == KIND
    where = "X" if settings.layer in {None, "X"} else f"layers/{settings.layer}"
    if where not in group or not _rows_are_conditions(_labels(group["obs"], settings)):
        return False
    texts = texts_of({name: _element(uns[name]) for name in uns if not hasattr(uns[name], "keys")})
    if any(scale_in_text(text) for _, text in texts):
        return True
    if any(names_expression(text) for _, text in texts):
        return False
    return _differences(group[where])


def _labels(obs: Any, settings: ReadSettings) -> pd.DataFrame:
    """The columns of obs that may tell one condition from another, perturbations first; none that only names the rows again."""
    usual = (*PERTURBATION_NAMES, *PERTURBATIONS, *CONTEXT_NAMES, *CONTEXTS, *BATCH_NAMES, *DOSES, *TIMES)
    columns = [name for name in obs if not name.startswith("__")]
    names = [name for name in (settings.perturbation_key,) if name in columns]
    names += find_columns(pd.DataFrame(columns=columns), usual)
    labels = pd.DataFrame({name: pd.Series(_element(obs[name])).astype(str) for name in dict.fromkeys(names)})
    index = obs.attrs.get("_index")
    rows = set(map(str, _element(obs[index]))) if index in obs else set()
    return labels[[name for name in labels if not _names_cells(labels[name], rows)]]


def _names_cells(labels: pd.Series, rows: set[str]) -> bool:
    """Whether a column holds the rows' own names, or barcodes."""
    few = labels.iloc[:SAMPLE_ROWS]
    return bool(len(few)) and (rows.issuperset(few) or all(map(BARCODE.fullmatch, few)))


def _rows_are_conditions(labels: pd.DataFrame) -> bool:
    """Whether no row is a control, and nearly every row is a condition of its own."""
    perturbation = next(iter(labels.columns), None)
    if perturbation is None or not len(labels):
        return False
    if len(labels) > ROWS_PER_CONDITION * len(labels.drop_duplicates()):
        return False
    doses = {dose for column in find_columns(labels, DOSES) for dose in labels[column].unique()}
    untreated = any(kind_of_control(dose) or ((d := parse_dose(dose)) is not None and d.number == 0) for dose in doses)
    return not untreated and not any(map(usual_kind, labels[perturbation].unique()))


def _differences(values: Any) -> bool:
    """Whether some values are missing or below zero, or every row holds the same ones in another order: scores of ranks."""
    shape = values.attrs.get("shape", getattr(values, "shape", None))
    if shape is None:
        return False
    rows = np.unique(np.linspace(0, int(shape[0]) - 1, SAMPLE_ROWS).astype(np.int64))
    sample = (
        ad.io.sparse_dataset(values)[rows].toarray() if hasattr(values, "keys") else np.asarray(values[rows.tolist()])
    )
    if sample.dtype.kind != "f":
        return False
    return bool(np.isnan(sample).any() or (sample < 0).any()) or same_values_in_each_row(sample)


def _element(stored: Any) -> Any:
    return check_indices(ad.io.read_elem(stored))
