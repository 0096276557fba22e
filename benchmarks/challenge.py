"""What scoring a panel of the Virtual Cell Challenge costs: processor, time and memory, against cells, genes and targets.

    python benchmarks/challenge.py                       # cost against size, one context
    python benchmarks/challenge.py --full                # three contexts x (18,400 + 300 x 400 cells) x 18,533 genes
    CHALLENGE_PYTHON=... python benchmarks/challenge.py --peer    # cell-eval2 of that python, on a size that it ends in minutes

Cells are simulated a condition at a time, as a file would be read: the time of making them is measured apart.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import PerturbationData
from cycseq.data.settings import ObsKeys
from cycseq.score.challenge.evaluate import evaluate_counts
from cycseq.score.metrics.challenge import METRICS
from cycseq.score.metrics.challenge.members import CountComparison
from cycseq.score.metrics.challenge.profiles import ControlProfile, CountProfiles

SIZES = [
    (2000, 40, 100, 5000),
    (4000, 40, 100, 5000),
    (2000, 40, 200, 5000),
    (2000, 80, 100, 5000),
    (2000, 40, 100, 10000),
]
FULL = (18_400, 300, 400, 18_533)
"""Controls, targets, cells of each, genes."""
PEER_SIZE = (1000, 20, 100, 2000)
SCRIPT = """
import sys, time
from dataclasses import replace
import anndata as ad
from cell_eval2.config import EvalConfig
from cell_eval2.run import compute_metrics

base = EvalConfig.from_preset("vcc2026")
config = replace(base, cache_strict=False, num_threads=1, de=replace(base.de, backend="scanpy"))
real, predicted = ad.read_h5ad(sys.argv[1]), ad.read_h5ad(sys.argv[2])
predicted = ad.concat([predicted, real[real.obs["target"] == "non-targeting"]], index_unique="-")
started, used = time.perf_counter(), time.process_time()
compute_metrics(predicted, real, config=config)
print(time.perf_counter() - started, time.process_time() - used)
"""


class World:
    """Counts of one context: about 9,000 of a cell, 5,000 genes of 18,533 in each."""

    def __init__(self, genes: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        base = np.exp(self.rng.normal(0.0, 2.0, genes))
        self.share = base / base.sum()
        self.making = 0.0

    def cells(self, n: int, noise: float = 0.3, depth: float = 9000.0) -> sp.csr_matrix:
        """Cells of one condition: every count draws its gene."""
        started = time.thread_time()
        share = self.share * np.exp(self.rng.normal(0.0, noise, len(self.share)))
        total = self.rng.poisson(depth * len(self.share) / 18_533 * np.exp(self.rng.normal(0.0, 0.3, n)))
        gene = np.searchsorted(np.cumsum(share / share.sum()), self.rng.random(total.sum())).clip(max=len(share) - 1)
        x = sp.coo_matrix(
            (np.ones(len(gene), np.float32), (np.repeat(np.arange(n), total), gene)), (n, len(share))
        ).tocsr()
        self.making += time.thread_time() - started
        return x

    def groups(self, targets: int, cells: int) -> Iterator[sp.csr_matrix]:
        """The cells of conditions, one after another."""
        return (self.cells(cells) for _ in range(targets))


def score(controls: int, targets: int, cells: int, genes: int, seed: int = 0) -> dict[str, float]:
    """Profile and compare one context; processor seconds without the making of cells."""
    world = World(genes, seed)
    used, started = time.process_time(), time.perf_counter()
    control = ControlProfile.of(sp.vstack([world.cells(400, 0.0) for _ in range(max(1, controls // 400))], "csr"))
    real, predicted = (CountProfiles.of(world.groups(targets, cells), targets, control) for _ in range(2))
    perturbed = np.zeros((targets, genes), dtype=bool)
    perturbed[np.arange(targets), np.arange(targets)] = True
    names = tuple(f"G{i}" for i in range(genes))
    comparison = CountComparison(real, np.arange(targets), predicted, control, perturbed, names)
    for metric in METRICS:
        metric.compute(comparison)
    took, wall = time.process_time() - used - world.making, time.perf_counter() - started
    return {
        "controls": controls,
        "targets": targets,
        "cells": cells,
        "genes": genes,
        "cpu_s": took,
        "making_s": world.making,
        "wall_s": wall,
    }


def peer(size: tuple[int, int, int, int]) -> None:
    """Seconds of processor of cell-eval2 and of ours on the same files."""
    controls, targets, cells, genes = size
    world, names = World(genes, 0), [f"G{i}" for i in range(genes)]
    with tempfile.TemporaryDirectory() as folder:
        paths, sides = [], []
        for side, with_controls in (("real", True), ("predicted", False)):
            x = [*world.groups(targets, cells), *([world.cells(controls, 0.0)] if with_controls else [])]
            label = np.repeat(
                [*names[:targets], *(["non-targeting"] if with_controls else [])], [len(g.indptr) - 1 for g in x]
            )
            adata = ad.AnnData(
                sp.vstack(x, "csr"),
                obs=pd.DataFrame({"target": pd.Categorical(label)}, index=[f"c{i}" for i in range(len(label))]),
                var=pd.DataFrame(index=names),
            )
            paths.append(Path(folder) / f"{side}.h5ad")
            adata.write_h5ad(paths[-1])
            keys = ObsKeys(perturbation="target", control="non-targeting" if with_controls else "none")
            sides.append(PerturbationData.from_anndata(adata, keys=keys, scale="counts"))
        score(200, 2, 20, 100)  # compiled before it is timed
        used, started = time.process_time(), time.perf_counter()
        evaluate_counts(sides[1], sides[0])
        ours = time.perf_counter() - started, time.process_time() - used
        python = os.environ.get("CHALLENGE_PYTHON", sys.executable)
        ran = subprocess.run([python, "-c", SCRIPT, *map(str, paths)], capture_output=True, text=True, check=True)
        theirs = tuple(map(float, ran.stdout.split()[-2:]))
    print(
        f"{size}: cell-eval2 {theirs[0]:.1f} s ({theirs[1]:.1f} s of processor), cycseq {ours[0]:.2f} s ({ours[1]:.2f} s)"
    )
    print(f"ratio of processor: {theirs[1] / ours[1]:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--contexts", type=int, default=3)
    parser.add_argument("--targets", type=int, default=FULL[1], help="of a full panel, to scale a part of it up")
    options = parser.parse_args()
    if options.peer:
        peer(PEER_SIZE)
        return
    score(200, 2, 20, 100)  # compiled before it is timed
    controls, _, cells, genes = FULL
    sizes = [(controls, options.targets, cells, genes)] * options.contexts if options.full else SIZES
    print(pd.DataFrame([score(*size, seed=i) for i, size in enumerate(sizes)]).round(1).to_string(index=False))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
