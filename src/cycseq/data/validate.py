"""Validation: what labels, names and values must be before they are `PerturbationData`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.absent_genes import note_absent_genes
from cycseq.data.control_labels import guess_controls
from cycseq.data.gene_names import are_identifiers, check_genes_are_no_cells, note_dates
from cycseq.data.labels import CellLabels, find_labels
from cycseq.data.mark import labels_as_written, labels_unchanged, mark_of, values_unchanged
from cycseq.data.scale import SCALES, TARGET_SUM, Scale, ValueSummary, check_finite, summarize_values
from cycseq.data.scale_decision import Decision, decide
from cycseq.data.settings import ObsKeys
from cycseq.data.spellings import note_genes_alike
from cycseq.data.usual_names import CONTROL, NO_CONTROL
from cycseq.errors import DataError, count_of, unknown_name, was
from cycseq.io.untrusted import CONTROL_CHARACTERS
from cycseq.matrix.arrays import CellMask, Matrix, in_memory

OBS = ("context", "perturbation", "batch")
PAIR = "true_pair"  # layer of simulated data: the same cell, perturbed; empty where a cell has no such pair
AS_NAMED = ("perturbation", "context", "batch")  # the columns of `OBS` in the order of `ObsKeys`
AS_WRITTEN = "labels as cycseq wrote them"
CHANGED = "the values are not those that cycseq wrote into this file"
RELABELLED = "the labels are not those that cycseq wrote into this file: they are read like those of any other"
REAL_NUMBERS = "biuf"  # kinds of arrays: bool, whole numbers, floating point
MAX_ROWS = 1 << 27  # a sparse matrix in memory has fewer cells and genes; one that claims more is damaged
SYMBOL_COLUMNS = ("gene_name", "gene_symbol", "gene_symbols", "feature_name", "symbol")


def validate(
    adata: ad.AnnData,
    keys: ObsKeys,
    *,
    scale: str | None,
    default_context: str,
    make_unique: bool,
    drop_unlabelled: bool,
    drop_empty: bool,
    layers: Sequence[str],
) -> tuple[ad.AnnData, Scale, tuple[str, ...]]:
    """The checked cells, their scale and notes on how it was found; see `PerturbationData.from_anndata`.

    `X` is copied once at most, and not at all if it is float32 (CSR or dense) and no cell is left out.
    """
    adata = adata.to_memory() if adata.isbacked else adata
    check_size(adata)
    labels = labels_of(adata, keys, default_context=default_context, drop_unlabelled=drop_unlabelled)
    x = float32(adata.X)
    values = summarize_values(x)
    decision = scale_of(adata, x, values, keys, user_scale=scale, layers=layers)
    x, chosen_scale = decision.converted(x), decision.scale
    notes = [f"scale: {chosen_scale} ({decision.reason})"]
    keep = labels.labelled & ~_empty(values, adata.obs_names, chosen_scale, labels.labelled, allowed=drop_empty)
    n_unlabelled = int((~labels.labelled).sum()) - labels.n_other_controls
    for what, n in (("label", n_unlabelled), ("single count", int((labels.labelled & ~keep).sum()))):
        notes += [f"{count_of(n, 'cell')} without a {what} {was(n)} left out"] if n else []
    if not keep.any():
        raise DataError("no cells are left: all are without a label or empty. Look at the file with cycseq inspect.")
    var = _var(adata.var, notes)
    notes += note_absent_genes(x, labels.obs, ("context", "batch")) if chosen_scale != "scaled" else []
    obs = _obs(adata.obs, labels)
    for name in OBS:
        check_names(obs.loc[keep, name].cat.remove_unused_categories().cat.categories, f"{name}s")
    for frame, what in ((obs, "cells"), (var, "genes")):
        check_names(frame.index, what)
        if make_unique:
            frame.index = pd.Index(ad.utils.make_index_unique(frame.index))
        duplicated(frame.index, what)
    out = ad.AnnData(X=x, obs=obs, var=var, uns=dict(adata.uns), obsm=dict(adata.obsm))
    if written_by_cycseq(adata, keys):
        out.varm.update(adata.varm)
        out.layers.update({name: float32(adata.layers[name]) for name in adata.layers if name == PAIR})
    out.uns["cycseq"] = {**mark_of(adata), "scale": chosen_scale}
    if decision.target_sum is not None:
        out.uns["cycseq"]["target_sum"] = decision.target_sum
    return out if keep.all() else out[keep].copy(), chosen_scale, (*labels.notes, *notes)


def written_by_cycseq(adata: ad.AnnData, keys: ObsKeys) -> bool:
    """Whether cycseq wrote the data and nothing else was said about their labels, which are then taken as they are."""
    return bool(mark_of(adata)) and keys == ObsKeys() and all(name in adata.obs for name in OBS)


def labels_of(adata: ad.AnnData, keys: ObsKeys, *, default_context: str, drop_unlabelled: bool) -> CellLabels:
    """The labels of the cells; see `find_labels`."""
    if written_by_cycseq(adata, keys):
        labels = adata.obs[list(OBS)].astype(str)
        if not labels_as_written(adata.obs[list(OBS)]) or not labels_unchanged(adata):
            columns = ObsKeys(*AS_NAMED, **_controls_of(list(labels["perturbation"].unique())))
            again = find_labels(adata.obs, columns, default_context=default_context, drop_unlabelled=drop_unlabelled)
            return replace(again, notes=(RELABELLED, *again.notes))
        return CellLabels(labels, np.ones(adata.n_obs, dtype=bool), notes=(AS_WRITTEN,))
    genes = {*adata.var_names.astype(str), *gene_symbols(adata.var)[0]}
    return find_labels(adata.obs, keys, default_context=default_context, drop_unlabelled=drop_unlabelled, genes=genes)


def _controls_of(perturbations: list[str]) -> dict[str, Any]:
    """What is said of the controls of a file whose labels were changed since cycseq wrote it."""
    if CONTROL in perturbations:
        return {"control": CONTROL, "other_controls": "keep"}
    return {} if guess_controls(perturbations) else {"control": NO_CONTROL}


def scale_of(
    adata: ad.AnnData, x: Matrix, values: ValueSummary, keys: ObsKeys, *, user_scale: str | None, layers: Sequence[str]
) -> Decision:
    """The scale and how it is known: as cycseq wrote it, as the user says, or found from the values (float32)."""
    mark_scale, unchanged = mark_of(adata).get("scale"), values_unchanged(adata)
    if written_by_cycseq(adata, keys) and mark_scale is not None and user_scale in (None, mark_scale):
        if mark_scale not in SCALES:
            raise unknown_name(str(mark_scale), "scale", SCALES, DataError)
        possible = mark_scale != "counts" or (
            not values.n_fractional and values.lowest >= 0
        )  # a sample is, and all may be
        if (unchanged or (unchanged is None and user_scale)) and possible:
            check_finite(values)
            return Decision(mark_scale, "as cycseq wrote it")
    if unchanged is not False:
        return decide(x, values, user_scale, layers=layers)
    try:
        decision = decide(x, values, user_scale, layers=layers)
    except DataError as err:
        raise DataError(f"{CHANGED}: {err}", option=err.option) from err
    if user_scale is None and decision.scale == mark_scale == "log1p" and decision.target_sum is None:
        msg = (
            f"{CHANGED}, and what fractional values are now they do not tell: give the file as cycseq wrote it, or use "
            f"--scale log1p if they are still ln(1 + counts per {TARGET_SUM:,.0f})."
        )
        raise DataError(msg, option="--scale log1p")
    return replace(decision, reason=f"{decision.reason}; {CHANGED}")


def check_size(adata: ad.AnnData) -> None:
    """Raise `DataError` if there are no cells, no genes or no values."""
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise DataError(f"the data are empty: {count_of(adata.n_obs, 'cell')} x {count_of(adata.n_vars, 'gene')}.")
    if adata.X is None:
        raise DataError("the file has no X. Use --layer NAME to take the values from a layer.", option="--layer NAME")


def float32(x: Any) -> Matrix:
    """CSR or dense float32 without duplicated or stored zero entries; the same memory where it was so already.

    Raises `DataError` if the values are not real numbers, or a sparse matrix is damaged.
    """
    if not in_memory(x):  # its reader has seen to it
        return x
    if getattr(x, "dtype", np.dtype(np.float32)).kind not in REAL_NUMBERS:
        raise DataError(f"the values are of type {x.dtype}, but must be real numbers: give counts or log1p values.")
    if not sp.issparse(x):
        return np.ascontiguousarray(x, dtype=np.float32)
    csr = sp.csr_matrix(check_indices(x), dtype=np.float32)
    if not (csr.has_canonical_format and np.count_nonzero(csr.data) == csr.nnz):
        csr = csr.copy() if csr.data is x.data or np.shares_memory(csr.data, x.data) else csr
        csr.sum_duplicates()
        csr.eliminate_zeros()
    return csr


def check_indices(values: Any) -> Any:
    """The values, if every sparse matrix among them (also inside of tables) says where its entries lie, and they lie inside.

    SciPy's compiled loops trust the index arrays and would read outside of them. Raises `DataError` if an index array is damaged.
    """
    if isinstance(values, Mapping):
        for value in values.values():
            check_indices(value)
    elif sp.issparse(values):
        try:
            check_sparse(values)
        except ValueError as err:
            msg = f"a sparse matrix is damaged: its indices do not fit its shape {values.shape} ({err})."
            raise DataError(msg) from err
    return values


def check_sparse(values: Any) -> None:
    """Raise `ValueError` if the index arrays of a sparse matrix lead outside of it."""
    if max(values.shape) > MAX_ROWS:
        raise ValueError(f"shape {values.shape}")
    if values.format in {"csr", "csc", "bsr"}:
        if (values.indptr[1:] < values.indptr[:-1]).any():  # SciPy looks only where the last one is above 0
            raise ValueError("index pointer values must form a non-decreasing sequence")
        values.check_format(full_check=True)
    elif values.format != "coo":  # COO checks itself
        raise ValueError(f"format {values.format}")


def duplicated(names: pd.Index, what: str) -> None:
    """Raise `DataError` if a name of the cells or genes occurs twice."""
    twice = names[names.duplicated()]
    if len(twice):
        msg = (
            f"{count_of(len(twice), f'{what[:-1]} has', f'{what} have')} a name that already occurred (first: {twice[0]}). "
            "Remove the duplicates, or add a suffix to them with --make-unique true."
        )
        raise DataError(msg, option="--make-unique true")


def check_names(names: pd.Index, what: str) -> None:
    """Raise `DataError` if a name is empty or holds what none may hold, such as the control characters of terminals."""
    all_names = "".join(names.tolist())
    if "" not in names and (all_names.isprintable() or CONTROL_CHARACTERS.search(all_names) is None):
        return
    bad = [name for name in names if not name or CONTROL_CHARACTERS.search(name)]
    msg = f"{count_of(len(bad), f'{what[:-1]} has', f'{what} have')} a name that is empty or holds control characters (first: {bad[0]!r}): rename them."
    raise DataError(msg)


def symbols_or_ids(ids: pd.Index, symbols: pd.Series) -> pd.Index:
    """Gene symbols; the identifier where a symbol is missing or belongs to several genes."""
    text = symbols.astype(str).to_numpy()
    unusable = pd.Series(text).duplicated(keep=False).to_numpy() | pd.isna(symbols).to_numpy() | (text == "")
    return pd.Index(np.where(unusable, ids.astype(str), text))


def _empty(values: ValueSummary, names: pd.Index, scale: Scale, labelled: np.ndarray, *, allowed: bool) -> CellMask:
    empty = np.zeros(len(names), dtype=bool) if scale == "scaled" else values.empty & labelled
    if empty.any() and not allowed:
        msg = (
            f"{count_of(int(empty.sum()), 'cell is', 'cells are')} empty (all values 0; first: {names[empty][0]}). "
            "Remove them from the file, or leave them out with --drop-empty true."
        )
        raise DataError(msg, option="--drop-empty true")
    return empty


def _obs(obs: pd.DataFrame, labels: CellLabels) -> pd.DataFrame:
    """The file's columns, texts as categories, with ours; a column whose name ours takes is kept under another."""
    out = obs.copy()
    out.index = pd.Index(out.index.astype(str), name=None)
    out.columns = out.columns.astype(str)
    for name in out.select_dtypes(["object", "string"]).columns:
        out[name] = pd.Categorical(out[name].where(out[name].isna(), out[name].astype(str)))
    for name in OBS:
        column = pd.Categorical(labels.obs[name])
        if name in out and not (out[name].astype(str).to_numpy() == np.asarray(column, dtype=str)).all():
            out[f"{name}_in_file"] = out[name]
        out[name] = column
    return out


def gene_symbols(var: pd.DataFrame) -> tuple[pd.Index, str | None]:
    """The names of the genes, and the column that they come from.

    Symbols take the place of Ensembl identifiers where the file has them (GEARS' var `gene_name`).
    """
    names = pd.Index(var.index.astype(str), name=None)
    column = next((name for name in SYMBOL_COLUMNS if name in var), None)
    if column is None or not are_identifiers(names):
        return names, None
    return symbols_or_ids(names, var[column]), column


def _var(var: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    out = var.copy()
    out.columns = out.columns.astype(str)
    names, column = gene_symbols(var)
    if column:
        out["gene_id"] = out.index.astype(str)
        notes.append(f"genes are named by var[{column!r}]")
    check_genes_are_no_cells(names.tolist())
    notes += filter(None, (note_dates(names), note_genes_alike(names)))
    out.index = names
    return out
