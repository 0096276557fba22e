"""Preparing counts beside scanpy: read an h5ad, normalise to 10,000, log1p, keep the 2,000 most variable genes."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from speed_stages.limits import Limits
from speed_stages.measure import Form, Row, at_best, in_turn, rows

BLOCK = 5_000
FULL = {"cells": 50_000, "genes": 5_000, "keep": 2_000, "rounds": 2}
QUICK = {"cells": 500, "genes": 300, "keep": 100, "rounds": 1}
VALUE = 8
"""Bytes of a value that is not zero, and of its column."""


def stage(limits: Limits, size: dict[str, int], python: str = sys.executable) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table, and how many genes both chose."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.h5ad"
        writer = get_context("spawn").Process(target=write_counts, args=(path, size["cells"], size["genes"]))
        writer.start()
        writer.join()
        arguments = {"path": str(path), "keep": size["keep"]}
        forms = [Form("cycseq", "prepare", "ours", arguments)]
        forms.append(Form("scanpy", "prepare", "scanpy", arguments, python))
        found = in_turn(forms, size["rounds"])
    said = {name: taken[0].said for name, taken in found.items()}
    values = said["cycseq"]["values"]
    what = f"{size['cells']:,} cells x {size['genes']:,} genes, {values / 1e6:,.1f} million values"
    lines = rows("prepare", what, found, {"cycseq": "ours", "scanpy": "peer"})
    moved = VALUE * (values + said["cycseq"]["kept_values"])
    lines.append(at_best("prepare", what, lines[0], "counts read once, result written once", moved / limits.copy))
    lines.append(at_best("prepare", what, lines[0], "one log1p of every value", values / limits.logs))
    chosen = [set(one["genes"]) for one in said.values()]
    facts = {"genes chosen by both": f"{len(chosen[0] & chosen[1]):,} of {len(chosen[1]):,}"}
    for name in ("read", "prepare"):
        of = [min(one.said[name] for one in found[side]) for side in ("cycseq", "scanpy")]
        facts[f"{name} alone, s (cycseq, scanpy)"] = f"{of[0]:.1f}, {of[1]:.1f}"
    return lines, facts


def ours(path: str, keep: int) -> Callable[[], dict[str, Any]]:
    import time

    from cycseq import PrepareSettings, prepare, read

    def work() -> dict[str, Any]:
        started = time.process_time()
        data = read(Path(path))
        loaded = time.process_time()
        made = prepare([data], PrepareSettings(genes=keep))
        took = {"read": loaded - started, "prepare": time.process_time() - loaded}
        return {"genes": made.genes, "values": int(data.x.nnz), "kept_values": int(made.x.nnz), **took}

    return work


def scanpy(path: str, keep: int) -> Callable[[], dict[str, Any]]:
    import time

    import scanpy as sc

    def work() -> dict[str, Any]:
        started = time.process_time()
        adata = sc.read_h5ad(path)
        loaded = time.process_time()
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        sc.pp.highly_variable_genes(adata, n_top_genes=keep, flavor="seurat")
        adata = adata[:, adata.var["highly_variable"]].copy()
        took = {"read": loaded - started, "prepare": time.process_time() - loaded}
        return {"genes": list(adata.var_names), **took}

    return work


def write_counts(path: Path, n_cells: int, n_genes: int) -> None:
    """Poisson counts with genes of very different means and dispersions, about 18 % of them above zero."""
    import anndata as ad
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

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
