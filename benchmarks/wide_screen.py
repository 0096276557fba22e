"""The baselines on a screen of 3,000 perturbations x 3,200 genes with one context held out: processor time of each.

python benchmarks/wide_screen.py --folder /tmp/wide
python benchmarks/wide_screen.py --folder /tmp/wide --perturbations 600 --models LowRank,Stacked
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

CONTEXTS, CELLS, CONTROLS, PROGRAMS = 3, 8, 500, 10


def write_screen(path: Path, perturbations: int, genes: int) -> None:
    """Poisson counts whose rates follow programs of perturbations, a few cells of each in every context."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(perturbations, PROGRAMS)) * 0.3
    blocks, labels = [], []
    for context in range(CONTEXTS):
        level = rng.gamma(0.4, 1.0, size=genes)
        loadings = rng.normal(size=(PROGRAMS, genes)) * (rng.random((PROGRAMS, genes)) < 0.1)
        names = ["control"] * CONTROLS + [f"P{p}" for p in range(perturbations) for _ in range(CELLS)]
        of_cell = np.concatenate([np.zeros((CONTROLS, PROGRAMS)), np.repeat(scores, CELLS, axis=0)])
        for some in np.array_split(np.arange(len(names)), max(1, len(names) // 2000)):
            rate = level * np.exp(of_cell[some] @ loadings)
            blocks.append(sp.csr_matrix(rng.poisson(rate).astype(np.float32)))
        labels.append(pd.DataFrame({"context": f"c{context}", "perturbation": names}))
    obs = pd.concat(labels, ignore_index=True)
    obs.index = [f"cell{i}" for i in range(len(obs))]
    cells = ad.AnnData(sp.vstack(blocks, format="csr"), obs, pd.DataFrame(index=[f"G{g}" for g in range(genes)]))
    cells.write_h5ad(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--perturbations", type=int, default=3_000)
    parser.add_argument("--genes", type=int, default=3_200)
    parser.add_argument("--models", default="baselines")
    parser.add_argument("--seeds", default="1")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    cells, out = options.folder / f"cells{options.perturbations}.h5ad", options.folder / "benchmark"
    if not cells.exists():
        write_screen(cells, options.perturbations, options.genes)
    words = f"benchmark --data {cells} --split unseen-context --context c0 --models {options.models} --seeds {options.seeds}"
    command = [sys.executable, "-m", "cycseq", *words.split(), "--out", str(out), "--overwrite", "true"]
    subprocess.run(command, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    record = pd.DataFrame(json.loads((out / "benchmark.json").read_text())["results"])
    print(record[["model", "seconds"]].to_string(index=False))
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor, {used.ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
