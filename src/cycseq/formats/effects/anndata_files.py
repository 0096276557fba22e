"""Effects in h5ad and zarr files, ours and others'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import scipy.sparse as sp

from cycseq.data.effects import EFFECT_LAYERS, EFFECT_SCALES, KIND, Effects, EffectValues
from cycseq.data.mark import mark_of
from cycseq.data.validate import check_size, float32
from cycseq.errors import DataError, FileError, unknown_name
from cycseq.formats.effects.names import ERRORS
from cycseq.formats.load import load
from cycseq.formats.readers.base import FileContents
from cycseq.formats.settings import ReadSettings
from cycseq.matrix.arrays import to_dense

OUR_OBS = ("context", "perturbation", "dose", "time", "n_cells")


def written_by_cycseq(adata: ad.AnnData) -> bool:
    """Whether the data bear cycseq's mark of effects."""
    kind = mark_of(adata).get("kind")
    return isinstance(kind, str) and kind == KIND


def read_ours(adata: ad.AnnData) -> Effects:
    """Effects that cycseq wrote.

    Raises `DataError` if columns lack, the scale is none, or values are what no effects can be: the file was altered.
    """
    lacking = [name for name in OUR_OBS if name not in adata.obs]
    if lacking:
        msg = f"the file says that cycseq wrote effects into it, but obs lacks {', '.join(lacking)}: it was altered."
        raise DataError(msg)
    scale = str(mark_of(adata).get("scale"))
    if scale not in EFFECT_SCALES:
        raise unknown_name(scale, "scale of effects", EFFECT_SCALES, DataError)
    effects = Effects(adata, scale, (f"scale: {scale} (as cycseq wrote it)",))  # type: ignore[arg-type]
    again = Effects.from_arrays(effects.effect, effects.conditions(), effects.genes, scale=effects.scale)
    adata.obs_names = again.adata.obs_names
    return effects


def load_anndata(path: Path, settings: ReadSettings) -> FileContents:
    """Rows x genes of a file, dense, with all layers that effects have."""
    loaded = load(path, settings)
    adata, asked = loaded.adata, settings.layer
    check_size(adata)
    names = [name for name in loaded.layers if name in {*EFFECT_LAYERS, "sd"} or name.casefold() in ERRORS]
    layers = {name: to_float32(load(path, replace(settings, layer=name)).adata.X) for name in names if name != asked}
    return FileContents(ad.AnnData(X=to_float32(adata.X), obs=adata.obs, var=adata.var, uns=adata.uns, layers=layers))


def to_float32(values: object) -> EffectValues:
    """Rows x genes, dense; what a sparse matrix leaves out is 0."""
    matrix = float32(values)
    if sp.issparse(matrix) and np.prod(matrix.shape, dtype=np.int64) > 1 << 33:
        msg = f"the table is too large to hold in memory: {matrix.shape[0]:,} rows x {matrix.shape[1]:,} genes."
        raise FileError(msg)
    return to_dense(matrix)
