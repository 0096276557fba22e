"""Seconds and memory of `simulate`, on one thread; each size in a process of its own.

python benchmarks/simulate_speed.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

SIZES = [(12_000, 2_000, 40), (12_000, 5_000, 40), (48_000, 2_000, 100)]
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
LIMIT = 30.0
"""Seconds for the first size, which is what the project asks for."""


def measure(cells: int, genes: int, perturbations: int) -> None:
    from cycseq.data.simulate import SimulateSettings, simulate

    wall, busy = time.perf_counter(), time.process_time()
    data = simulate(SimulateSettings(cells=cells, genes=genes, perturbations=perturbations, seed=1))
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    zeros = 1 - data.x.nnz / (data.n_cells * len(data.genes))
    print(
        f"| {cells:,} x {genes:,} | {perturbations} | {wall:.1f} | {busy:.1f} | {peak:.2f} | {zeros:.0%} |", flush=True
    )
    if (cells, genes, perturbations) == SIZES[0] and busy > LIMIT:
        sys.exit(f"{busy:.1f} s of processor time, more than the {LIMIT:.0f} s that are asked for")


def main() -> None:
    print(
        "| cells x genes | perturbations | seconds | processor seconds | peak GiB | zeros |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for size in SIZES:
        subprocess.run([sys.executable, __file__, *map(str, size)], check=True, env={**os.environ, **THREADS})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(*map(int, sys.argv[1:]))
    else:
        main()
