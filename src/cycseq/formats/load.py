"""Files of any known format as they are: the reader that fits, with labels and gene names beside it; nothing is validated."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import anndata as ad

from cycseq.errors import FileError
from cycseq.formats.readers import READERS, ten_x
from cycseq.formats.readers.anndata_files import from_memory
from cycseq.formats.readers.base import FileContents, gene_expression_alone, with_genes
from cycseq.formats.readers.cell_labels import with_labels
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import require_file
from cycseq.io.special_files import refuse_special

ENDINGS = {".gz", ".csv", ".tsv", ".txt", ".h5ad", ".h5mu", ".zarr", ".h5", ".npy", ".npz", ".parquet", ".gct"}
"""What a context that is named by its file does not end in."""


def read_anndata(path: Path | str, settings: ReadSettings | None = None) -> ad.AnnData:
    """The values and labels of a file of any known format, without validation. Raises as `cycseq.read` does."""
    return load(path, settings).adata


def load(source: Path | str | ad.AnnData, settings: ReadSettings | None = None) -> FileContents:
    """Read any known format, with the cells' labels that lie in a table beside it; an AnnData is taken as it is."""
    if isinstance(source, ad.AnnData):
        return gene_expression_alone(from_memory(source, settings or ReadSettings()))
    path, settings = refuse_special(Path(source)), settings or ReadSettings()
    reader = next((reader for reader in READERS if reader.fits(path)), None)
    if reader is not ten_x.FOLDER:
        require_file(path)
    if reader is None:
        kind = f"a file of unknown kind ({path.suffix or 'no suffix'})"
        what = "a folder without a known layout" if path.is_dir() else kind
        raise FileError(f"{path} is {what}. Known formats: {'; '.join(reader.looks_like for reader in READERS)}.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*names are not unique")  # validation refuses them, with a cure
        contents = gene_expression_alone(with_genes(reader.read(path, settings), settings))
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
