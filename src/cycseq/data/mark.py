"""The mark that cycseq writes into `uns`, and whether values and labels are still those that it wrote.

The mark carries a sample of some cells: the largest value of each with the names of cell and gene, the sum of its values, and its
labels; and the names of all contexts and perturbations. It costs a few rows however large the file is, and survives when cells
or genes are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.usual_names import UNLABELLED, canonical_perturbation
from cycseq.data.values import with_parts
from cycseq.errors import DataError
from cycseq.matrix.arrays import to_dense

MARK = "cycseq"
LABELS = ("context", "perturbation", "batch")
SAMPLE = "sample"
RUNS, RUN = 16, 8
"""Cells of the sample: so many runs, evenly spaced, of so many successive cells, which lie in few blocks of a file."""


def mark_of(adata: ad.AnnData) -> dict[str, Any]:
    """What cycseq wrote of the data into `uns`, without the sample; nothing where something else stands there."""
    mark = _whole_mark(adata)
    odd = [SAMPLE, *(["scale"] if not isinstance(mark.get("scale"), str) else [])]
    return {name: value for name, value in mark.items() if name not in odd}


def with_sample(adata: ad.AnnData) -> ad.AnnData:
    """The same data (nothing is copied) with a sample of its values in its mark; itself where it has no mark."""
    if not (mark := mark_of(adata)):
        return adata
    uns = {**adata.uns, MARK: {**mark, SAMPLE: sample_of(adata)}}
    return with_parts(adata, uns=uns)


def sample_of(adata: ad.AnnData) -> str:
    """What some of the cells hold, and the names of all contexts and perturbations: a JSON text."""
    cells, genes = adata.obs_names, adata.var_names
    starts = np.linspace(0, max(0, len(cells) - RUN), RUNS).astype(np.int64)
    rows = np.unique(starts[:, None] + np.arange(RUN))
    rows = rows[rows < len(cells)]
    values = to_dense(adata.X[rows])
    columns = np.abs(values).argmax(axis=1)
    entries = zip(cells[rows], genes[columns], values[np.arange(len(rows)), columns].tolist(), strict=True)
    record: dict[str, Any] = {"n_cells": len(cells), "n_genes": len(genes), "values": list(entries)}
    record["sums"] = values.sum(axis=1, dtype=np.float64).tolist()
    if all(name in adata.obs for name in LABELS):
        labels = adata.obs[list(LABELS)]
        record["labels"] = labels.iloc[rows].astype(str).to_numpy().tolist()
        record["names"] = {name: sorted(map(str, labels[name].unique())) for name in LABELS[:2]}
    return json.dumps(record)


def values_unchanged(adata: ad.AnnData) -> bool | None:
    """Whether the values are those that cycseq wrote, by the sample in the mark; None where there is none to go by."""
    try:
        record = _sample(adata)
        cells, genes, values = zip(*record["values"], strict=True)
        n_cells, expected = int(record["n_cells"]), np.array(values, dtype=np.float32)
        sums = np.array(record["sums"] if record.get("n_genes") == adata.n_vars else (), dtype=np.float64)
    except (TypeError, ValueError, KeyError, RecursionError):
        return None
    if not (adata.obs_names.is_unique and adata.var_names.is_unique):
        return None
    rows, columns = adata.obs_names.get_indexer(list(cells)), adata.var_names.get_indexer(list(genes))
    present = (rows >= 0) & (columns >= 0)
    if adata.n_obs > n_cells:
        return False
    if not present.any():
        return None
    if adata.n_obs > n_cells - np.count_nonzero(rows < 0):  # some are cells that it did not write
        return False
    unique_rows, place = np.unique(rows[present], return_inverse=True)
    cells_now = to_dense(adata.X[unique_rows])
    same = np.allclose(cells_now[place, columns[present]], expected[present], rtol=1e-5, atol=1e-7)
    if same and len(sums) == len(cells):  # no gene was left out
        same = np.allclose(cells_now.sum(axis=1, dtype=np.float64)[place], sums[present], rtol=1e-5, atol=1e-5)
    return bool(same)


def labels_unchanged(adata: ad.AnnData) -> bool:
    """Whether no cell of the sample in the mark has other labels, and there are no other names, than cycseq wrote.

    True where the mark says nothing of them.
    """
    try:
        record = _sample(adata)
        cells = [entry[0] for entry in record["values"]]
        written, names = record["labels"], {name: set(record["names"][name]) for name in LABELS[:2]}
    except (TypeError, ValueError, KeyError, IndexError, RecursionError):
        return True
    if not adata.obs_names.is_unique or len(written) != len(cells):
        return True
    if any(not names[name].issuperset(map(str, adata.obs[name].unique())) for name in names):
        return False
    rows = adata.obs_names.get_indexer(cells)
    now = adata.obs[list(LABELS)].iloc[rows[rows >= 0]].astype(str).to_numpy().tolist()
    return bool(now == [labels for labels, row in zip(written, rows, strict=True) if row >= 0])


def labels_as_written(labels: pd.DataFrame) -> bool:
    """Whether every cell has a context, a perturbation and a batch in the form in which cycseq writes them."""
    if labels.isna().any(axis=None):
        return False
    perturbations, contexts = (list(map(str, labels[name].unique())) for name in ("perturbation", "context"))
    has_labels = all(label.strip().casefold() not in UNLABELLED for label in (*perturbations, *contexts))
    return has_labels and all(canonical_perturbation(label, ()) == label for label in perturbations)


def _whole_mark(adata: ad.AnnData) -> dict[str, Any]:
    mark = adata.uns.get(MARK)
    return dict(mark) if isinstance(mark, Mapping) else {}


def _sample(adata: ad.AnnData) -> dict[str, Any]:
    """What the sample holds; raises `TypeError` or `ValueError` where it is none."""
    return dict(json.loads(_whole_mark(adata).get(SAMPLE, "")))


def read_provenance(adata: ad.AnnData) -> dict[str, Any]:
    """``uns["cycseq"]``, with JSON texts read; raises `DataError` where it is damaged."""
    record = dict(adata.uns.get("cycseq", {}))
    try:
        return {k: json.loads(v) if isinstance(v, str) and v[:1] in {"[", "{"} else v for k, v in record.items()}
    except (ValueError, RecursionError) as err:
        msg = f"what the file says of its own making (uns['cycseq']) is damaged ({err}): remove it, or make the file again."
        raise DataError(msg) from err
