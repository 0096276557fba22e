"""A training step of the VAE beside its bare matrix products, taking turns, on cells in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speed_stages.limits import Limits
from speed_stages.measure import Form, Row, at_best, rows, together

FULL = {"cells": 6_000, "genes": 2_000, "batches": [128, 256, 1024], "rounds": 5, "in_round": 1024}
QUICK = {"cells": 300, "genes": 60, "batches": [32], "rounds": 1, "in_round": 64}
LIKELIHOODS = ("mse", "nb", "zinb")


def stage(limits: Limits, size: dict[str, Any]) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table: "products" are the matrix products of a step and nothing else."""
    lines = []
    for batch in size["batches"]:
        arguments = {**size, "batch": batch}
        found = together(Form("vae_step", "vae_step", "forms", arguments))
        n = max(2, size["in_round"] // batch)
        what = f"batch {batch:,}, {size['genes']:,} genes, {n} steps"
        for form in found:
            if form in LIKELIHOODS:
                kinds = {name: _kind(name) for name in found if form in name.split()}
                lines += rows("vae-step", what, found, kinds)
            if form == "mse":
                least = n * operations(size["genes"], batch) / limits.flops
                lines.append(
                    at_best("vae-step", what, lines[-len(kinds)], "products of mse, at the peak of large ones", least)
                )
    return lines, {}


def _kind(name: str) -> str:
    return "limit" if name.startswith("products") else "ours"


def layers(n_genes: int, *, zinb: bool = False) -> list[tuple[int, int]]:
    """Inputs and outputs of every layer of the default VAE, which is told nothing here."""
    back = [(128, 256), (256, n_genes)] + ([(256, n_genes)] if zinb else [])
    return [(n_genes, 256), (256, 128), (128, 128), (128, 128), *back]


def operations(n_genes: int, batch: int) -> float:
    """Multiplications and additions of a step: forward, to the weights, and (but for cells) to the inputs."""
    return 2.0 * batch * sum((2 if i == 0 else 3) * a * b for i, (a, b) in enumerate(layers(n_genes)))


def forms(
    cells: int, genes: int, batch: int, rounds: int, in_round: int, batches: list[int]
) -> Callable[[], dict[str, Any]]:
    """What `stage` times for one size of batch."""
    from cycseq.models.networks.training.memory import keep_memory
    from speed_stages.child import turns
    from speed_stages.steps import PRECISIONS, made_up

    data, n = made_up(cells, genes, 20), max(2, in_round // batch)
    work: dict[str, Callable[[int], None]] = {}
    for likelihood in LIKELIHOODS:
        for name, low in PRECISIONS.items():
            work[likelihood + name] = step_of(data, batch, likelihood, low=low)
        work[f"products of {likelihood}"] = products(genes, batch, zinb=likelihood == "zinb")

    def several(step: Callable[[int], None]) -> Callable[[], None]:
        return lambda: [step(i) for i in range(n)] and None

    def taken() -> dict[str, Any]:
        with keep_memory():
            return turns({name: several(step) for name, step in work.items()}, rounds)

    return taken


def products(n_genes: int, n_cells: int, *, zinb: bool = False) -> Callable[[int], None]:
    """The matrix products of a step, as the network's layers and their gradients take them."""
    import torch

    from speed_stages.steps import DEVICE

    triples = [
        tuple(torch.randn(shape, device=DEVICE) for shape in ((n_cells, a), (b, a), (n_cells, b)))
        for a, b in layers(n_genes, zinb=zinb)
    ]

    def step(_i: int) -> None:
        for layer, (x, w, g) in enumerate(triples):
            torch.mm(x, w.T), torch.mm(g.T, x)
            if layer:
                torch.mm(g, w)

    return step


def step_of(data: Any, batch_size: int, likelihood: str, *, low: bool) -> Callable[[int], None]:
    """What training does: cells gathered, losses, gradients clipped, Adam."""
    import numpy as np
    import torch

    from cycseq.models.networks.batches import Feeder, Vocabulary, encode
    from cycseq.models.networks.vae import VAE
    from speed_stages.steps import DEVICE, Plainly

    vocabulary = Vocabulary.of(data)
    cells = encode(data, vocabulary)
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
