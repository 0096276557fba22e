"""Hash, measure, write and load all values of a data set, in memory or on the disk."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import scipy.sparse as sp

from cycseq.io.checksums import write_checksums
from cycseq.io.hdf5 import write_h5ad
from cycseq.matrix.arrays import Matrix, by_block, in_memory, load


def write_adata(adata: ad.AnnData, path: Path) -> None:
    """Write to h5ad, or zarr if the path ends so, with checksums; stored values block by block."""
    if path.suffix == ".zarr":
        adata.write_zarr(path)
        write_checksums(path, sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()))
    else:
        write_h5ad(adata, path)


def with_parts(adata: ad.AnnData, **parts: Any) -> ad.AnnData:
    """The same data with some of its parts (`obs`, `uns`, ...) replaced; nothing is copied."""
    same = {name: dict(getattr(adata, name)) for name in ("uns", "obsm", "varm", "layers")}
    return ad.AnnData(**({"X": adata.X, "obs": adata.obs, "var": adata.var} | same | parts))


def load_adata(adata: ad.AnnData) -> ad.AnnData:
    """The same object with its values in memory: it is changed."""
    if not in_memory(adata.X):
        adata.X = load(adata.X)
        for name in adata.layers:
            adata.layers[name] = load(adata.layers[name])
    return adata


def digests(x: Matrix) -> list[bytes]:
    """Hashes of the values, of their columns and of where each cell's end; of a dense matrix the first alone."""
    values, columns, ends = (hashlib.blake2b(digest_size=16) for _ in range(3))
    is_sparse, last = False, np.zeros(1, dtype=np.int64)
    block: Any
    for _, block in by_block(x, load):
        is_sparse = sp.issparse(block)
        if not is_sparse:
            values.update(np.ascontiguousarray(block).data)
            continue
        values.update(np.ascontiguousarray(block.data).data)
        columns.update(np.ascontiguousarray(block.indices.astype(np.int32)).data)
        block_ends = last + block.indptr[1:]
        ends.update(np.ascontiguousarray(block_ends).data)
        last = block_ends[-1:] if len(block_ends) else last
    return [part.digest() for part in ((values, columns, ends) if is_sparse else (values,))]


def max_bytes(adata: ad.AnnData) -> int:
    """What the data take at most when written; of stored values, by those of the first block."""
    if in_memory(adata.X):
        return sys.getsizeof(adata)
    first = load(adata.X[: adata.X.chunks[0][0]])
    n_bytes = first.nbytes if isinstance(first, np.ndarray) else first.data.nbytes + first.indices.nbytes
    return int(n_bytes * adata.n_obs / max(1, first.shape[0]) * (1 + len(adata.layers)))
