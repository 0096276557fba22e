"""Files -> `PerturbationData`: a table of readers, one for each family of formats."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import anndata as ad

from cycseq.data.dataset import PerturbationData
from cycseq.errors import FileError
from cycseq.formats.readers import anndata_files, array_files, cycseq_folder, tables, ten_x
from cycseq.formats.readers.base import Loaded, Reader, with_genes
from cycseq.formats.readers.cell_labels import with_labels
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import existing_file
from cycseq.io.special_files import refuse_special

__all__ = ["READERS", "Loaded", "checked", "load", "read", "read_anndata"]

READERS: tuple[Reader, ...] = (
    anndata_files.H5AD,
    anndata_files.ZARR,
    ten_x.FOLDER,
    ten_x.H5,
    tables.TABLE,
    array_files.ARRAY,
    cycseq_folder.CYCSEQ,
)
"""The first that fits a path reads it."""


def read(path: Path | str, settings: ReadSettings | None = None) -> PerturbationData:
    """Read any known format and check it.

    Parameters
    ----------
    path
        A file, a folder, or for 10x matrices what the names of their files begin with.
    settings
        What is not to be found by itself.

    Returns
    -------
    PerturbationData
        Cells x genes, float32, sparse where the file is; its `notes` say what was found and chosen.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    DataError
        If labels, names or values are not what they must be.
    """
    settings = settings or ReadSettings()
    return checked(load(path, settings), settings, default_context(Path(path)))


def checked(loaded: Loaded, settings: ReadSettings, context: str) -> PerturbationData:
    """What was loaded, through the door; `context` is that of all cells where nothing names one. Raises as `read` does."""
    data = PerturbationData.from_anndata(
        loaded.adata,
        keys=settings.keys(),
        scale=settings.scale,
        default_context=settings.context_name or context,
        make_unique=settings.make_unique,
        drop_unlabelled=settings.drop_unlabelled,
        drop_empty=settings.drop_empty,
        layers=loaded.layers,
    )
    return PerturbationData(adata=data.adata, scale=data.scale, notes=(*loaded.notes, *data.notes))


def read_anndata(path: Path | str, settings: ReadSettings | None = None) -> ad.AnnData:
    """Read any known format as it is: labels and values are not looked at. Raises as `read` does."""
    return load(path, settings or ReadSettings()).adata


def load(path: Path | str, settings: ReadSettings) -> Loaded:
    """Read any known format, with the cells' labels that lie in a table beside it."""
    path = refuse_special(Path(path))
    reader = next((reader for reader in READERS if reader.fits(path)), None)
    if reader is not ten_x.FOLDER:
        existing_file(path)
    if reader is None:
        what = (
            "a folder without a known layout"
            if path.is_dir()
            else f"a file of unknown kind ({path.suffix or 'no suffix'})"
        )
        msg = f"{path} is {what}. Known are: {'; '.join(reader.looks_like for reader in READERS)}."
        raise FileError(msg)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")  # the door's error says so, with its cure
        loaded = with_genes(reader.read(path, settings), settings)
        table = settings.labels_file or loaded.labels
        return loaded if table is None else with_labels(loaded, table)


def default_context(path: Path) -> str:
    """The name of a file or folder without its endings, or of the beginning of 10x files' names; all of it UTF-8."""
    name = ten_x.MATRIX.sub("", path.name) or path.resolve().parent.name
    while (shorter := Path(name)).suffix.lower() in {
        ".gz",
        ".csv",
        ".tsv",
        ".txt",
        ".h5ad",
        ".h5mu",
        ".zarr",
        ".h5",
        ".npy",
        ".npz",
    }:
        name = shorter.stem
    return os.fsencode(name).decode("utf-8", "replace").strip("_.-") or "all"
