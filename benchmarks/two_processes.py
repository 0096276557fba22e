"""Two processes that train together against one: the same numbers where nothing is drawn and nothing looks at the batch.

    python benchmarks/two_processes.py

A linear network without dropout, noise or batch norm is trained by one and by two CPU processes on the same batches
(128 cells, shared out evenly). Weights must agree within float error. Then `Autoencoder`, `GAN` and `CycSeq` in their
default forms, whose dropout, noise and batch norm are each process's own: the difference is printed, not asserted.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cycseq.models import build_model
from cycseq.models.networks.batches import Feeder, Vocabulary, encode
from cycseq.models.networks.blocks.batch import Batch
from cycseq.models.networks.training.loop import train
from cycseq.preparation.prepare import as_log1p
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

EPOCHS = 5


@dataclass
class Linear:
    """Cells from cells, by one matrix."""

    devices: int
    num_nodes: int = 1
    num_epochs: int = EPOCHS
    patience: int = 100
    gradient_norm: float = 1.0
    schedule: str = "constant"
    precision: str = "32"
    accelerator: str = "cpu"

    def optimisers(self, net: nn.Module) -> dict[str, torch.optim.Optimizer]:
        """Adam."""
        return {"loss": torch.optim.Adam(net.parameters(), 1e-2)}

    def step(self, net: nn.Module, batch: Batch, training: object) -> dict[str, Tensor]:
        """One update."""
        loss = (net(batch.x) - batch.x).square().mean()
        training.minimise("loss", loss)
        return {"loss": loss}

    def validate(self, net: nn.Module, feeder: Feeder) -> dict[str, float]:
        """The error on cells kept."""
        errors = [float((net(batch.x) - batch.x).square().mean()) for batch in feeder.all_batches()]
        return {"loss": float(np.mean(errors))}


def linear(processes: int) -> tuple[np.ndarray, list[float]]:
    data = as_log1p(simulate(SimulateSettings(contexts=2, perturbations=5, cells=1_280, genes=100)))
    cells = encode(data, Vocabulary.of(data))
    torch.manual_seed(0)
    net = nn.Linear(100, 100)
    feeders = Feeder(cells, np.arange(1_024), 128, 0), Feeder(cells, np.arange(1_024, 1_280), 256, 0)
    state = train(Linear(devices=processes), net, *feeders, run=None, identity="")
    return state.best_net["weight"].numpy(), [row["loss"] for row in state.history]


def model(name: str, processes: int) -> tuple[float, float]:
    data = simulate(SimulateSettings(contexts=3, perturbations=8, cells=2_400, genes=300, seed=1))
    parts = make_splits(as_log1p(data), SplitSettings(context="Line3"))[0].parts(as_log1p(data))
    built = build_model(name, {"num_epochs": EPOCHS, "accelerator": "cpu", "devices": processes})
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        built.fit(parts.train, parts.validation, run=Path(folder))
    return built.learned.facts["best_loss"], time.perf_counter() - started


if __name__ == "__main__":
    (one, losses), (two, others) = linear(1), linear(2)
    print(
        f"linear: largest difference of weights {np.abs(one - two).max():.2e} (largest weight {np.abs(one).max():.2f})"
    )
    print(f"        losses {losses[-1]:.6f} and {others[-1]:.6f}")
    np.testing.assert_allclose(one, two, atol=1e-4)
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    for name in ("Autoencoder", "GAN", "CycSeq"):
        found = {n: model(name, n) for n in (1, 2)}
        print(
            f"{name}: best validation loss " + ", ".join(f"{v:.4f} with {n} ({s:.0f} s)" for n, (v, s) in found.items())
        )
