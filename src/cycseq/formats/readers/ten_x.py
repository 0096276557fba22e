"""10x Genomics' matrices: folders or prefixes of matrix.mtx, barcodes.tsv, features.tsv, and `.h5` (v2 and v3)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp

from cycseq.data.validate import check_sparse, symbols_or_ids
from cycseq.errors import FileError, join_names
from cycseq.formats.readers.base import EXPRESSION, FileContents, Reader, as_read_error, read_csv
from cycseq.formats.readers.contained import check_h5, holds
from cycseq.formats.settings import ReadSettings
from cycseq.io.untrusted import check_unpacked, open_unpacked

MATRIX = re.compile(r"matrix\.mtx(\.gz)?$")
BYTES_OF_ENTRY = 16  # what an entry of a Matrix Market file takes in memory while it is read: row, column and value


def fits_folder(path: Path) -> bool:
    """A folder that holds a matrix, the matrix itself, or what the names of its three files begin with."""
    return any(_matrices(path))


def fits_h5(path: Path) -> bool:
    """An HDF5 file with group `matrix` (v3), or with a group for each genome (v2)."""
    if path.suffix not in {".h5", ".hdf5"} or not path.is_file() or not h5py.is_hdf5(path):
        return path.suffix in {".h5", ".hdf5"}
    with as_read_error(path, "10x h5"), h5py.File(path) as file:
        groups = (file[name] for name in file if holds(file, name))
        return any(isinstance(group, h5py.Group) and holds(group, "barcodes") for group in groups)


def read_folder(path: Path, settings: ReadSettings) -> FileContents:
    """Read three files of one matrix; `path` is the folder, the matrix, or the beginning of their names."""
    matrices = sorted(_matrices(path))
    if len(matrices) > 1:
        prefixes = [str(m.parent / MATRIX.sub("", m.name)) for m in matrices]
        msg = f"{path} holds {len(matrices)} matrices: name one of them by how its files begin: {join_names(prefixes)}."
        raise FileError(msg)
    matrix = matrices[0]
    prefix = MATRIX.sub("", matrix.name)
    barcodes_file = _beside(matrix, prefix, ("barcodes.tsv",))
    features_file = _beside(matrix, prefix, ("features.tsv", "genes.tsv"))
    with as_read_error(matrix, "a Matrix Market file"):
        n_rows, n_columns = _claimed_shape(matrix)
    with as_read_error(barcodes_file, "a list of barcodes"):
        barcodes = read_csv(barcodes_file, "\t", header=None, dtype=str)[0]
    with as_read_error(features_file, "a list of genes"):
        features = read_csv(features_file, "\t", header=None, dtype=str)
    for file, n, expected, what in ((barcodes_file, len(barcodes), n_columns, "columns"),
                                    (features_file, len(features), n_rows, "rows")):  # fmt: skip
        if n != expected:
            raise FileError(
                f"{file} has {n:,} lines, but {matrix.name} has {expected:,} {what}: they belong to different matrices."
            )
    with as_read_error(matrix, "a Matrix Market file"), open_unpacked(matrix) as text:
        x = sp.csr_matrix(sp.coo_matrix(scipy.io.mmread(_Forward(text))).T, dtype=np.float32)
    ids = features[0]
    symbols = features[1] if features.shape[1] > 1 else ids
    types = features[2] if features.shape[1] > 2 else None
    adata, notes = _assemble(x, barcodes, ids, symbols, types)
    return FileContents(adata, format="10x folder", notes=notes, labels=_identities(matrix.parent, prefix))


def read_h5(path: Path, settings: ReadSettings) -> FileContents:
    """Read Cell Ranger's `.h5`, version 2 or 3."""
    with as_read_error(path, "10x h5"), h5py.File(path) as file:
        check_h5(file, path)
        groups = [name for name in file if "barcodes" in file[name]]
        if len(groups) > 1:
            msg = f"{path} holds {len(groups)} genomes ({', '.join(groups)}): give the 10x folder of one of them."
            raise FileError(msg)
        group = file[groups[0]]
        features = group.get("features")
        ids, symbols = (group["genes"], group["gene_names"]) if features is None else (features["id"], features["name"])
        types = None if features is None else features.get("feature_type")
        n_genes, n_cells = group["shape"][:]
        x = sp.csr_matrix((group["data"][:].astype(np.float32), group["indices"][:], group["indptr"][:]),
                          shape=(n_cells, n_genes))  # fmt: skip
        check_sparse(x)
        names = _texts(group["barcodes"]), _texts(ids), _texts(symbols)
        adata, notes = _assemble(x, *names, None if types is None else _texts(types))
    version = "version 2" if features is None else "version 3"
    return FileContents(adata, format=f"10x h5, {version}", notes=notes, labels=_identities(path.parent, path.stem))


