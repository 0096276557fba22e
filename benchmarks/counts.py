"""Counts of every model on the yardstick of the Virtual Cell Challenge 2026: a line of a simulated screen of which controls alone are known.

python benchmarks/counts.py --out DIR [--world context-specific] [--models NoChange,ContextAdditive] [--cells 60]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq import PerturbationData, PrepareSettings, SimulateSettings, SplitSettings, build_model, fit_run, make_splits
from cycseq.matrix.arrays import to_dense
from cycseq.models.means import MeansModel
from cycseq.preparation.prepare import prepare
from cycseq.score.challenge.reference import CountReference
from cycseq.score.challenge.rows import member_rows
from cycseq.simulation.generate import simulate

MODELS = "NoChange,PerturbedMean,ContextAdditive,ShrunkAdditive,LowRank,ConditionKriging"
ROUNDED = "log1p, cells rounded"
"""For comparison: predicted log1p cells taken back to counts at the depth of their control cells, rounded at random."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--world", default="context-specific")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--cells", type=int, default=60, help="Cells of a condition; 10 times as many controls.")
    parser.add_argument("--library", type=float, default=2000.0, help="Counts of a cell.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    counts = screen(options)
    scores = pd.concat(list(score_all(counts, options)), ignore_index=True)
    scores.to_csv(options.out / f"{options.world}-{options.cells}-{options.seed}.csv", index=False)
    wide = scores.pivot_table(index=["model", "response"], columns="metric", values="value", sort=False)
    print(wide.round(3).to_string())


def screen(options: argparse.Namespace) -> PerturbationData:
    """5 lines x 60 perturbations and 1,500 genes, counts."""
    settings = SimulateSettings(
        contexts=5,
        perturbations=60,
        genes=1500,
        cells=5 * 70 * options.cells,
        world=options.world,
        seed=options.seed,
        batches=1,
        library_size=options.library,
    )
    return simulate(settings)


def score_all(counts: PerturbationData, options: argparse.Namespace) -> Iterator[pd.DataFrame]:
    """A table of the members for each model and response; the last line is predicted from its controls alone."""
    data = prepare([counts], PrepareSettings(genes="all", min_genes=0, min_cells=0))
    line = data.contexts[-1]
    (split,) = make_splits(data, SplitSettings(kind="unseen-context", context=line, shared_controls=True))
    reference = CountReference.of(counts, line)
    for name in options.models.split(","):
        model = build_model(name)
        responses = ["log1p", "log_pseudobulk"] if isinstance(model, MeansModel) else ["log1p"]
        for response in responses:
            model = build_model(name, {"response": response} if isinstance(model, MeansModel) else {})
            with TemporaryDirectory() as folder:
                run = fit_run(data, split, model, Path(folder) / "run", options.seed)
                made = {response: run.predict(form="counts", controls=data, n_cells=options.cells, seed=options.seed)}
                if response == "log1p":
                    cells = run.predict(controls=data, n_cells=options.cells, seed=options.seed)
                    made[ROUNDED] = rounded(cells, data, options.seed)
            for label, predicted in made.items():
                rows = member_rows(reference, reference.compare(predicted), pool=True)
                means = rows.groupby("metric", as_index=False)["value"].mean()
                print(name, label, means["value"].round(3).tolist(), flush=True)
                yield means.assign(model=name, response=label, world=options.world)


def rounded(cells: PerturbationData, data: PerturbationData, seed: int) -> PerturbationData:
    """Log1p cells as counts."""
    total = data.adata.obs["total_counts"].loc[cells.adata.obs["source_cell"]].to_numpy()
    values = np.expm1(to_dense(cells.x)) * total[:, None] / 1e4
    whole = np.floor(values + np.random.default_rng(seed).random(values.shape))
    adata = ad.AnnData(sp.csr_matrix(whole, dtype=np.float32), cells.adata.obs, cells.adata.var)
    return PerturbationData(adata, "counts")


if __name__ == "__main__":
    main()
