"""Every command on a table of effects of 10,000 conditions x 10,000 genes: time, processor time and peak memory, a line each.

python benchmarks/effects_scale.py --folder /tmp/scale
python benchmarks/effects_scale.py --folder /tmp/scale --models LowRank ConditionKriging
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects

CONTEXTS, PERTURBATIONS, GENES, PROGRAMS = 10, 1_000, 10_000, 20
MODELS = ("ContextAdditive", "ResponseKernel", "ContextRidge", "LowRank", "Stacked", "ConditionKriging")


def write_table(path: Path) -> None:
    """Twenty programs of perturbations, which every context turns into genes in a way of its own, with as much noise."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(PERTURBATIONS, PROGRAMS)).astype(np.float32)
    values = np.empty((CONTEXTS * PERTURBATIONS, GENES), dtype=np.float32)
    for c in range(CONTEXTS):
        loadings = rng.normal(size=(PROGRAMS, GENES)).astype(np.float32)
        noise = rng.standard_normal((PERTURBATIONS, GENES), dtype=np.float32)
        values[c * PERTURBATIONS : (c + 1) * PERTURBATIONS] = scores @ loadings + noise
    conditions = [Condition(f"c{c}", f"P{p}") for c in range(CONTEXTS) for p in range(PERTURBATIONS)]
    genes = [f"G{g}" for g in range(GENES)]
    Effects.from_arrays(values, conditions, genes, scale="log_fold_change").write(path, overwrite=True)


def timed(what: str, *words: object) -> None:
    """Run one command in a process of its own; print its time and the most memory that it held."""
    code = (
        "import resource, sys; from cycseq.cli import main; status = main(sys.argv[1:]); "
        "used = resource.getrusage(resource.RUSAGE_SELF); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr); sys.exit(status)"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], check=True, capture_output=True, text=True)
    *_, processor, memory = done.stderr.split()
    times = f"{time.perf_counter() - started:.0f} s | {float(processor):.0f} s"
    print(f"| {what} | {times} | {int(memory) / 2**20:.1f} GiB |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Where the table (400 MB) and the runs are written.")
    parser.add_argument("--models", nargs="+", default=MODELS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    table, split = options.folder / "effects.h5ad", options.folder / "split.json"
    write_table(table)
    timed("inspect", "inspect", table)
    timed(
        "split",
        "split",
        "--data",
        table,
        "--kind",
        "unseen-pair",
        "--context",
        "c0",
        "--out",
        split,
        "--overwrite",
        "true",
    )
    for model in options.models:
        run, predicted = options.folder / model, options.folder / "predicted.h5ad"
        again = ("--overwrite", "true")
        timed(f"fit {model}", "fit", "--data", table, "--split", split, "--model", model, "--run", run, *again)
        timed(f"predict 200 conditions, {model}", "predict", "--run", run, "--out", predicted, *again)
    scores = options.folder / "scores.csv"
    timed("evaluate", "evaluate", "--predicted", predicted, "--real", table, "--out", scores, "--overwrite", "true")


if __name__ == "__main__":
    main()
