"""Tables of perturbations inside an AnnData file: `obsm["X_pert_..."]`, a row for each cell, and tables in `uns`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from cycseq.data.usual_names import PERTURBATION_NAMES
from cycseq.errors import DataError
from cycseq.formats.readers.contained import check_h5

PREFIX = "X_pert_"
FEWEST_COLUMNS = 2  # numbers that a table of `uns` must give each name
NamedRows = tuple[list[str], np.ndarray]


def tables_in_anndata(path: Path) -> dict[str, NamedRows]:
    """Names and values of every table of perturbations in the file, by its key; expression is not read.

    A table of `uns` is a data frame of numbers, or vectors of one length by name. Raises `DataError` if there is none, or cells
    of one perturbation differ in it.
    """
    with h5py.File(path) as file:
        check_h5(file, path)
        keys = [key for key in file.get("obsm", {}) if key.startswith(PREFIX)]
        tables = {key.removeprefix(PREFIX): _of_cells(file, key, path) for key in keys}
        for key, stored in file.get("uns", {}).items():
            table = _named_rows(ad.io.read_elem(stored)) if isinstance(stored, h5py.Group) else None
            if table is not None:
                tables[key] = table
    if not tables:
        msg = f"{path} holds no knowledge: expected obsm['{PREFIX}...'], or a table of vectors by name in uns."
        raise DataError(msg)
    return tables


def _of_cells(file: Any, key: str, path: Path) -> NamedRows:
    """One row for each perturbation; raises `DataError` where its cells have several."""
    obs = ad.io.read_elem(file["obs"])
    column = next((name for name in PERTURBATION_NAMES if name in obs), None)
    if column is None:
        msg = f"{path}: obsm[{key!r}] has a row for each cell, but obs has no column {' or '.join(PERTURBATION_NAMES[:3])}."
        raise DataError(msg)
    labels = obs[column].astype(str)
    values = pd.DataFrame(np.asarray(ad.io.read_elem(file[f"obsm/{key}"]), dtype=np.float64), index=labels)
    first = values.groupby(level=0, sort=True).first()
    differ = ~np.isclose(values.to_numpy(), first.loc[labels].to_numpy(), equal_nan=True).all(axis=1)
    if differ.any():
        msg = f"{path}: cells of {labels.iloc[int(differ.argmax())]!r} differ in obsm[{key!r}], where all should have one row."
        raise DataError(msg)
    return first.index.tolist(), first.to_numpy()


def _named_rows(element: Any) -> NamedRows | None:
    """A data frame of numbers, or a table of vectors of one length; None for anything else."""
    if isinstance(element, pd.DataFrame):
        plain = element.shape[1] >= FEWEST_COLUMNS and all(kind.kind in "fiu" for kind in element.dtypes)
        return (element.index.astype(str).tolist(), element.to_numpy(dtype=np.float64)) if plain else None
    if not isinstance(element, dict) or len(element) < FEWEST_COLUMNS:
        return None
    vectors = [np.asarray(vector) for vector in element.values()]
    shape = vectors[0].shape
    alike = all(vector.dtype.kind in "fiu" and vector.shape == shape for vector in vectors)
    if not alike or len(shape) != 1 or shape[0] < FEWEST_COLUMNS:
        return None
    return list(map(str, element)), np.stack(vectors).astype(np.float64)
