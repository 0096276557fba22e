"""From anybody's checked counts to log1p data that models can learn from: QC, normalisation, genes, ComBat, metacells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import anndata as ad
import numpy as np
from jaxtyping import Bool

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import TARGET_SUM, empty_cells
from cycseq.data.validate import PAIR
from cycseq.data.values import with_parts
from cycseq.errors import DataError, count_of, was
from cycseq.matrix.arrays import CellMask, PerCell
from cycseq.matrix.blocks import submatrix
from cycseq.preparation.batch_correction import correct_batches
from cycseq.preparation.merge import merge
from cycseq.preparation.metacells import metacells
from cycseq.preparation.normalise import library_sizes, log_normalised
from cycseq.preparation.selection import check_contexts, check_names, choose_cells, choose_genes, drop_small_conditions
from cycseq.preparation.settings import PrepareSettings, check_settings


def prepare(
    inputs: Sequence[PerturbationData], settings: PrepareSettings | None = None, names: Sequence[str] | None = None
) -> PerturbationData:
    """Make one data set of log1p values (natural logarithm of 1 + counts per 10,000) out of checked inputs.

    In this order: cells and conditions are dropped; several inputs become one (`merge`); counts are normalised by the
    cell's library size over all genes of its input; genes are chosen; ComBat; metacells. What is chosen by looking at
    values (genes) looks at control cells and at perturbed cells that are not held out; ComBat looks at control cells.

    Parameters
    ----------
    inputs
        Counts, or log1p values, which are then not normalised again. They are not changed.
    settings
        What to do; the defaults keep all cells and 2,000 variable genes.
    names
        What the inputs are called, for messages and for the batches of several inputs.

    Returns
    -------
    PerturbationData
        log1p; CSR float32 (dense after ComBat or metacells, and where the input was). obs `total_counts` is the
        library size, so that counts are ``rint(expm1(x) * total_counts / 10,000)``. `notes` say in sentences what was
        done and dropped; ``uns["cycseq"]`` keeps settings and notes (`PerturbationData.provenance`).

    Raises
    ------
    DataError
        If inputs do not fit together, a context has no or one control cell, or nothing is left.
    SettingsError
        If a setting makes no sense for these data.

    Examples
    --------
    >>> import cycseq
    >>> counts = cycseq.read("counts.h5ad")
    >>> data = cycseq.prepare([counts], cycseq.PrepareSettings(genes=50, hold_out=("Line3",)))
    >>> data.scale, len(data.genes) >= 50
    ('log1p', True)
    """
    settings = settings or PrepareSettings()
    check_settings(settings)
    for data in inputs:
        refuse_scaled(data)
    check_names(inputs, (*settings.leave_out, *settings.hold_out))
    data, rows, empty_notes = _merge_inputs(inputs, settings, names)
    check_contexts(data, rows)
    large = drop_small_conditions(data, rows, settings.min_cells_per_condition)
    genes = choose_genes(data, large.kept, settings)
    prepared = _normalised(data, large.kept, genes.kept, notes=(*data.notes, *empty_notes, *large.notes, *genes.notes))
    check_contexts(prepared, np.ones(prepared.n_cells, dtype=bool))
    if settings.combat:
        prepared = correct_batches(prepared, spread=settings.combat_spread)
    if settings.metacells:
        prepared = metacells(prepared, settings.metacell_cells, settings.metacell_draws, settings.seed)
    new = [note for note in prepared.notes if all(note not in source.notes for source in inputs)]
    prepared.adata.uns["cycseq"] |= {"prepare": json.dumps(asdict(settings)), "prepare_notes": json.dumps(new)}
    return prepared


def _merge_inputs(
    inputs: Sequence[PerturbationData], settings: PrepareSettings, names: Sequence[str] | None
) -> tuple[PerturbationData, CellMask, tuple[str, ...]]:
    """The inputs as one, which of its cells are taken, and notes on inputs of which none are."""
    parts: list[PerturbationData] = []
    rows: list[CellMask] = []
    part_names: list[str] = []
    notes: list[str] = []
    for i, data in enumerate(inputs):
        sizes = library_sizes(data.x) if data.scale == "counts" else None
        selection = choose_cells(data, sizes, settings)
        if selection.kept.any():
            parts.append(_with_sizes(data, sizes, selection.notes))
            rows.append(selection.kept)
            part_names += [names[i]] if names else []
        else:
            notes += selection.notes
    if not parts:
        raise DataError(f"no cells are left: {'; '.join(notes)}. Leave out less (--leave-out).")
    if len(parts) == 1:
        return parts[0], rows[0], tuple(notes)
    merged = merge([part if r.all() else part.take(r) for part, r in zip(parts, rows, strict=True)], part_names or None)
    return merged, np.ones(merged.n_cells, dtype=bool), tuple(notes)


def as_log1p(data: PerturbationData) -> PerturbationData:
    """The same cells and genes as log1p of counts per 10,000: what `prepare` does to values, and nothing else.

    log1p values are returned as they are. A split knows its data by a hash of their values, so counts are parted first and
    normalised after (`cycseq.run.parts.log1p_parts`). Raises `DataError` if the values are scaled.
    """
    refuse_scaled(data)
    if data.scale == "log1p":
        return data
    if not data.n_cells:
        return PerturbationData(adata=data.adata, scale="log1p", notes=data.notes)
    all_cells = np.ones(data.n_cells, dtype=bool)
    with_sizes = _with_sizes(data, library_sizes(data.x))
    return _normalised(with_sizes, all_cells, np.ones(len(data.genes), dtype=bool), notes=data.notes)


def refuse_scaled(data: PerturbationData) -> None:
    """Raise `DataError` for standardised genes."""
    if data.scale == "scaled":
        msg = "the data are scaled (standardised genes), which cannot be undone: give counts or log1p values."
        raise DataError(msg)


def _with_sizes(data: PerturbationData, sizes: PerCell | None, notes: tuple[str, ...] = ()) -> PerturbationData:
    """The same data with the library sizes as obs columns; the matrix is shared, not copied."""
    obs = data.adata.obs.copy()
    if sizes is not None:
        obs["total_counts"] = sizes
        if PAIR in data.adata.layers:
            obs["pair_total_counts"] = library_sizes(data.adata.layers[PAIR])
    return PerturbationData(with_parts(data.adata, obs=obs), data.scale, (*data.notes, *notes))


def _normalised(
    data: PerturbationData, rows: CellMask, genes: Bool[np.ndarray, "genes"], notes: tuple[str, ...]
) -> PerturbationData:
    """These cells and genes, normalised; the only copy of the values that is made."""
    source = data.adata
    adata = ad.AnnData(
        X=submatrix(data.x, rows, genes),
        obs=source.obs[rows].copy(),
        var=source.var[genes].copy(),
        uns=dict(source.uns),
        obsm={name: values[rows] for name, values in source.obsm.items()},
        varm={name: values[genes] for name, values in source.varm.items()},
        layers={name: submatrix(layer, rows, genes) for name, layer in source.layers.items()},
    )
    record = {**adata.uns.get("cycseq", {}), "scale": "log1p"}
    if data.scale == "counts":
        adata.X = log_normalised(adata.X, adata.obs["total_counts"].to_numpy(np.float64))
        if PAIR in adata.layers:
            adata.layers[PAIR] = log_normalised(adata.layers[PAIR], adata.obs["pair_total_counts"].to_numpy(np.float64))
        record["target_sum"] = TARGET_SUM
        notes += (f"counts were normalised to {TARGET_SUM:,.0f} a cell, then log1p (natural logarithm)",)
    else:
        notes += ("the values are log1p already: they were not normalised again",)
    adata.uns["cycseq"] = record
    empty = empty_cells(adata.X)
    if empty.all():
        msg = "no cell has a count in the genes that were kept: keep more with --genes all."
        raise DataError(msg, option="--genes all")
    if n_empty := int(empty.sum()):
        adata = adata[~empty].copy()
        notes += (f"{count_of(n_empty, 'cell')} without a count in the genes that were kept {was(n_empty)} dropped",)
    return PerturbationData(adata=adata, scale="log1p", notes=notes)
