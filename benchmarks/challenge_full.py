"""A whole panel of the Virtual Cell Challenge through the commands: what scoring it, making an entry and a benchmark on it cost.

    python benchmarks/challenge_full.py FOLDER               # three contexts x (18,400 + 300 x 400 cells) x 18,533 genes
    python benchmarks/challenge_full.py FOLDER --share 30    # a thirtieth of the targets and of the control cells
    python benchmarks/challenge_full.py FOLDER --only benchmark    # all baselines and ConditionKriging; a second run goes on

FOLDER needs 25 GB of disk, and is left with the table of costs alone (and a benchmark's tables). Files are not packed: lzf takes five times as long to read as
the bare values (57 ns a count), and a score reads them twice. Processor seconds and peak memory are those of each command's process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from challenge import FULL, World

CONTEXTS = ("A", "B", "C")
LINES = ("K562", "RPE1")
"""Of the training data: an entry is predicted from them."""
TRAIN_CELLS = 20
KEPT = 0.7
"""Share of the counts of a deeper cell that a cell without an effect has."""
POOL = 2_000
"""Deeper cells of a context."""


class Panel:
    """Control and perturbed cells, thinned from deeper cells of one pool for each context."""

    def __init__(self, controls: int, targets: int, genes: int) -> None:
        self.names = [f"G{i:05d}" for i in range(genes)]
        self.n_controls, self.n_targets = controls, targets
        self.targets = self.names[:: genes // targets][:targets]
        rng = np.random.default_rng(0)
        changed = rng.random((targets, genes)) < 0.05
        self.effect = np.where(changed, rng.normal(-0.3, 0.5, (targets, genes)), 0.0).clip(max=-np.log(KEPT))
        self.pool, self.pool_of = sp.csr_matrix((0, genes)), ""

    def cells(self, context: str, target: int | None, n: int, like: float, seed: int) -> sp.csr_matrix:
        """Cells of one condition, with so much of the effect, or control cells."""
        rng = np.random.default_rng([seed, *context.encode(), target or 0])
        if context != self.pool_of:
            world = World(len(self.names), sum(context.encode()))
            blocks = [world.cells(400, 0.0, depth=9000 / KEPT) for _ in range(POOL // 400)]
            self.pool, self.pool_of = sp.vstack(blocks, "csr"), context
        x = self.pool[rng.integers(0, POOL, n)]
        effect = np.zeros(len(self.names)) if target is None else like * self.effect[target]
        kept = (KEPT * np.exp(effect)).astype(np.float32)[x.indices]
        x.data = np.floor(x.data * kept + rng.random(x.nnz, dtype=np.float32))
        x.eliminate_zeros()
        return x

    def conditions(self, contexts: tuple[str, ...], *, controls: int, cells: int) -> list[tuple[str, int | None, int]]:
        """Context, target and number of cells."""
        return [
            one
            for context in contexts
            for one in [(context, None, controls), *((context, t, cells) for t in range(self.n_targets))]
            if one[2]
        ]

    def write(self, path: Path, conditions: list[tuple[str, int | None, int]], like: float, seed: int) -> None:
        """An h5ad file, a condition at a time."""
        blocks = (self.cells(context, target, n, like, seed) for context, target, n in conditions)
        labels = [
            (context, "non-targeting" if target is None else self.targets[target]) for context, target, _ in conditions
        ]
        obs = pd.DataFrame(labels, columns=["context", "target_gene"]).loc[
            np.repeat(np.arange(len(labels)), [n for _, _, n in conditions])
        ]
        obs.index = pd.Index([f"c{i}" for i in range(len(obs))])
        write_stream(path, blocks, obs.astype("category"), self.names)


def write_stream(path: Path, blocks: Iterator[sp.csr_matrix], obs: pd.DataFrame, genes: list[str]) -> None:
    """Write cells that come block by block."""
    with h5py.File(path, "w") as file:
        ad.io.write_elem(file, "X", next(blocks), dataset_kwargs={"chunks": (1 << 18,)})
        x = ad.io.sparse_dataset(file["X"])
        for block in blocks:
            x.append(block)
        ad.io.write_elem(file, "obs", obs)
        ad.io.write_elem(file, "var", pd.DataFrame(index=genes))
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})


def run(*words: str | Path) -> dict[str, Any]:
    """Cost of one command of cycseq."""
    started, load = time.perf_counter(), os.getloadavg()[0]
    process = subprocess.Popen([sys.executable, "-m", "cycseq", *map(str, words)])
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{words[0]} failed")
    return {
        "command": words[0],
        "minutes": (time.perf_counter() - started) / 60,
        "cpu_minutes": (used.ru_utime + used.ru_stime) / 60,
        "peak_gib": used.ru_maxrss / 2**20,
        "load_before": load,
        "load_after": os.getloadavg()[0],
    }


def score(panel: Panel, folder: Path, cells: int, memory: str) -> list[dict[str, Any]]:
    """Score simulated predictions against simulated real cells."""
    real, predicted = folder / "real.h5ad", folder / "pred.h5ad"
    panel.write(real, panel.conditions(CONTEXTS, controls=panel.n_controls, cells=cells), 1.0, 1)
    panel.write(predicted, panel.conditions(CONTEXTS, controls=0, cells=cells), 0.5, 2)
    print(
        f"real {real.stat().st_size / 2**30:.1f} GiB, predicted {predicted.stat().st_size / 2**30:.1f} GiB", flush=True
    )
    words = ["--perturbation-key", "target_gene", "--context-key", "context", "--control", "non-targeting"]
    cost = run(
        "evaluate", "--predicted", predicted, "--real", real, *words, "--metrics", "vcc2026",
        "--memory", memory, "--overwrite", "--out", folder / "m.csv",
    )  # fmt: skip
    for path in (real, predicted, folder / "m.csv"):
        path.unlink()
    return [cost]


def enter(panel: Panel, folder: Path, cells: int, memory: str) -> list[dict[str, Any]]:
    """Make an entry from training data of other lines and the challenge's control cells."""
    train, controls, counts = (folder / name for name in ("train.h5ad", "controls.h5ad", "counts.h5ad"))
    panel.write(controls, panel.conditions(CONTEXTS, controls=panel.n_controls, cells=0), 1.0, 1)
    panel.write(train, panel.conditions(LINES, controls=min(panel.n_controls, 1000), cells=TRAIN_CELLS), 1.0, 3)
    (folder / "gene_names.csv").write_text("\n".join(["gene_name", *panel.names]))
    (folder / "pert_counts.csv").write_text("\n".join(["target_gene", *panel.targets]))
    (folder / "manifest.json").write_text(json.dumps({"contexts": CONTEXTS}))
    conditions = ",".join(f"{context}:{target}" for context in CONTEXTS for target in panel.targets)
    costs = [
        run("fit", "--data", train, "--model", "ContextAdditive", "--run", folder / "run", "--overwrite"),
        run(
            "predict", "--run", folder / "run", "--controls", controls, "--conditions", conditions, "--as", "counts",
            "--cells", str(cells), "--memory", memory, "--overwrite", "--out", counts,
        ),
        run(
            "convert", counts, "--to", "vcc", "--genes-file", folder / "gene_names.csv", "--targets",
            folder / "pert_counts.csv", "--memory", memory, "--overwrite", "--out", folder / "entry.vcc",
        ),
    ]  # fmt: skip
    for path in (counts, folder / "entry.vcc"):
        print(f"{path.name} {path.stat().st_size / 2**30:.1f} GiB", flush=True)
    for path in (train, controls, counts, folder / "entry.vcc"):
        path.unlink()
    return costs


