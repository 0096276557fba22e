"""h5ad, zarr and the `rna` part of h5mu, by anndata's own readers; only what is needed is loaded."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import pandas as pd

from cycseq.data.mark import SAMPLE
from cycseq.data.validate import PAIR, check_indices
from cycseq.errors import DataError, unknown_name
from cycseq.formats.readers.base import FileContents, Reader, as_read_error
from cycseq.formats.readers.contained import check_h5, holds
from cycseq.formats.readers.contained_zarr import open_zarr
from cycseq.formats.readers.stored import open_stored, values_of
from cycseq.formats.readers.zarr_chunks import check_chunks
from cycseq.formats.settings import ReadSettings
from cycseq.io.checksums import check_store
from cycseq.matrix.arrays import in_memory, max_rows


def fits_h5(path: Path) -> bool:
    """Whether it is an h5ad by its name, or a `.h5` file by its contents."""
    if path.suffix == ".h5" and path.is_file() and h5py.is_hdf5(path):
        with as_read_error(path, "h5ad"), h5py.File(path) as file:
            return holds(file, "obs", "var")
    return path.suffix in {".h5ad", ".h5mu"}


def fits_zarr(path: Path) -> bool:
    """Whether it is a zarr store, by its name or by the files in the folder."""
    return path.suffix == ".zarr" or any((path / name).exists() for name in (".zgroup", "zarr.json"))


def read_h5(path: Path, settings: ReadSettings) -> FileContents:
    """Read `.h5ad`, or modality `rna` of `.h5mu`."""
    with as_read_error(path, "h5ad"):
        with h5py.File(path) as file:
            check_h5(file, path)
            if path.suffix == ".h5mu":
                loaded = _read_group(file["mod/rna"], settings, f"h5mu, modality rna of {', '.join(file['mod'])}")
                shared: pd.DataFrame = ad.io.read_elem(file["obs"])
                shared = shared.reindex(loaded.adata.obs_names)
                loaded.adata.obs = loaded.adata.obs.join(shared[shared.columns.difference(loaded.adata.obs.columns)])
                return loaded
            if file.attrs.get("encoding-type") == "anndata":
                return _read_group(file, settings, "h5ad")
        whole = ad.read_h5ad(path)
        check_indices({"X": whole.X, "raw": whole.raw and whole.raw.X, **whole.layers, **whole.obsm, **whole.uns})
        return from_memory(whole, settings, "h5ad of an old version")


def read_zarr(path: Path, settings: ReadSettings) -> FileContents:
    """Read a zarr store that anndata wrote."""
    with as_read_error(path, "zarr"):
        store = open_zarr(path)
        check_store(path, "Write the store again, or copy it anew from where it came.")
        notes = check_chunks(store, path)
        loaded = _read_group(store, settings, "zarr")
        return replace(loaded, notes=(*loaded.notes, *notes))


def _read_group(group: Any, settings: ReadSettings, what: str) -> FileContents:
    """X, or the layer asked for, with obs, var, uns and obsm; what cycseq wrote besides; other layers stay on the disk."""
    elem = read_element
    kinds = ("layers", "raw", "obsm")
    inside = {name: set(group[name]) if hasattr(group.get(name), "keys") else set() for name in kinds}
    layers = (*sorted(inside["layers"]), *(["raw"] if "X" in inside["raw"] else []))
    where = _layer(settings.layer, (*layers, *(f"obsm/{name}" for name in sorted(inside["obsm"]))))
    x = values_of(group[where], settings.memory) if where in group else None
    var = elem(group["raw/var" if where == "raw/X" else "var"])
    others = {name: elem(group[name]) for name in ("uns", "obsm") if name in group}
    if where.startswith("obsm/"):
        var = _genes_of(where, elem(group[where]), var, others.get("uns", {}))
    if where != "X":
        _forget_scale(others.get("uns", {}))
    elif "cycseq" in others.get("uns", {}):
        others["varm"] = elem(group["varm"]) if "varm" in group else {}
        if PAIR in layers:  # where X stays in the file it does too, in the same blocks
            pair = group["layers"][PAIR]
            pairs = values_of(pair, settings.memory) if in_memory(x) else open_stored(pair, max_rows(x, 1))
            others["layers"] = {PAIR: pairs}
    adata = ad.AnnData(X=x, obs=elem(group["obs"]), var=var, **others)
    return FileContents(adata, format=what, layers=layers, notes=() if where == "X" else (f"values <- {where}",))


def read_element(stored: Any) -> Any:
    """One element in memory, its sparse matrices checked."""
    return check_indices(ad.io.read_elem(stored))


def from_memory(adata: ad.AnnData, settings: ReadSettings, what: str = "AnnData") -> FileContents:
    """Cells in memory: their X or the layer asked for; the AnnData itself stays as it is."""
    adata = adata.to_memory() if adata.isbacked else adata
    layers = (*adata.layers, *(["raw"] if adata.raw is not None else []))
    where = _layer(settings.layer, layers)
    if where == "raw/X":
        adata = ad.AnnData(X=adata.raw.X, obs=adata.obs, var=adata.raw.var, uns=adata.uns, obsm=adata.obsm)
    elif where != "X":
        values = adata.layers[where.removeprefix("layers/")]
        adata = ad.AnnData(X=values, obs=adata.obs, var=adata.var, uns=dict(adata.uns), obsm=adata.obsm)
    if where != "X":
        _forget_scale(adata.uns)
    return FileContents(adata, format=what, layers=layers, notes=() if where == "X" else (f"values <- {where}",))


def _forget_scale(uns: MutableMapping[str, Any]) -> None:
    """What cycseq wrote of the values is true of X only."""
    if "cycseq" in uns:
        uns["cycseq"] = {name: value for name, value in uns["cycseq"].items() if name not in {"scale", SAMPLE}}


def _layer(name: str | None, layers: tuple[str, ...]) -> str:
    if name is None or name == "X":
        return "X"
    if name not in layers:
        raise unknown_name(name, "layer", ("X", *layers), DataError)
    return "raw/X" if name == "raw" else name if name.startswith("obsm/") else f"layers/{name}"


def _genes_of(where: str, values: Any, var: pd.DataFrame, uns: MutableMapping[str, Any]) -> pd.DataFrame:
    """The genes of predictions in obsm: those of var, or what a table there or `uns["NAME_var_names"]` calls them."""
    n = values.shape[1]
    if isinstance(values, pd.DataFrame):
        return pd.DataFrame(index=values.columns.astype(str))
    if n == len(var):
        return var
    names = uns.get(f"{where.removeprefix('obsm/')}_var_names", ())
    if len(names) == n:
        return pd.DataFrame(index=pd.Index(names).astype(str))
    return pd.DataFrame(index=pd.RangeIndex(n).astype(str))


H5AD = Reader("h5ad", "FILE.h5ad (or .h5mu)", fits_h5, read_h5)
ZARR = Reader("zarr", "FOLDER.zarr", fits_zarr, read_zarr)
