"""Cells per second in training the VAE, beside its bare matrix products, taking turns in one run.

    python benchmarks/training_throughput.py [--cells 6000] [--genes 2000] [--rounds 5] [--precision 32|fast32|bf16]

The data lie in memory. "products" are those of one step and nothing else: forward, and backward to weights and (but for
cells) inputs. "step" is what training does: cells gathered, losses, gradients clipped, Adam. OMP_NUM_THREADS fixes the
threads. On a CPU, times are of the processor, so that a busy machine counts little; on a GPU, elapsed.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import numpy as np
import torch

from cycseq.batches import Feeder, Vocabulary, encoded
from cycseq.data.dataset import PerturbationData
from cycseq.models.vae import VAE
from cycseq.training.memory import memory_kept
from cycseq_step import DEVICE, Plainly, made_up, seconds


def products(n_genes: int, n_cells: int) -> Callable[[int], None]:
    widths = [(n_genes, 256), (256, 128), (128, 128), (128, 128), (128, 256), (256, n_genes)]
    triples = [
        tuple(torch.randn(shape, device=DEVICE) for shape in ((n_cells, a), (b, a), (n_cells, b))) for a, b in widths
    ]

    def step(_i: int) -> None:
        for layer, (x, w, g) in enumerate(triples):
            torch.mm(x, w.T), torch.mm(g.T, x)
            if layer:
                torch.mm(g, w)

    return step


def step_of(data: PerturbationData, batch_size: int, likelihood: str, *, low: bool) -> Callable[[int], None]:
    vocabulary = Vocabulary.of(data)
    cells = encoded(data, vocabulary)
    model = VAE(likelihood=likelihood, batch_size=batch_size)
    torch.manual_seed(0)
    net = model.build(vocabulary.sizes(len(data.genes)))
    model.initialise(net, cells, np.arange(cells.n_cells), seed=0)
    net.to(DEVICE)
    feeder, plainly = Feeder(cells, np.arange(cells.n_cells), batch_size, 0), Plainly(model.optimisers(net))

    def step(i: int) -> None:
        batch = feeder.batch(0, i % feeder.n_steps).to(DEVICE)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=low):
            model.step(net, batch, plainly)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("cells", 6_000), ("genes", 2_000), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=("32", "fast32", "bf16"), default="32", help="Of the steps.")
    options = parser.parse_args()
    data = made_up(options.cells, options.genes, 20)
    data.adata.obs["total_counts"] = np.float32(1e4)
    torch.set_float32_matmul_precision("medium" if options.precision == "fast32" else "highest")
    print(f"{options.cells:,} cells x {options.genes:,} genes, {DEVICE}, {torch.get_num_threads()} threads, ", end="")
    print(f"{options.precision}; medians of {options.rounds} rounds")
    for batch_size in (128, 256, 1024):
        n = max(4, 4096 // batch_size)
        forms = {"products": products(options.genes, batch_size)}
        for likelihood in ("mse", "nb", "zinb"):
            forms[likelihood] = step_of(data, batch_size, likelihood, low=options.precision == "bf16")
        with memory_kept():
            for step in forms.values():
                step(0)
            found = [{name: seconds(step, 0, n) for name, step in forms.items()} for _ in range(options.rounds)]
        for name in forms:
            each = statistics.median(one[name] for one in found)
            share = statistics.median(one["products"] / one[name] for one in found)
            print(
                f"batch {batch_size:5d}  {name:9s} {each * 1e3:8.1f} ms  {batch_size / each:10,.0f} cells/s  {share:.2f}"
            )


if __name__ == "__main__":
    main()
