"""Metacells: averages of a few cells of one condition, CycSeq's samples."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.data.dataset import PerturbationData
from cycseq.errors import SettingsError, count_of
from cycseq.io.progress import track
from cycseq.matrix.arrays import Matrix, by_block, load, to_dense

ROWS = 1_000  # metacells that are summed together


def metacells(data: PerturbationData, k: int = 50, draws: int = 50, seed: int = 0) -> PerturbationData:
    """Averages of k cells drawn from one condition and batch; so many draws from every condition.

    Every condition gives the same number of metacells, whatever its number of cells; its draws are shared among its
    batches in proportion to their cells. Within a draw no cell comes twice, unless there are fewer than k cells: then
    they are drawn with replacement. Source: CycSeq (Liu et al. 2025), with 50 cells and 50 draws.

    The average is taken of the values as they are: after `prepare` these are log1p values, as in CycSeq, so that the
    mean of a condition's metacells estimates the mean of its cells.

    Metacells of one condition SHARE CELLS. A split at random of metacells (`random-cells`) therefore leaks: part whole
    conditions, or part the cells first. `obsm["source_cells"]` (CSR bool, metacells x cells of `data`) keeps the
    members, and `cycseq split --check` looks at it. Raises `SettingsError` if k or draws is not positive.

    Returns
    -------
    PerturbationData
        Dense float32, on the scale of `data`; obs `context`, `perturbation`, `batch` and `n_cells` (different cells
        in the average). Layers are left behind; `varm` stays.
    """
    if k < 1 or draws < 1:
        msg = f"metacells need at least one cell and one draw, but got {k} cells and {draws} draws: use --metacell-cells 50 --metacell-draws 50."
        raise SettingsError(msg)
    membership, batches = _draw_all(data, k, draws, seed)
    source = sp.csr_matrix(membership, dtype=bool)
    conditions = data.conditions()
    owner = np.repeat(np.arange(len(conditions)), draws)
    obs = pd.DataFrame(
        {
            "context": pd.Categorical([conditions[i].context for i in owner]),
            "perturbation": pd.Categorical([conditions[i].perturbation for i in owner]),
            "batch": pd.Categorical(batches),
            "n_cells": np.diff(source.indptr).astype(np.int64),
        },
        index=[f"{conditions[i]}#{j % draws}" for j, i in enumerate(owner)],
    )
    adata = ad.AnnData(
        X=_sums(data.x, membership) / np.float32(k),
        obs=obs,
        var=data.adata.var.copy(),
        uns=dict(data.adata.uns),
        varm=data.adata.varm,
    )
    adata.obsm["source_cells"] = source
    record = {"k": k, "draws": draws, "seed": seed, "cells": data.n_cells}
    adata.uns["cycseq"] = {**data.adata.uns.get("cycseq", {}), "scale": data.scale, "metacells": json.dumps(record)}
    of_each = count_of(len(conditions), "condition")
    notes = [f"{len(obs):,} metacells: {draws} averages of {k} cells for each of {of_each}"]
    few = int((data.adata.obs.groupby(["context", "perturbation", "batch"], observed=True).size() < k).sum())
    notes += [f"{few} conditions or batches of one have fewer than {k} cells: drawn with replacement"] if few else []
    notes.append("metacells of a condition share cells: hold out whole conditions, not metacells at random")
    return PerturbationData(adata=adata, scale=data.scale, notes=(*data.notes, *notes))


def _draw_all(data: PerturbationData, k: int, draws: int, seed: int) -> tuple[sp.csr_matrix, pd.Index]:
    """How often each cell was drawn for each metacell, condition after condition, and the metacells' batches."""
    rng = np.random.default_rng(seed)
    batch, batches = pd.factorize(data.adata.obs["batch"].astype(str), sort=True)
    members, batch_of = [], []
    for condition in track(data.conditions(), "Drawing metacells"):
        rows = data.rows(condition)
        draw_rows, of = _draw(rows, batch[rows], k, draws, rng)
        members.append(draw_rows)
        batch_of.append(of)
    cells = np.concatenate(members)
    metacell = np.repeat(np.arange(len(cells)), k)
    counted = sp.csr_matrix((np.ones(cells.size), (metacell, cells.ravel())), shape=(len(cells), data.n_cells))
    counted.sort_indices()
    return counted, batches[np.concatenate(batch_of)].astype(object)


def _draw(
    rows: Int[np.ndarray, "cells"], batch: Int[np.ndarray, "cells"], k: int, draws: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "draws k"], Int[np.ndarray, "draws"]]:
    """The cells of every draw, and the batch that they are of."""
    batches, n_cells = np.unique(batch, return_counts=True)
    shares = _shared_out(n_cells, draws)
    draw_rows = []
    for number, share in zip(batches, shares, strict=True):
        cells_of_batch = rows[batch == number]
        if len(cells_of_batch) < k:
            places = rng.integers(len(cells_of_batch), size=(share, k))
        else:
            places = rng.random((share, len(cells_of_batch))).argpartition(k - 1, axis=1)[:, :k]
        draw_rows.append(cells_of_batch[places])
    return np.concatenate(draw_rows), np.repeat(batches, shares)


def _shared_out(n_cells: Int[np.ndarray, "batches"], draws: int) -> Int[np.ndarray, "batches"]:
    """Draws in proportion to cells, summing to all draws (largest remainders)."""
    exact = draws * n_cells / n_cells.sum()
    shares: Int[np.ndarray, "batches"] = np.floor(exact).astype(np.int64)
    shares[np.argsort(shares - exact, kind="stable")[: draws - shares.sum()]] += 1
    return shares


def _sums(x: Matrix, counted: sp.csr_matrix) -> Float[np.ndarray, "metacells genes"]:
    """The sum of the cells of every metacell, a cell as often as it was drawn; float32."""
    sums = np.zeros((counted.shape[0], x.shape[1]), dtype=np.float32)
    columns = sp.csc_matrix(counted)
    for cells, block in by_block(x, load):
        weights = sp.csr_matrix(columns[:, cells])
        for start in range(0, len(sums), ROWS):
            part = weights[start : start + ROWS]
            present = np.flatnonzero(np.diff(part.indptr))
            sums[start + present] += to_dense(part[present] @ block)
    return sums
