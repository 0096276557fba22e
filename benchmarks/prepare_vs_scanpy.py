"""Preparing counts, ours beside scanpy: time, peak memory and the choice of genes, as whole processes in one run.

    python benchmarks/prepare_vs_scanpy.py --scanpy-python VENV/bin/python [--cells 200000 --genes 5000]

scanpy lives in an environment of its own (`pip install scanpy`). Each side reads the same h5ad, normalises counts to
10,000, takes log1p and keeps the 2,000 most variable genes. Ratios count; seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

BLOCK = 5_000
MEASURED = """
import json, resource, sys
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
json.dump({"genes": sorted(genes), "peak": peak, "steps": steps}, open(sys.argv[2], "w"))
"""
OURS = """
import sys, time
from pathlib import Path
from cycseq import PrepareSettings, prepare, read
start = time.perf_counter()
data = read(Path(sys.argv[1]))
loaded = time.perf_counter()
genes = prepare([data], PrepareSettings(genes=int(sys.argv[3]))).genes
steps = {"read": loaded - start, "prepare": time.perf_counter() - loaded}
"""
SCANPY = """
import sys, time
import scanpy as sc
start = time.perf_counter()
adata = sc.read_h5ad(sys.argv[1])
loaded = time.perf_counter()
sc.pp.normalize_total(adata, target_sum=1e4)
sc.pp.log1p(adata)
sc.pp.highly_variable_genes(adata, n_top_genes=int(sys.argv[3]), flavor="seurat")
adata = adata[:, adata.var["highly_variable"]].copy()
genes = list(adata.var_names)
steps = {"read": loaded - start, "prepare": time.perf_counter() - loaded}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scanpy-python", required=True, type=Path)
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2_500)
    parser.add_argument("--keep", type=int, default=2_000, help="How many variable genes.")
    parser.add_argument("--repeats", type=int, default=3, help="Runs of each side, in turn; the best counts.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.h5ad"
        # A process of its own: on Linux a child's peak memory starts from what its parent had.
        writer = get_context("spawn").Process(target=write_counts, args=(path, options.cells, options.genes))
        writer.start()
        writer.join()
        runs: dict[str, list[dict]] = {"cycseq": [], "scanpy": []}
        for _ in range(options.repeats):
            runs["cycseq"].append(measured(Path(sys.executable), OURS, path, options.keep))
            runs["scanpy"].append(measured(options.scanpy_python, SCANPY, path, options.keep))
    report(runs)


def measured(python: Path, script: str, path: Path, keep: int) -> dict:
    """One run in a process of its own."""
    out = path.with_suffix(".json")
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    subprocess.run([python, "-c", script + MEASURED, path, out, str(keep)], check=True, env=environment)
    return {"whole": time.perf_counter() - start, **json.loads(out.read_text())}


def report(runs: dict[str, list[dict]]) -> None:
    def best(name: str, pick) -> float:
        return min(pick(run) for run in runs[name])

    rows = {
        "whole process, s": lambda run: run["whole"],
        "read, s": lambda run: run["steps"]["read"],
        "normalise, log1p, genes, s": lambda run: run["steps"]["prepare"],
        "peak memory, GiB": lambda run: run["peak"],
    }
    print(f"{'':28}{'cycseq':>10}{'scanpy':>10}{'ratio':>8}")
    for name, pick in rows.items():
        ours, theirs = best("cycseq", pick), best("scanpy", pick)
        print(f"{name:28}{ours:10.2f}{theirs:10.2f}{ours / theirs:8.2f}")
    ours, theirs = (set(runs[name][0]["genes"]) for name in ("cycseq", "scanpy"))
    print(f"genes chosen by both: {len(ours & theirs):,} of {len(theirs):,} ({len(ours & theirs) / len(theirs):.1%})")


def write_counts(path: Path, n_cells: int, n_genes: int) -> None:
    """Poisson counts with genes of very different means and dispersions, about 18 % of them above zero."""
    rng = np.random.default_rng(0)
    base = np.exp(rng.normal(-2.5, 1.6, n_genes)).astype(np.float32)
    programs = np.exp(rng.normal(0, rng.uniform(0, 1, n_genes), size=(20, n_genes))).astype(np.float32)
    blocks = []
    for start in range(0, n_cells, BLOCK):
        n = min(BLOCK, n_cells - start)
        depth = rng.lognormal(0, 0.4, (n, 1)).astype(np.float32)
        blocks.append(sp.csr_matrix(rng.poisson(depth * base * programs[rng.integers(20, size=n)]), dtype=np.float32))
    x = sp.vstack(blocks, format="csr", dtype=np.float32)
    labels = np.array(["control", *(f"drug{i}" for i in range(50))])[np.arange(n_cells) % 51]
    obs = pd.DataFrame({"perturbation": labels}, index=[f"cell{i}" for i in range(n_cells)])
    ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(n_genes)])).write_h5ad(path)
    print(f"{n_cells:,} cells x {n_genes:,} genes, {x.nnz:,} non-zeros", flush=True)


if __name__ == "__main__":
    main()
