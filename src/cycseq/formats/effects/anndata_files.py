"""Effects in h5ad and zarr files, ours and others'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.effects import EFFECT_LAYERS, EFFECT_SCALES, KIND, Effects, EffectValues
from cycseq.data.mark import mark_of
from cycseq.data.validate import check_size, float32, gene_symbols
from cycseq.errors import DataError, FileError, unknown_name
from cycseq.formats.effects.table import ERRORS, EffectTable
from cycseq.formats.load import load
from cycseq.formats.settings import ReadSettings
from cycseq.matrix.arrays import to_dense

OUR_OBS = ("context", "perturbation", "dose", "time", "n_cells")


def written_by_cycseq(adata: ad.AnnData) -> bool:
    """Whether the data bear cycseq's mark of effects."""
    return mark_of(adata).get("kind") == KIND


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


def load_anndata(path: Path, settings: ReadSettings) -> tuple[ad.AnnData, EffectTable]:
    """The AnnData of a file with all layers that effects have, and as a table."""
    loaded = load(path, settings)
    adata = loaded.adata
    check_size(adata)
    names = [name for name in loaded.layers if name in {*EFFECT_LAYERS, "sd"} or name.casefold() in ERRORS]
    here = settings.layer
    layers = {name: _dense(load(path, replace(settings, layer=name)).adata) for name in names if name != here}
    values = _dense(adata)
    dense = ad.AnnData(X=values, obs=adata.obs, var=adata.var, uns=adata.uns, layers=layers)
    return dense, table_of_anndata(dense, here or "", loaded.format)


def table_of_anndata(adata: ad.AnnData, source: str, words: str) -> EffectTable:
    """An AnnData of conditions x genes as a table of effects."""
    names, column = gene_symbols(adata.var)
    se = next((name for name in adata.layers if name.casefold() in ERRORS), None)
    notes = [f"genes are named by var[{column!r}]"] if column else []
    notes += [f"standard errors <- layer {se!r}"] if se else []
    return EffectTable(
        values=_dense(adata),
        obs=adata.obs,
        genes=pd.Index(names.astype(str)),
        se=None if se is None else to_float32(adata.layers[se]),
        uns=adata.uns,
        source=source,
        format=words,
        notes=tuple(notes),
    )


def to_float32(values: object) -> EffectValues:
    """Rows x genes, dense; what a sparse matrix leaves out is 0."""
    matrix = float32(values)
    if sp.issparse(matrix) and np.prod(matrix.shape, dtype=np.int64) > 1 << 33:
        msg = f"the table is too large to hold in memory: {matrix.shape[0]:,} rows x {matrix.shape[1]:,} genes."
        raise FileError(msg)
    return to_dense(matrix)


def _dense(adata: ad.AnnData) -> EffectValues:
    return to_float32(adata.X)
