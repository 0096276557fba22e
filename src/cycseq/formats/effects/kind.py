"""Whether a file holds effects of conditions or cells: told by what it says and by a few of its values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from cycseq.data.effects import KIND
from cycseq.data.mark import MARK
from cycseq.formats.effects.rows import SAMPLE_ROWS, are_differences, label_names, rows_are_conditions
from cycseq.formats.effects.scales import names_expression, scale_in_text, texts_of
from cycseq.formats.effects.tables.files import fits_table, table_holds_effects
from cycseq.formats.readers.anndata_files import fits_h5, fits_zarr, read_element
from cycseq.formats.readers.base import as_read_error
from cycseq.formats.readers.contained import check_h5
from cycseq.formats.readers.contained_zarr import open_zarr
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import require_file
from cycseq.io.special_files import refuse_special


def is_effects(path: Path | str, settings: ReadSettings | None = None) -> bool:
    """Whether a file is read by `cycseq.read_effects` rather than as cells; no more is read than is needed to tell.

    It is where cycseq wrote effects into it. Of other files it is where no row is a control and hardly any condition has two
    rows, if the file says that its values are fold changes, z-scores or ranks, or if values are missing, negative, or scores of
    ranks. Text tables hold effects as well where their columns are those of a tool for differential expression; GCT and
    Parquet files always. Else it holds cells.

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

    Examples
    --------
    >>> import cycseq
    >>> cycseq.is_effects("cells.h5ad")
    False
    """
    settings = settings or ReadSettings()
    path = refuse_special(Path(path))
    if settings.kind is not None:
        return settings.kind == "effects"
    if fits_table(path):
        return table_holds_effects(require_file(path), settings)
    if not (fits_h5(path) or fits_zarr(path)) or path.suffix == ".h5mu":
        return False
    require_file(path)
    if fits_zarr(path):
        with as_read_error(path, "zarr"):
            return _holds_effects(open_zarr(path), settings)
    with as_read_error(path, "h5ad"), h5py.File(path) as file:
        check_h5(file, path)
        return _holds_effects(file, settings)


def _holds_effects(group: Any, settings: ReadSettings) -> bool:
    if not hasattr(group.get("obs"), "keys"):
        return False
    uns = group.get("uns", {})
    if MARK in uns:
        mark = read_element(uns[MARK])
        kind = mark.get("kind") if isinstance(mark, dict) else None
        return isinstance(kind, str) and kind == KIND
    where = "X" if settings.layer in {None, "X"} else f"layers/{settings.layer}"
    obs = group["obs"]
    names = label_names((name for name in obs if not name.startswith("__")), settings)
    labels = pd.DataFrame({name: pd.Series(read_element(obs[name])).astype(str) for name in names})
    index = obs.attrs.get("_index")
    row_names = map(str, read_element(obs[index])) if index in obs else ()
    if where not in group or not rows_are_conditions(labels, row_names):
        return False
    texts = texts_of({name: read_element(uns[name]) for name in uns if not hasattr(uns[name], "keys")})
    if any(scale_in_text(text) for _, text in texts):
        return True
    return not any(names_expression(text) for _, text in texts) and _differences(group[where])


def _differences(values: Any) -> bool:
    """As of `are_differences`, of some rows."""
    shape = values.attrs.get("shape", getattr(values, "shape", None))
    if shape is None:
        return False
    rows = np.unique(np.linspace(0, int(shape[0]) - 1, SAMPLE_ROWS).astype(np.int64))
    is_sparse = hasattr(values, "keys")
    sample = ad.io.sparse_dataset(values)[rows].toarray() if is_sparse else np.asarray(values[rows.tolist()])
    return sample.dtype.kind == "f" and are_differences(sample)
