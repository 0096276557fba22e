"""File formats that are read: one family, one file, one line in `READERS`."""

from __future__ import annotations

from cycseq.formats.readers import anndata_files, array_files, cycseq_folder, labelled_folder, tables, ten_x
from cycseq.formats.readers.base import Reader

READERS: tuple[Reader, ...] = (
    anndata_files.H5AD, anndata_files.ZARR, ten_x.FOLDER, ten_x.H5, tables.TABLE, array_files.ARRAY, labelled_folder.LABELLED,
    cycseq_folder.CYCSEQ,
)  # fmt: skip
"""The first that fits a path reads it."""
