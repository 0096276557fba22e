"""Time and memory of ConditionKriging's numerics against the number of conditions and of genes, on random responses.

    python benchmarks/kriging_scale.py [--plot docs/models/condition_kriging_cost.png] [--largest]

Prints Markdown: seconds of processor (one thread, so that a busy machine does not count) to learn and to predict every
condition of the grid, and the memory that this took beyond the responses' own; each size in a process of its own. The
slopes are those of a straight line through the logarithms: 1 is linear. `--largest` ends with 10,000 conditions x 10,000 genes.
"""

from __future__ import annotations

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from cycseq.models.kriging.model import ConditionKriging
from speed_stages.kriging import everything, grid

CONDITIONS = [(4, 50, 1_000), (4, 200, 1_000), (4, 800, 1_000)]
"""Contexts, perturbations, genes: more and more conditions."""
GENES = [(4, 50, 1_000), (4, 50, 4_000), (4, 50, 16_000)]
CONTEXTS = [(20, 40, 1_000), (50, 16, 1_000)]
"""As many conditions as the second of `CONDITIONS`, in more contexts."""
SCREEN = (4, 278, 6_000)
"""About 1,000 conditions of a whole transcriptome."""
LARGEST = (4, 2_500, 10_000)


@dataclass(frozen=True)
class Cost:
    """What one size took."""

    contexts: int
    perturbations: int
    conditions: int
    genes: int
    learn: float
    predict: float
    gib: float
    """Highest memory of the process beyond what Python and the libraries took: responses, their noise, and the work."""

    @property
    def row(self) -> str:
        """Of the table."""
        return (
            f"| {self.contexts} | {self.perturbations:,} | {self.conditions:,} | {self.genes:,} | {self.learn:.1f} "
            f"| {self.predict:.1f} | {self.gib:.3f} |"
        )


def measure_cost(sizes: tuple[int, int, int]) -> Cost:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measured = grid(*sizes)
    started = time.process_time()
    model = ConditionKriging(features=None).fit_effects(measured, task="unseen-pair")
    learned = time.process_time()
    contexts, perturbations, genes = sizes
    checksum = float(model.predict_effects(everything(contexts, perturbations)).effect.sum())
    done = time.process_time()
    assert np.isfinite(checksum)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024**2
    return Cost(contexts, perturbations, len(measured.conditions()), genes, learned - started, done - learned, memory)


def in_own_process(sizes: tuple[int, int, int]) -> Cost:
    """So that its highest memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure_cost, sizes).result()


def slope(x: list[int], y: list[float]) -> float:
    """Of log y on log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def plot(of_conditions: list[Cost], of_genes: list[Cost], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(8.4, 5.4), layout="constrained", sharey="row", sharex="col")
    for column, (costs, name) in enumerate(((of_conditions, "conditions"), (of_genes, "genes"))):
        x = [getattr(cost, name) for cost in costs]
        lines = {
            "learn": [cost.learn for cost in costs],
            "predict all": [cost.predict for cost in costs],
        }
        fixed = f"{costs[0].genes:,} genes" if name == "conditions" else f"{costs[0].conditions:,} conditions"
        for (label, y), colour in zip(lines.items(), ("#0072b2", "#d55e00"), strict=True):
            axes[0, column].plot(x, y, "o-", color=colour, label=f"{label}: slope {slope(x, y):.2f}")
        gib = [cost.gib for cost in costs]
        axes[1, column].plot(x, gib, "o-", color="#009e73", label=f"memory: slope {slope(x, gib):.2f}")
        axes[1, column].set_xlabel(f"{name} (4 contexts, {fixed})")
        for ax in axes[:, column]:
            ax.set(xscale="log", yscale="log")
            ax.grid(color="#dfe3e8", linewidth=0.8)
            ax.spines[["top", "right"]].set_visible(False)
            ax.legend(frameon=False, fontsize=9)
        axes[1, column].set_xticks(x, [f"{value:,}" for value in x])
        axes[1, column].minorticks_off()
    for ax, ticks in ((axes[0, 0], (1, 2, 5, 10, 20, 40)), (axes[1, 0], (0.05, 0.1, 0.2))):
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("processor, s (one thread)")
    axes[1, 0].set_ylabel("memory, GiB")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--largest", action="store_true")
    options = parser.parse_args()
    print("| contexts | perturbations | conditions | genes | learn, s | predict all, s | memory, GiB |")
    print("|---|---|---|---|---|---|---|")
    known: dict[tuple[int, int, int], Cost] = {}
    for sizes in [*CONDITIONS, *GENES, *CONTEXTS, SCREEN, *([LARGEST] if options.largest else [])]:
        if sizes not in known:
            known[sizes] = in_own_process(sizes)
            print(known[sizes].row, flush=True)
    if options.plot:
        plot([known[sizes] for sizes in CONDITIONS], [known[sizes] for sizes in GENES], options.plot)


if __name__ == "__main__":
    main()