def _claimed_shape(matrix: Path) -> tuple[int, int]:
    """Rows and columns by the matrix's header; SciPy makes room for all entries that it claims before it reads one.

    Dense matrices, which 10x never writes, are refused: SciPy 1.17 crashes at one with a line too many or too few.
    """
    with open_unpacked(matrix) as text:
        n_rows, n_columns, n_entries, layout, field, _ = scipy.io.mminfo(_Forward(text))
    if layout != "coordinate" or field == "complex":
        msg = f"{matrix} holds a matrix of the kind {layout} {field}: 10x matrices are of the kind coordinate integer."
        raise FileError(msg)
    check_unpacked(matrix, n_entries * BYTES_OF_ENTRY)
    return n_rows, n_columns


class _Forward:
    """A text that can only be read on, and ends with a line.

    SciPy 1.17 ends the process where it seeks in vain, or a last line has more on it than it should have and no end; and at a
    zero byte, which `open_unpacked` refuses.
    """

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.file, self.ended = file, False

    def read(self, n: int = -1) -> bytes:
        text = self.file.read(n)
        if text or self.ended or not n:
            return text
        self.ended = True
        return b"\n"


def _matrices(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in path.iterdir() if MATRIX.search(file.name))
    elif path.is_file():
        yield from [path] if MATRIX.search(path.name) else []
    elif path.parent.is_dir():
        pattern = re.compile(re.escape(path.name) + r"[_.-]?" + MATRIX.pattern)
        yield from (file for file in path.parent.iterdir() if pattern.match(file.name))


def _beside(matrix: Path, prefix: str, names: tuple[str, ...]) -> Path:
    for name in names:
        for ending in ("", ".gz"):
            if (file := matrix.parent / f"{prefix}{name}{ending}").is_file():
                return file
    raise FileError(
        f"{matrix.parent / prefix}{names[0]} (or .gz{', or ' + names[1] if names[1:] else ''}) is missing beside "
        f"{matrix.name}: a 10x matrix needs its barcodes.tsv and its features.tsv or genes.tsv."
    )


def _identities(folder: Path, prefix: str) -> Path | None:
    """The `cell_identities` beside a matrix whose name begins as the matrix's does; the longest such beginning wins."""
    fitting = [
        (len(begins), file)
        for file in sorted(folder.glob("*cell_identities.csv*"))
        if prefix.startswith(begins := file.name.partition("cell_identities")[0].rstrip("_"))
    ]
    return max(fitting)[1] if fitting else None


def _assemble(
    x: sp.csr_matrix, barcodes: pd.Series, ids: pd.Series, symbols: pd.Series, types: pd.Series | None
) -> tuple[ad.AnnData, tuple[str, ...]]:
    """Cells x genes named by symbols; what is not gene expression is left out; lanes become `gem_group`."""
    notes: tuple[str, ...] = ()
    names = symbols_or_ids(pd.Index(ids), symbols)
    if types is not None and (types != EXPRESSION).any() and (types == EXPRESSION).any():
        genes = (types == EXPRESSION).to_numpy()
        left_out = ", ".join(f"{n:,} of {kind}" for kind, n in types[~genes].value_counts().items())
        notes = (f"features other than {EXPRESSION} were left out: {left_out}",)
        x, names, ids = x[:, genes], names[genes], ids[genes]
    obs = pd.DataFrame(index=pd.Index(barcodes.to_numpy()))
    lane = barcodes.str.extract(r"-(\d+)$")[0]
    if lane.notna().all() and lane.nunique() > 1:
        obs["gem_group"] = lane.to_numpy()
    return ad.AnnData(X=x, obs=obs, var=pd.DataFrame({"gene_id": ids.to_numpy()}, index=names)), notes


def _texts(dataset: Any) -> pd.Series:
    return pd.Series(dataset.asstr()[:], dtype=object)


SHOWN = "FOLDER or PREFIX with matrix.mtx, barcodes.tsv, features.tsv (.gz)"
FOLDER = Reader("10x folder", SHOWN, fits_folder, read_folder)
H5 = Reader("10x h5", "FILE.h5", fits_h5, read_h5)
