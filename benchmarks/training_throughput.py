"""Cells per second in training: the VAE against its bare matrix products, and a CycSeq step against the published form.

    python benchmarks/training_throughput.py [cells] [genes]

One process; OMP_NUM_THREADS fixes the threads. Times are of the processor, so that a busy machine counts little.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import torch

from cycseq.batches import Feeder, Vocabulary, encoded
from cycseq.data.dataset import PerturbationData
from cycseq.models.cycseq import CycSeq
from cycseq.models.vae import VAE

PUBLISHED = {"hidden": (1024, 512, 256), "latent": 128}
"""The published sizes, for both forms."""


class Plainly:
    """Minimises without Lightning."""

    done, step_of_epoch = 1.0, 0

    def __init__(self, optimisers: dict[str, torch.optim.Optimizer]) -> None:
        self.optimisers = optimisers

    def minimise(self, name: str, loss: torch.Tensor) -> None:
        """One step, its gradient clipped, as `Optimisers.minimise` does."""
        self.optimisers[name].zero_grad()
        loss.backward()
        parameters = [p for group in self.optimisers[name].param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimisers[name].step()


def made_up(n_cells: int, n_genes: int) -> PerturbationData:
    rng = np.random.default_rng(0)
    x = np.log1p(rng.poisson(0.5, (n_cells, n_genes))).astype(np.float32)
    obs = pd.DataFrame(
        {
            "context": rng.choice(["A", "B", "C"], n_cells),
            "perturbation": rng.choice(["control", *(f"P{i}" for i in range(20))], n_cells),
            "batch": "0",
        },
        index=[str(i) for i in range(n_cells)],
    ).astype("category")
    return PerturbationData(ad.AnnData(x, obs, pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])), scale="log1p")


def seconds(step: Callable[[int], object], repeats: int) -> float:
    step(0)
    started = time.process_time()
    for i in range(repeats):
        step(i)
    return (time.process_time() - started) / repeats


def products(widths: list[tuple[int, int]], n_cells: int) -> Callable[[int], None]:
    """The matrix products of one step and nothing else: forward, and backward to weights and (but for cells) inputs."""
    triples = [(torch.randn(n_cells, a), torch.randn(b, a), torch.randn(n_cells, b)) for a, b in widths]

    def step(_i: int) -> None:
        for layer, (x, w, g) in enumerate(triples):
            torch.mm(x, w.T), torch.mm(g.T, x)
            if layer:
                torch.mm(g, w)

    return step


def vae(data: PerturbationData, batch_size: int) -> dict[str, float]:
    vocabulary, n_genes = Vocabulary.of(data), len(data.genes)
    cells = encoded(data, vocabulary)
    rows, found = np.arange(cells.n_cells), {}
    for name, likelihood in (("mse", "mse"), ("nb", "nb")):
        model = VAE(likelihood=likelihood, batch_size=batch_size)
        net = model.build(vocabulary.sizes(n_genes))
        feeder, plainly = Feeder(cells, rows, batch_size, 0), Plainly(model.optimisers(net))
        found[f"VAE {name}"] = seconds(lambda i, m=model, n=net, f=feeder, p=plainly: m.step(n, f.batch(0, i), p), 20)
    found["products only"] = seconds(
        products([(n_genes, 256), (256, 128), (128, 128), (128, 128), (128, 256), (256, n_genes)], batch_size), 20
    )
    return found


def cycseq(data: PerturbationData, batch_size: int) -> dict[str, float]:
    vocabulary = Vocabulary.of(data)
    cells = encoded(data, vocabulary)
    rows, found = np.flatnonzero(cells.parts.any(axis=1)), {}
    forms = {
        "CycSeq published": (CycSeq(faithful=True), False),
        "CycSeq mended": (CycSeq(**PUBLISHED), False),
        "CycSeq mended, bf16": (CycSeq(**PUBLISHED), True),
    }
    for name, (model, low) in forms.items():
        net = model.build(vocabulary.sizes(len(data.genes)))
        feeder = Feeder(cells, rows, batch_size, 0, with_controls=True)
        plainly = Plainly(model.optimisers(net))

        def step(i: int, model=model, net=net, feeder=feeder, plainly=plainly, low=low) -> None:
            plainly.step_of_epoch = i
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                model.step(net, feeder.batch(0, i % feeder.n_steps), plainly)

        found[name] = seconds(step, 4)
    return found


def main() -> None:
    n_cells, n_genes = (int(word) for word in [*sys.argv[1:], "6000", "2000"][:2])
    data = made_up(n_cells, n_genes)
    counted = replace(data)
    counted.adata.obs["total_counts"] = 1e4
    print(f"{n_cells:,} cells x {n_genes:,} genes, {torch.get_num_threads()} threads")
    for batch_size in (128, 1024):
        for name, each in vae(counted, batch_size).items():
            print(f"{name:22s} batch {batch_size:5d}  {each * 1e3:8.1f} ms  {batch_size / each:10,.0f} cells/s")
    for name, each in cycseq(data, 1024).items():
        print(f"{name:22s} batch  1024  {each * 1e3:8.1f} ms  {1024 / each:10,.0f} cells/s")


if __name__ == "__main__":
    main()