def compare(panel: Panel, folder: Path, cells: int, memory: str) -> list[dict[str, Any]]:
    """A benchmark of all baselines and of ConditionKriging, the last context held out; what is there already is not made again."""
    real, made = folder / "real.h5ad", folder / "real.part.h5ad"
    if not real.exists():
        panel.write(made, panel.conditions(CONTEXTS, controls=panel.n_controls, cells=cells), 1.0, 1)
        made.rename(real)
    print(f"real {real.stat().st_size / 2**30:.1f} GiB", flush=True)
    cost = run(
        "benchmark", "--data", real, "--split", "unseen-context", "--context", CONTEXTS[-1], "--models",
        "baselines,ConditionKriging", "--seeds", "1", "--metrics", "vcc2026", "--memory", memory, "--out", folder / "benchmark",
    )  # fmt: skip
    real.unlink()
    return [cost]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=int, default=1, help="One part of so many of the targets and control cells.")
    parser.add_argument("--only", choices=["score", "enter", "benchmark"])
    parser.add_argument(
        "--memory", help="For the command, in place of what a score (8GiB) and an entry (4GiB) may use."
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    controls, targets, cells, genes = FULL
    panel = Panel(controls // options.share, targets // options.share, genes)
    costs = []
    if options.only in {None, "score"}:
        costs += score(panel, options.folder, cells, options.memory or "8GiB")
    if options.only in {None, "enter"}:
        costs += enter(panel, options.folder, cells, options.memory or "4GiB")
    if options.only == "benchmark":
        costs += compare(panel, options.folder, cells, options.memory or "8GiB")
    table = pd.DataFrame(costs).round(2)
    table.to_csv(options.folder / f"costs_{options.share}.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
