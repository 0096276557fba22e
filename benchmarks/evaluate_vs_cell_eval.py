"""Time and values of `cycseq.evaluate` beside cell-eval 0.8.2 on the same two files, each tool as a whole process.

    python benchmarks/evaluate_vs_cell_eval.py --peer-python PEER/bin/python --repeats 3

where PEER is a virtual environment with `pip install cell-eval==0.8.2`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PERTURBATIONS, CELLS, CONTROLS, GENES = 50, 200, 2000, 2000
OURS = (
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


def make_files(folder: Path) -> None:
    """Gamma-Poisson counts with 50 knock-downs of 40 genes each; the predicted ones have three quarters of the effect."""
    import anndata as ad
    import pandas as pd
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    base = rng.normal(-2.5, 1.5, GENES)
    effect = np.zeros((PERTURBATIONS + 1, GENES))
    for row in effect[1:]:
        row[rng.choice(GENES, 40, replace=False)] = rng.normal(0.0, 1.0, 40)
    effect[1:, :30] += 0.5
    names = np.array(["control", *(f"P{i}" for i in range(1, PERTURBATIONS + 1))])
    label = np.concatenate([np.zeros(CONTROLS, dtype=int), np.repeat(np.arange(1, PERTURBATIONS + 1), CELLS)])
    control = None
    for name, share in (("real", 1.0), ("predicted", 0.75)):
        depth = rng.lognormal(0.0, 0.3, len(label))[:, None]
        x = rng.poisson(np.exp(base + share * effect[label]) * depth * rng.gamma(2.0, 0.5, (len(label), GENES)))
        x = np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e4).astype(np.float32)
        control = x[:CONTROLS] if control is None else control
        x[:CONTROLS] = control  # a model is handed the real control cells
        obs = pd.DataFrame({"perturbation": pd.Categorical(names[label])}, index=[f"c{i}" for i in range(len(label))])
        adata = ad.AnnData(sp.csr_matrix(x), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(GENES)]))
        adata.write_h5ad(folder / f"{name}.h5ad")


def ours(folder: Path) -> None:
    import anndata as ad

    from cycseq.data.dataset import PerturbationData
    from cycseq.evaluation import EvaluateSettings, evaluate

    real, predicted = (
        PerturbationData.from_anndata(ad.read_h5ad(folder / f"{name}.h5ad"), scale="log1p")
        for name in ("real", "predicted")
    )
    evaluate(predicted, real, settings=EvaluateSettings(metrics=OURS)).to_csv(folder / "ours.csv", index=False)


def peer(folder: Path) -> None:
    from cell_eval import MetricsEvaluator

    evaluator = MetricsEvaluator(
        adata_pred=str(folder / "predicted.h5ad"),
        adata_real=str(folder / "real.h5ad"),
        control_pert="control",
        pert_col="perturbation",
        outdir=str(folder / "peer"),
    )
    evaluator.compute(skip_metrics=["clustering_agreement"])


def timed(command: list[str]) -> tuple[float, float]:
    """Wall-clock and processor seconds of a whole process; the latter do not depend on what else runs."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def agreement(folder: Path) -> dict[str, float]:
    """The largest difference of each metric over the perturbations, and cell-eval's E-distances by our formula."""
    import pandas as pd

    theirs = pd.read_csv(folder / "peer" / "results.csv").set_index("perturbation")
    table = pd.read_csv(folder / "ours.csv").pivot(index="perturbation", columns="metric", values="value")
    found = {}
    for their_name, our_name in SAME.items():
        other = theirs[their_name].reindex(table.index)
        if our_name == "retrieval_l1":  # theirs is 1 - k / n
            other = 1 - (1 - other) * PERTURBATIONS / (PERTURBATIONS - 1)
        found[our_name] = float(np.nanmax(np.abs(table[our_name] - other)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", help="python of an environment with cell-eval 0.8.2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        {"ours": ours, "peer": peer}[options.child](options.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder)
        seconds: dict[str, list[tuple[float, float]]] = {"ours": [], "peer": []}
        for _ in range(options.repeats):
            for who, python in (("ours", sys.executable), ("peer", options.peer_python)):
                if python:
                    command = [python, __file__, "--child", who, "--folder", str(folder)]
                    seconds[who].append(timed(command))
        result: dict[str, object] = {
            "seconds (wall, processor)": {k: np.round(v, 2).tolist() for k, v in seconds.items()}
        }
        if seconds["peer"]:
            our_first, their_first = np.array(seconds["ours"][0]), np.array(seconds["peer"][0])
            our_best, their_best = np.min(seconds["ours"], axis=0), np.min(seconds["peer"], axis=0)
            result["first call, ours / cell-eval (wall, processor)"] = np.round(our_first / their_first, 3).tolist()
            result["best, ours / cell-eval (wall, processor)"] = np.round(our_best / their_best, 3).tolist()
            result["largest difference of a perturbation's value"] = agreement(folder)
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
