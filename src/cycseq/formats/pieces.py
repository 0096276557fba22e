"""Data that come piece by piece and are written as they come: memory holds one piece, and the labels of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from cycseq.data.dataset import DATA_ENDINGS, PerturbationData
from cycseq.data.mark import with_sample
from cycseq.data.posterior import CONDITIONS
from cycseq.data.validate import OBS
from cycseq.data.values import write_adata
from cycseq.formats.readers.stored import open_stored
from cycseq.io.files import atomic_write, check_output
from cycseq.matrix.stored import concatenated


def write_pieces(
    pieces: Iterable[ad.AnnData],
    path: Path,
    *,
    overwrite: bool = False,
    finish: Callable[[ad.AnnData], None] = lambda adata: None,
) -> ad.AnnData:
    """Write cells that come in pieces to h5ad or zarr, whole or not at all.

    The values of each piece go to a file of their own at once, and from these files to the last one: so much disk space
    is needed twice while it is written. Pieces have the same genes and layers; what stands in `varm` (genes x something) stands side
    by side in the end, and `uns` is that of the first piece. `finish` is called with the whole before it is written, and adds what
    only all pieces together tell. Returned is the whole, without values.
    """
    check_output(path, overwrite=overwrite, endings=DATA_ENDINGS)
    with atomic_write(path, overwrite=overwrite) as part:
        labels: list[ad.AnnData] = []
        values: dict[str, list[Any]] = {}
        for i, piece in enumerate(pieces):
            labels.append(ad.AnnData(obs=piece.obs, var=piece.var, uns=piece.uns, obsm=piece.obsm, varm=piece.varm))
            file_of_piece = part.with_name(f"piece{i}.h5ad")
            ad.AnnData(X=piece.X, layers=piece.layers).write_h5ad(file_of_piece)
            with h5py.File(file_of_piece) as file:
                for name in ("X", *(f"layers/{layer}" for layer in piece.layers)):
                    values.setdefault(name.removeprefix("layers/"), []).append(open_stored(file[name], piece.n_obs))
        first = labels[0]
        obs = pd.concat([piece.obs.astype(dict.fromkeys(OBS, str)) for piece in labels])
        for name in [*OBS, *obs.select_dtypes("object").columns]:
            obs[name] = pd.Categorical(obs[name])
        adata = ad.AnnData(
            X=concatenated(values.pop("X")),
            obs=obs,
            var=first.var,
            uns=dict(first.uns),
            obsm={name: np.concatenate([piece.obsm[name] for piece in labels]) for name in first.obsm},
            varm={name: np.concatenate([piece.varm[name] for piece in labels], axis=1) for name in first.varm},
            layers={name: concatenated(parts) for name, parts in values.items()},
        )
        finish(adata)
        write_adata(with_sample(adata), part)
    return ad.AnnData(obs=adata.obs, var=adata.var, uns=adata.uns, varm=adata.varm)


def write_predictions(pieces: Iterable[PerturbationData], path: Path, *, overwrite: bool = False) -> ad.AnnData:
    """Write predicted cells that come in pieces; a single piece is written as it is. Arguments as of `write_pieces`."""
    rest = iter(pieces)
    first, second = next(rest), next(rest, None)
    if second is None:
        first.write(path, overwrite=overwrite)
        return first.adata
    conditions: list[str] = []

    def noted() -> Iterator[ad.AnnData]:
        for piece in chain([first, second], rest):
            conditions.extend(piece.adata.uns.get(CONDITIONS, ()))
            yield piece.adata

    def name_columns(adata: ad.AnnData) -> None:
        if conditions:
            adata.uns[CONDITIONS] = conditions

    return write_pieces(noted(), path, overwrite=overwrite, finish=name_columns)
