"""Evaluation beside cell-eval, on the same two files: whole processes, imports and all, and the values of both."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from speed_stages.limits import Limits
from speed_stages.measure import Form, Row, at_best, in_turn, rows

FULL = {"perturbations": 50, "cells": 200, "controls": 2_000, "genes": 2_000, "rounds": 2}
QUICK = {"perturbations": 4, "cells": 20, "controls": 60, "genes": 60, "rounds": 1}
METRICS = (
    "means,retrieval_cosine,retrieval_l1,centroid_accuracy,deg_overlap,deg_direction,deg_lfc_spearman,deg_auprc,"
    "edistance,edistance_genes"
)
SAME = {  # cell-eval's name -> ours
    "pearson_delta": "pearson_delta",
    "mse": "mse",
    "mae": "mae",
    "discrimination_score_l1": "retrieval_l1",
    "overlap_at_N": "deg_overlap",
    "de_direction_match": "deg_direction",
    "de_spearman_lfc_sig": "deg_lfc_spearman",
    "pr_auc": "deg_auprc",
}


def stage(limits: Limits, size: dict[str, int], python: str = sys.executable) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table, and the largest differences of values."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder, size)
        forms = [
            Form("cycseq", "evaluate", "ours", {"folder": name}, whole=True),
            Form("cell-eval", "evaluate", "cell_eval", {"folder": name}, python, whole=True),
        ]
        found = in_turn(forms, size["rounds"])
        apart = ", ".join(f"{key} {value:.0e}" for key, value in agreement(folder).items())
        facts = {"largest differences of values from cell-eval's": apart}
    what = f"{size['perturbations']} perturbations x {size['cells']} cells x {size['genes']:,} genes, whole process"
    lines = rows("evaluate", what, found, {"cycseq": "ours", "cell-eval": "peer"})
    n, cells, genes = size["perturbations"], size["cells"], size["genes"]
    # distances of the E-distance in gene space: predicted with real cells, and each side with itself
    products = 2.0 * genes * 3 * cells**2 * n
    compared = 2 * n * cells * genes
    least = products / limits.flops + 4 * 2 * compared / limits.copy
    lines.append(at_best("evaluate", what, lines[0], "products of the distances, cells read once", least))
    facts["imports of cycseq's process, s"] = f"{min(one.said['imports'] for one in found['cycseq']):.2f}"
    return lines, facts


def make_files(folder: Path, size: dict[str, int]) -> None:
    """Gamma-Poisson counts with knock-downs of 40 genes each; the predicted ones have three quarters of the effect."""
    import anndata as ad
    import pandas as pd
    import scipy.sparse as sp

    n, cells, controls, genes = (size[name] for name in ("perturbations", "cells", "controls", "genes"))
    rng = np.random.default_rng(0)
    base = rng.normal(-2.5, 1.5, genes)
    effect = np.zeros((n + 1, genes))
    for row in effect[1:]:
        row[rng.choice(genes, 40, replace=False)] = rng.normal(0.0, 1.0, 40)
    effect[1:, :30] += 0.5
    names = np.array(["control", *(f"P{i}" for i in range(1, n + 1))])
    label = np.concatenate([np.zeros(controls, dtype=int), np.repeat(np.arange(1, n + 1), cells)])
    control = None
    for name, share in (("real", 1.0), ("predicted", 0.75)):
        depth = rng.lognormal(0.0, 0.3, len(label))[:, None]
        x = rng.poisson(np.exp(base + share * effect[label]) * depth * rng.gamma(2.0, 0.5, (len(label), genes)))
        x = np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e4).astype(np.float32)
        control = x[:controls] if control is None else control
        x[:controls] = control  # a model is handed the real control cells
        obs = pd.DataFrame({"perturbation": pd.Categorical(names[label])}, index=[f"c{i}" for i in range(len(label))])
        adata = ad.AnnData(sp.csr_matrix(x), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(genes)]))
        adata.write_h5ad(folder / f"{name}.h5ad")


def ours(folder: str) -> Callable[[], dict[str, Any]]:
    def work() -> dict[str, Any]:
        import time

        started = time.process_time()
        import anndata as ad

        from cycseq.data.dataset import PerturbationData
        from cycseq.score.evaluate import evaluate
        from cycseq.score.settings import EvaluateSettings

        imports = time.process_time() - started
        real, predicted = (
            PerturbationData.from_anndata(ad.read_h5ad(Path(folder) / f"{name}.h5ad"), scale="log1p")
            for name in ("real", "predicted")
        )
        table = evaluate(predicted, real, settings=EvaluateSettings(metrics=METRICS))
        table.to_csv(Path(folder) / "ours.csv", index=False)
        return {"imports": imports}

    return work


def cell_eval(folder: str) -> Callable[[], object]:
    def work() -> None:
        from cell_eval import MetricsEvaluator

        evaluator = MetricsEvaluator(
            adata_pred=str(Path(folder) / "predicted.h5ad"),
            adata_real=str(Path(folder) / "real.h5ad"),
            control_pert="control",
            pert_col="perturbation",
            outdir=str(Path(folder) / "peer"),
            num_threads=1,
        )
        evaluator.compute(skip_metrics=["clustering_agreement"])

    return work


def agreement(folder: Path) -> dict[str, float]:
    """The largest difference of each metric over the perturbations, where the definitions agree."""
    import pandas as pd

    theirs = pd.read_csv(folder / "peer" / "results.csv").set_index("perturbation")
    table = pd.read_csv(folder / "ours.csv").pivot(index="perturbation", columns="metric", values="value")
    found = {}
    for their_name, our_name in SAME.items():
        other = theirs[their_name].reindex(table.index)
        if our_name == "retrieval_l1":  # theirs is 1 - k / n
            other = 1 - (1 - other) * len(table) / (len(table) - 1)
        found[our_name] = float(np.nanmax(np.abs(table[our_name] - other)))
    return found
