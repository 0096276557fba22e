"""Files of any known format -> `PerturbationData`: the reader that fits, labels and gene names beside it, validation."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import anndata as ad

from cycseq.data.dataset import PerturbationData
from cycseq.errors import FileError
from cycseq.formats.readers import READERS, ten_x
from cycseq.formats.readers.anndata_files import from_memory
from cycseq.formats.readers.base import FileContents, with_genes
from cycseq.formats.readers.cell_labels import with_labels
from cycseq.formats.settings import ReadSettings
from cycseq.formats.treated_cells import validate_treatments
from cycseq.io.files import require_file
from cycseq.io.special_files import refuse_special
from cycseq.settings import with_options

ENDINGS = {".gz", ".csv", ".tsv", ".txt", ".h5ad", ".h5mu", ".zarr", ".h5", ".npy", ".npz", ".parquet", ".gct"}
"""What a context that is named by its file does not end in."""


def read(source: Path | str | ad.AnnData, settings: ReadSettings | None = None, **options: Any) -> PerturbationData:
    """Read any known format, or take an AnnData, and check it.

    Parameters
    ----------
    source
        A file, a folder, or for 10x matrices what the names of their files begin with; or cells x genes in memory, which are
        not changed.
    settings
        What is not to be found by itself.
    options
        The same by name: ``perturbation_key="condition"``, ``context_key="patient"``, ``control="ctrl"`` and all other fields
        of `ReadSettings`.

    Returns
    -------
    PerturbationData
        Cells x genes, float32, sparse where the file is; its `notes` say which labels and which scale were chosen.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    DataError
        If labels, names or values are not what they must be.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> data.n_cells, data.contexts, data.scale
    (900, ('Line1', 'Line2', 'Line3'), 'log1p')
    """
    settings = with_options(settings or ReadSettings(), options, "read")
    contents, context = load(source, settings), default_context(source)
    if settings.doses == "separate":
        return validate_treatments(contents, settings, context)
    return contents.validate(settings, context)


def read_anndata(path: Path | str, settings: ReadSettings | None = None) -> ad.AnnData:
    """Read any known format as it is, without validation. Raises as `read` does."""
    return load(path, settings).adata


def load(source: Path | str | ad.AnnData, settings: ReadSettings | None = None) -> FileContents:
    """Read any known format, with the cells' labels that lie in a table beside it; an AnnData is taken as it is."""
    if isinstance(source, ad.AnnData):
        return from_memory(source, settings or ReadSettings())
    path, settings = refuse_special(Path(source)), settings or ReadSettings()
    reader = next((reader for reader in READERS if reader.fits(path)), None)
    if reader is not ten_x.FOLDER:
        require_file(path)
    if reader is None:
        what = (
            "a folder without a known layout"
            if path.is_dir()
            else f"a file of unknown kind ({path.suffix or 'no suffix'})"
        )
        msg = f"{path} is {what}. Known formats: {'; '.join(reader.looks_like for reader in READERS)}."
        raise FileError(msg)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")  # validation refuses them, with a cure
        contents = with_genes(reader.read(path, settings), settings)
        table = settings.labels_file or contents.labels
        return contents if table is None else with_labels(contents, table)


def default_context(source: Path | str | ad.AnnData) -> str:
    """``all`` for cells in memory; else the name of a file or folder without its endings, or of the beginning of 10x files' names; all of it UTF-8."""
    if isinstance(source, ad.AnnData):
        return "all"
    path = Path(source)
    name = ten_x.MATRIX.sub("", path.name) or path.resolve().parent.name
    while (shorter := Path(name)).suffix.lower() in ENDINGS:
        name = shorter.stem
    return os.fsencode(name).decode("utf-8", "replace").strip("_.-") or "all"
