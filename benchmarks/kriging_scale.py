"""Time and memory of ConditionKriging's numerics against the number of conditions and genes, on random responses.

`python benchmarks/kriging_scale.py [--largest]` prints Markdown: seconds to learn, seconds to predict every condition of
the grid, and the highest memory of the process so far. `--largest` ends with 10,000 conditions x 10,000 genes.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from cycseq.kriging.field import Field
from cycseq.kriging.learning import learn_settings
from cycseq.kriging.measured import ControlLevels, Measured

GRID = [(4, 25, 1_000), (4, 100, 1_000), (4, 400, 1_000), (4, 100, 4_000), (20, 100, 1_000), (50, 40, 2_000)]
"""Contexts, perturbations, genes."""
LARGEST = (4, 2_500, 10_000)


def grid(contexts: int, perturbations: int, genes: int, seed: int = 0) -> Measured:
    """Responses that contexts share by half, with a tenth of the grid missing."""
    rng = np.random.default_rng(seed)
    kept = np.flatnonzero(rng.random(contexts * perturbations) < 0.9)
    context, perturbation = kept % contexts, kept // contexts
    shared = rng.normal(size=(perturbations, genes), scale=0.2).astype(np.float32)
    delta = rng.normal(size=(len(kept), genes), scale=0.25).astype(np.float32)
    delta += shared[perturbation]
    noise = np.full(delta.shape, 0.01, dtype=np.float32)
    levels = rng.gamma(1.0, 0.5, size=(contexts, genes))
    return Measured(
        names=tuple(f"P{i}" for i in perturbation),
        context=context.astype(np.int64),
        delta=delta,
        cell_noise=noise,
        control_noise=noise,
        levels=ControlLevels(tuple(f"L{i}" for i in range(contexts)), levels, np.full_like(levels, 0.001)),
    )


def measure_cost(contexts: int, perturbations: int, genes: int) -> str:
    measured = grid(contexts, perturbations, genes)
    started = time.perf_counter()
    settings = learn_settings(measured)
    learned = time.perf_counter()
    field = Field(measured, settings, measured.levels.mean)
    checksum = sum(float(field.response(name).mean.sum()) for name in settings.strength)
    done = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    assert np.isfinite(checksum)
    return (
        f"| {contexts} | {perturbations:,} | {len(measured.names):,} | {genes:,} | {learned - started:.1f} "
        f"| {done - learned:.1f} | {memory:.1f} |"
    )


def main() -> None:
    print(
        "| contexts | perturbations | conditions | genes | learn, s | predict all, s | peak GiB |\n|---|---|---|---|---|---|---|"
    )
    for sizes in [*GRID, *([LARGEST] if "--largest" in sys.argv else [])]:
        print(measure_cost(*sizes), flush=True)


if __name__ == "__main__":
    main()
