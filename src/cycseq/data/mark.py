"""The mark that cycseq writes into `uns`, and whether the values are still those that it wrote.

The mark carries a sample of the values: the largest of each of some cells, with the names of cell and gene. It costs a
few rows however large the file is, and survives when cells or genes are left out.
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
SAMPLE = "sample"
RUNS, RUN = 16, 8
"""Cells of the sample: so many runs, evenly spaced, of so many successive cells, which lie in few blocks of a file."""


def mark_of(adata: ad.AnnData) -> dict[str, Any]:
    """What cycseq wrote of the data into `uns`, without the sample; nothing where something else stands there."""
    return {name: value for name, value in _whole_mark(adata).items() if name != SAMPLE}


def with_sample(adata: ad.AnnData) -> ad.AnnData:
    """The same data (nothing is copied) with a sample of its values in its mark; itself where it has no mark."""
    if not (mark := mark_of(adata)):
        return adata
    uns = {**adata.uns, MARK: {**mark, SAMPLE: sample_of(adata.X, adata.obs_names, adata.var_names)}}
    return with_parts(adata, uns=uns)


def sample_of(x: Any, cells: pd.Index, genes: pd.Index) -> str:
    """The number of cells, and the largest value of some of them, with the names of cell and gene: a JSON text."""
    starts = np.linspace(0, max(0, len(cells) - RUN), RUNS).astype(np.int64)
    rows = np.unique(starts[:, None] + np.arange(RUN))
    rows = rows[rows < len(cells)]
    values = to_dense(x[rows])
    columns = np.abs(values).argmax(axis=1)
    entries = zip(cells[rows], genes[columns], values[np.arange(len(rows)), columns].tolist(), strict=True)
    return json.dumps({"n_cells": len(cells), "values": list(entries)})


def values_unchanged(adata: ad.AnnData) -> bool | None:
    """Whether the values are those that cycseq wrote, by the sample in the mark; None where there is none to go by."""
    try:
        record = json.loads(_whole_mark(adata).get(SAMPLE, ""))
        cells, genes, values = zip(*record["values"], strict=True)
        n_cells, expected = int(record["n_cells"]), np.array(values, dtype=np.float32)
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
    unique_rows, place = np.unique(rows[present], return_inverse=True)
    values_now = to_dense(adata.X[unique_rows])[place, columns[present]]
    return bool(np.allclose(values_now, expected[present], rtol=1e-5, atol=1e-7))


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


def read_provenance(adata: ad.AnnData) -> dict[str, Any]:
    """``uns["cycseq"]``, with JSON texts read; raises `DataError` where it is damaged."""
    record = dict(adata.uns.get("cycseq", {}))
    try:
        return {k: json.loads(v) if isinstance(v, str) and v[:1] in {"[", "{"} else v for k, v in record.items()}
    except (ValueError, RecursionError) as err:
        msg = f"what the file says of its own making (uns['cycseq']) is damaged ({err}): remove it, or make the file again."
        raise DataError(msg) from err
