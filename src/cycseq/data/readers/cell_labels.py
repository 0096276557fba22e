"""Labels that lie in a table of their own: one row per cell, such as GEO's `cell_identities`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.data.labels import find_columns
from cycseq.data.readers.base import Loaded, read_labels
from cycseq.data.usual_names import BATCH_NAMES, PERTURBATION_NAMES, perturbation_of_guides
from cycseq.errors import DataError


def with_labels(loaded: Loaded, path: Path) -> Loaded:
    """The cells that a table of labels names, with its columns; by order where the file does not name its cells."""
    table = read_labels(path)
    adata = loaded.adata
    if loaded.unnamed or table.index.name is None:
        if len(table) != adata.n_obs:
            msg = f"{path} has {len(table):,} rows, but there are {adata.n_obs:,} cells: give one row for each cell."
            raise DataError(msg)
        kept = np.ones(adata.n_obs, dtype=bool)
        if table.index.name is not None:
            adata.obs_names = pd.Index(table.index, name=None)
    else:
        twice = table.index[table.index.duplicated()]
        if len(twice):
            msg = f"{path} names {len(twice):,} cells twice (first: {twice[0]}): give one row for each cell."
            raise DataError(msg)
        kept = adata.obs_names.isin(table.index[_single_cells(table)])
        table = table.reindex(adata.obs_names)
        if not kept.any():
            called = f"they are called, for example, {adata.obs_names[0]!r}" if adata.n_obs else "there are none"
            msg = f"{path} names none of the {adata.n_obs:,} cells: {called}."
            raise DataError(msg)
    table = _decoded(table)
    lanes = ["gem_group"] if "gem_group" in adata.obs and find_columns(table, BATCH_NAMES) else []
    old = adata.obs.drop(columns=[*lanes, *adata.obs.columns.intersection(table.columns)])
    adata.obs = pd.concat([old, table.set_axis(adata.obs_names)], axis=1)
    notes = [*loaded.notes, f"labels <- {path.name}"]
    if not kept.all():
        notes.append(
            f"{int((~kept).sum()):,} of {len(kept):,} cells are assigned to no perturbation there and were left out"
        )
        adata = adata[kept].copy()
    return Loaded(adata, loaded.format, tuple(notes), loaded.layers, path, loaded.unnamed)


def _single_cells(table: pd.DataFrame) -> np.ndarray:
    """Barcodes that GEO's `cell_identities` takes for one well-covered cell; all where it does not say."""
    single = np.ones(len(table), dtype=bool)
    if "number_of_cells" in table:
        single &= (table["number_of_cells"] == 1).to_numpy()
    if "good_coverage" in table:
        single &= (table["good_coverage"].astype(str).str.casefold() == "true").to_numpy()
    return single


def _decoded(table: pd.DataFrame) -> pd.DataFrame:
    """A column `perturbation` from `guide_identity` where no other column names it."""
    if "guide_identity" in table and not find_columns(table, PERTURBATION_NAMES):
        guides = table["guide_identity"]
        translation = {guide: perturbation_of_guides(str(guide)) for guide in guides.dropna().unique()}
        return table.assign(perturbation=guides.map(translation))
    return table
