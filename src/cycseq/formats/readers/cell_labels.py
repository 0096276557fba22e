"""Labels that lie in a table of their own: one row per cell, such as GEO's `cell_identities`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.data.label_columns import find_columns
from cycseq.data.usual_names import BATCH_NAMES, PERTURBATION_NAMES, perturbation_of_guides
from cycseq.errors import DataError, count_of
from cycseq.formats.readers.base import BARCODE, FileContents, read_labels

MOSTLY = 0.5  # share of barcodes from which on a column is taken for one that names cells


def with_labels(loaded: FileContents, path: Path) -> FileContents:
    """The cells that a table of labels names, with its columns; by order where the file does not name its cells."""
    adata = loaded.adata
    table = read_labels(path, None if loaded.unnamed else adata.obs_names)
    if loaded.unnamed or table.index.name is None:
        _check_order(path, table, adata.obs_names, unnamed=loaded.unnamed)
        mask = np.ones(adata.n_obs, dtype=bool)
        if table.index.name is not None:
            adata.obs_names = pd.Index(table.index, name=None)
        lacking = "the cells have no names" if loaded.unnamed else "it does not name the cells"
        how = f"BY ORDER, as {lacking}: its first row labels the first cell"
    else:
        twice = table.index[table.index.duplicated()]
        if len(twice):
            msg = f"{path} names {count_of(len(twice), 'cell')} twice (first: {twice[0]}): give one row for each cell."
            raise DataError(msg)
        single = np.ones(
            len(table), dtype=bool
        )  # barcodes that GEO's `cell_identities` takes for one well-covered cell
        if "number_of_cells" in table:
            single &= (table["number_of_cells"] == 1).to_numpy()
        if "good_coverage" in table:
            single &= (table["good_coverage"].astype(str).str.casefold() == "true").to_numpy()
        mask = adata.obs_names.isin(table.index[single])
        _check_names(path, table.index, adata.obs_names)
        table = table.reindex(adata.obs_names)
        how = "by the names of the cells"
    if "guide_identity" in table and not find_columns(table, PERTURBATION_NAMES):
        guides = table["guide_identity"]
        names = {guide: perturbation_of_guides(str(guide)) for guide in guides.dropna().unique()}
        table = table.assign(perturbation=guides.map(names))
    lanes = ["gem_group"] if "gem_group" in adata.obs and find_columns(table, BATCH_NAMES) else []
    old = adata.obs.drop(columns=[*lanes, *adata.obs.columns.intersection(table.columns)])
    adata.obs = pd.concat([old, table.set_axis(adata.obs_names)], axis=1)
    notes = [*loaded.notes, f"labels <- {path.name}, {how}"]
    if not mask.all():
        n_lost = f"{int((~mask).sum()):,} of {len(mask):,}"
        notes.append(f"{n_lost} cells are assigned to no perturbation there, or not named, and were left out")
        adata = adata[mask].copy()
    return FileContents(adata, loaded.format, tuple(notes), loaded.layers, path, loaded.unnamed)


def _check_order(path: Path, table: pd.DataFrame, cells: pd.Index, *, unnamed: bool) -> None:
    """Raise `DataError` if a table cannot label the cells by their order: it holds names after all, or too many or few rows."""
    for column in table.columns[[not pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]]:
        if not unnamed and table[column].astype(str).str.match(BARCODE).mean() > MOSTLY:
            raise _names_no_cell(path, pd.Index(table[column].astype(str)), cells)
    if len(table) != len(cells):
        msg = f"{path} has {len(table):,} rows, but there are {len(cells):,} cells: give one row for each cell."
        raise DataError(msg)


def _check_names(path: Path, names: pd.Index, cells: pd.Index) -> None:
    """Raise `DataError` if a table names none of the cells, or agrees with them only by chance, or in part."""
    lacking, beyond = cells[~cells.isin(names)], names[~names.isin(cells)]
    if len(lacking) == len(cells):
        raise _names_no_cell(path, names, cells)
    if not len(lacking) or not len(beyond):
        return
    if _only_numbered(cells):
        raise DataError(
            f"{path} has a row for cell {beyond[0]!r} and none for {lacking[0]!r}, and the cells are only numbered, from {cells[0]} to "
            f"{cells[-1]}: one of them may be counted from another start. Give one row for each cell with these numbers, or without any "
            "(labels go by order then)."
        )
    alike = _without_endings(lacking).isin(_without_endings(beyond)).sum()
    if 2 * alike > len(lacking):
        raise DataError(
            f"{path} names {len(cells) - len(lacking):,} of the {len(cells):,} cells. Without endings such as -1, {alike:,} more would "
            f"agree ({lacking[0]!r}, and there {beyond[0]!r}): give both the same endings."
        )


def _only_numbered(cells: pd.Index) -> bool:
    """Whether the names of the cells are numbers in order, from 0 or 1: what cells without names are called."""
    numbered = [pd.RangeIndex(start, start + len(cells)).astype(str) for start in (0, 1)]
    return any(cells.equals(names) for names in numbered)


def _without_endings(names: pd.Index) -> pd.Index:
    bare: pd.Index = names.astype(str).str.replace(r"-\d+$", "", regex=True)
    return bare


def _names_no_cell(path: Path, names: pd.Index, cells: pd.Index) -> DataError:
    """The error for a table whose names are others than those of the cells."""
    if not len(cells) or not len(names):
        return DataError(
            f"{path} names none of the {count_of(len(cells), 'cell')}: {'there are none' if len(names) else 'it has no rows'}."
        )
    alike = int(_without_endings(cells).isin(_without_endings(names)).sum())
    ending = f" Without endings such as -1, {alike:,} would agree: give both the same endings." if alike else ""
    return DataError(
        f"{path} names none of the {len(cells):,} cells: they are called, for example, {cells[0]!r}, and there {names[0]!r}.{ending}"
    )
