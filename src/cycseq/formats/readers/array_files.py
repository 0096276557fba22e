"""NPY and NPZ with a file of gene names; also the layout of CycSeq's own NPY files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.validate import check_indices
from cycseq.errors import DataError, count_of
from cycseq.formats.readers.base import FileContents, Reader, as_read_error, read_genes
from cycseq.formats.settings import ReadSettings
from cycseq.io.numpy_files import open_npz, read_npy

GENES_BESIDE = (".genes.txt", "_genes.txt", ".genes.csv")
MATRIX_NAMES = ("X", "x", "counts", "arr_0")
GENE_NAMES = ("genes", "var_names", "gene_names")
CELL_NAMES = ("cells", "obs_names", "barcodes")


def fits(path: Path) -> bool:
    """Whether the name of the file says so."""
    return path.suffix in {".npy", ".npz"}


def read_array(path: Path, settings: ReadSettings) -> FileContents:
    """Read one array, never a pickle.

    NPY: cells x genes, or CycSeq's rows = expression ++ 0/1 of every gene, 1 where it is perturbed ++ 0/1 of every
    batch. NPZ: what `scipy.sparse.save_npz` wrote, or named arrays: `X`, `genes`, `cells`, and any array with one
    entry for each cell as a column of obs.
    """
    if path.suffix == ".npz":
        return _read_npz(path, settings)
    with as_read_error(path, "an array (pickled objects are refused)"):
        x = read_npy(path)
    return _named(x, _genes(path, settings), pd.DataFrame(), settings, "NPY")


def _read_npz(path: Path, settings: ReadSettings) -> FileContents:
    with as_read_error(path, "arrays (pickled objects are refused)"), open_npz(path) as arrays:
        if "format" in arrays and "shape" in arrays:
            x: Any = sp.csr_matrix(check_indices(sp.load_npz(path)))
            return _named(x, _genes(path, settings), pd.DataFrame(), settings, "sparse NPZ")
        name = next((name for name in MATRIX_NAMES if name in arrays), None)
        if name is None:
            raise DataError(f"{path} holds no matrix: expected an array named X, found {', '.join(arrays) or 'none'}.")
        x = arrays[name]
        n_cells = x.shape[-1 if settings.orientation == "genes-by-cells" else 0]
        inside = next((arrays[n] for n in GENE_NAMES if n in arrays), None)
        genes = _genes(path, settings) if inside is None or settings.genes_file else pd.Index(inside.astype(str))
        cells = next((arrays[n].astype(str) for n in CELL_NAMES if n in arrays), None)
        columns = {
            key: arrays[key]
            for key in arrays
            if key not in {*MATRIX_NAMES, *GENE_NAMES, *CELL_NAMES} and arrays[key].shape == (n_cells,)
        }
    return _named(x, genes, pd.DataFrame(columns, index=cells), settings, "NPZ")


def _genes(path: Path, settings: ReadSettings) -> pd.Index:
    beside = next((f for ending in GENES_BESIDE if (f := path.with_name(path.stem + ending)).is_file()), None)
    file = settings.genes_file or beside
    if file is None:
        msg = f"{path} names no genes: use --genes-file FILE, a file of one gene per line in the order of the columns."
        raise DataError(msg, option="--genes-file FILE")
    return read_genes(file)


def _named(x: Any, genes: pd.Index, obs: pd.DataFrame, settings: ReadSettings, what: str) -> FileContents:
    """Put names to an array whose columns are the genes, or CycSeq's three blocks."""
    if x.ndim != 2 or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        msg = f"the array has shape {x.shape} and type {x.dtype}: expected two dimensions of numbers, cells x genes."
        raise DataError(msg)
    x = x.T if settings.orientation == "genes-by-cells" else x
    unnamed = obs.index.dtype != object or not len(obs)
    n_cells, n_columns = x.shape
    notes: tuple[str, ...] = ()
    indicators = x[:, len(genes) :]
    values = indicators.data if sp.issparse(indicators) else indicators
    if n_columns >= 2 * len(genes) > 0 and bool(((values == 0) | (values == 1)).all()):
        obs, notes = _cycseq_labels(indicators, genes)
        x, what = np.ascontiguousarray(x[:, : len(genes)]), "NPY of CycSeq"
    elif n_columns != len(genes):
        option = "--orientation genes-by-cells" if n_cells == len(genes) else ""
        cure = f"It has as many rows: use {option}." if option else "Name its columns with --genes-file FILE."
        msg = f"the array has {n_columns:,} columns, but {len(genes):,} genes are named. {cure}"
        raise DataError(msg, option=option)
    if unnamed:
        obs.index = pd.Index([f"cell{i}" for i in range(n_cells)])
        obs = obs if len(obs.columns) else pd.DataFrame(index=obs.index)
    adata = ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=genes))
    return FileContents(adata, format=what, notes=notes, unnamed=unnamed)


def _cycseq_labels(indicators: Any, genes: pd.Index) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Perturbation and batch of every row from its 0/1 indicators."""
    dense = np.asarray(indicators.toarray() if sp.issparse(indicators) else indicators)
    perturbed, batch = dense[:, : len(genes)] == 1, dense[:, len(genes) :] == 1
    patterns, of_cell = np.unique(perturbed, axis=0, return_inverse=True)
    labels = np.array(["+".join(sorted(genes[pattern])) or "control" for pattern in patterns], dtype=object)
    batches = np.where(batch.any(axis=1), batch.argmax(axis=1).astype(str), "unknown") if batch.shape[1] else "0"
    obs = pd.DataFrame({"perturbation": labels[of_cell.ravel()], "batch": batches})
    return obs, (
        f"CycSeq's layout: {len(genes):,} genes, their 0/1 indicators, {count_of(batch.shape[1], 'batch', 'batches')}",
    )


ARRAY = Reader("array", "FILE.npy or .npz with --genes-file FILE", fits, read_array)
