"""Interferon-beta in blood cells (Kang 2018), one cell type held out at a time: ConditionKriging against simple means.

Run from the project's root, with the data beside it: `python benchmarks/kriging_kang.py ../shared/data/kang2018_pbmc_ifnb.h5ad`.
Prints one row a cell type as Markdown. Nothing of the held-out type but its control cells is seen.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.models.kriging.model import ConditionKriging

HALF = 1.645
"""Half the width of a 90 % interval, in standard deviations."""


def read(path: Path, *, donors: bool) -> PerturbationData:
    adata = ad.read_h5ad(path)
    x = sp.csr_matrix(adata.X, dtype=np.float64)
    x = sp.csr_matrix(sp.diags(1e4 / np.asarray(x.sum(axis=1)).ravel()) @ x)
    x.data = np.log1p(x.data)
    adata.X = sp.csr_matrix(x, dtype=np.float32)
    if not donors:
        del adata.obs["donor"]
    return PerturbationData.from_anndata(adata)


def one_type(data: PerturbationData, context: str) -> dict[str, float | str]:
    test = Condition(context, "stim")
    started = time.perf_counter()
    model = ConditionKriging().fit(data.subset(c for c in data.conditions() if c != test))
    predicted = model.predict(data.controls([context]), [test])
    seconds = time.perf_counter() - started
    means = dict(zip(data.conditions(), data.moments.mean, strict=True))
    control, real = means[Condition(context, "control")], means[test]
    others = [c for c in data.contexts if c != context]
    additive = np.mean([means[Condition(c, "stim")] - means[Condition(c, "control")] for c in others], axis=0)
    mean = predicted.cells(test).mean(axis=0, dtype=np.float64)
    place = data.conditions().index(test)
    noise = data.moments.variance[place] / data.moments.n_cells[place]
    sd = np.sqrt(predicted.adata.varm["posterior_mean_sd"][:, 0] ** 2 + noise)
    covered = np.abs(mean - real) <= HALF * sd
    groups = {
        "covered": np.ones(len(real), dtype=bool),
        "covered, strong genes": np.abs(predicted.adata.varm["posterior_mean"][:, 0]) > 0.2,
        "covered, genes that vary": noise > 0,
        "covered, genes above 0.1 in controls": control > 0.1,
    }
    row: dict[str, float | str] = {"held out": context, "cells": int(data.moments.n_cells[place])}
    for name, delta in (("additive", additive), ("kriging", mean - control)):
        row[f"{name} pearson_delta"] = float(np.corrcoef(delta, real - control)[0, 1])
        row[f"{name} mse"] = float(((control + delta - real) ** 2).mean())
    return {**row, **{name: covered[genes].mean() for name, genes in groups.items()}, "seconds": seconds}


def markdown(table: pd.DataFrame) -> str:
    head = f"| {' | '.join(table.columns)} |\n|{'---|' * table.shape[1]}"
    rows = [
        f"| {' | '.join(f'{v:.4g}' if isinstance(v, float) else str(v) for v in row)} |"
        for row in table.itertuples(index=False)
    ]
    return "\n".join([head, *rows])


def main(path: Path) -> None:
    for donors in (True, False):
        data = read(path, donors=donors)
        table = pd.DataFrame([one_type(data, context) for context in data.contexts])
        larger = table[table["held out"] != "Mk"].mean(numeric_only=True)
        table.loc[len(table)] = {"held out": "mean without Mk", **larger.to_dict()}
        print(f"\n{'Donors as batches' if donors else 'Donors not told'}\n\n{markdown(table)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
