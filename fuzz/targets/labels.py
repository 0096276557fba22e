"""Labels and values at the door: any obs columns, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from target import WORDS, Take, Target, attempt, check_sound

from cycseq.data.dataset import PerturbationData
from cycseq.data.settings import ObsKeys

COLUMNS = (
    "perturbation",
    "condition",
    "gene",
    "cell_type",
    "context",
    "batch",
    "nperts",
    "dose_value",
    "total_counts",
    "donor",
)


def _column(take: Take, n: int) -> Any:
    kind = take.below(6)
    if kind == 0:
        return [take.number() for _ in range(n)]
    if kind == 1:
        return [take.one_of([0.5, float("nan"), 1.0, 2.0]) for _ in range(n)]
    words = [take.one_of([*WORDS[:12], take.text()]) for _ in range(n)]
    if kind == 2:
        return pd.Categorical(words)
    return (
        [word if take.below(16) else take.one_of([None, 3, True, b"x", ("a",)]) for word in words]
        if kind == 3
        else words
    )


def run(data: bytes, folder: Path) -> None:
    """Cells with columns of labels, checked at the door."""
    del folder
    take = Take(data)
    n, genes = 1 + take.below(8), 1 + take.below(4)
    values = np.resize(np.frombuffer(take.raw(16).ljust(16, b"\1"), dtype="u1"), (n, genes)).astype(np.float32)
    values = take.one_of(
        [values, values / 50, -values, np.full((n, genes), np.nan, np.float32), np.eye(n, genes, dtype="f4")]
    )
    obs = pd.DataFrame({take.one_of(COLUMNS): _column(take, n) for _ in range(take.below(5))},
                       index=[take.text() if take.below(2) else f"c{i}" for i in range(n)])  # fmt: skip
    var = pd.DataFrame(index=[take.text() if take.below(4) == 3 else f"G{i}" for i in range(genes)])
    adata = ad.AnnData(sp.csr_matrix(values) if take.below(2) else values, obs=obs, var=var)
    if take.below(4) == 3:
        adata.uns["cycseq"] = take.one_of([{"scale": take.text()}, {"scale": "counts"}, take.text(), np.ones(2), {}])
    keys = ObsKeys(*(take.one_of([None, None, *COLUMNS]) if take.below(4) == 3 else None for _ in range(3)),
                   control=take.one_of([None, None, "none", take.text()]))  # fmt: skip
    found = attempt(
        PerturbationData.from_anndata, adata, keys=keys, scale=take.one_of([None, None, "counts", "log1p", "scaled"]),
        make_unique=bool(take.below(2)), drop_unlabelled=bool(take.below(2)), drop_empty=bool(take.below(2)),
    )  # fmt: skip
    if found is not None:
        check_sound(found)


def _seeds() -> Sequence[bytes]:
    return [bytes([5, 3, *range(1, 17), 0, 2, place, 4, *range(40), place]) for place in range(len(COLUMNS))]


LABELS = Target("labels", run, _seeds)
