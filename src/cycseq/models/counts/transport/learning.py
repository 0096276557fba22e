"""The training of a transport: losses on pseudo-pairs, which are found anew in every epoch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss, smooth_l1_loss

from cycseq.data.dataset import Condition
from cycseq.models.counts.transport.fitted import Transport
from cycseq.models.counts.transport.pairs import Pairs
from cycseq.models.networks.batches import Encoded, Feeder, Vocabulary
from cycseq.models.networks.blocks.batch import Batch, aligned
from cycseq.models.networks.blocks.losses import condition_means
from cycseq.models.networks.blocks.transport import TransportNet, energy_distance, mean_discrepancy
from cycseq.models.networks.training.adapter import TrainingSettings
from cycseq.models.networks.training.loop import train

ALL = 4096
"""Rows that are looked at together outside of training."""


@dataclass(frozen=True)
class TransportSettings:
    """How a transport is trained; the fields of `CycleTransport` say what each means."""

    lambda_pair: float
    lambda_cycle: float
    lambda_mmd: float
    lambda_mean: float
    width: int
    num_epochs: int
    batch_size: int
    learning_rate: float
    patience: int
    held_out: float


def learn_transport(
    pairs: Pairs,
    settings: TransportSettings,
    *,
    validation: Collection[Condition] = (),
    seed: int,
    run: Path | None,
    identity: str,
) -> Transport:
    """The transport of the epoch that was best on conditions kept for validation; `helps` says if it beats none at all.

    Parameters
    ----------
    pairs
        Of all conditions.
    settings
        How to train.
    validation
        The conditions to validate on; none given chooses a share of all.
    seed
        Fixes everything random.
    run, identity
        As of `training.loop.train`.
    """
    perturbed = sorted({part for c in pairs.conditions for part in c.parts})
    vocabulary = Vocabulary(tuple(perturbed), tuple(sorted({c.context for c in pairs.conditions})), ())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = TransportNet(vocabulary.sizes(pairs.base.shape[1]), width=settings.width)
    cells, kept = _encoded(pairs, vocabulary), pairs.kept(settings.held_out, seed, validation)
    if not len(kept):
        return Transport(net.eval(), vocabulary, {"helps": False, "validated_on": []})
    learning = np.setdiff1d(np.arange(cells.n_cells), kept)
    learner, validating = Learner(pairs, cells, settings), Feeder(cells, kept, ALL, seed)
    with torch.no_grad():
        without = learner.validate(net.eval(), validating)["loss"]
    training = TrainingSettings(
        num_epochs=settings.num_epochs,
        patience=settings.patience,
        gradient_norm=1.0,
        schedule="constant",
        precision="32",
        accelerator="cpu",  # a network this small is slower anywhere else
        devices=1,
        num_nodes=1,
    )
    feeder = Feeder(cells, learning, settings.batch_size, seed)
    state = train(learner, net.train(), feeder, validating, training, run=run, identity=identity)
    if state.best_net:
        net.load_state_dict(state.best_net)
    facts = {
        "helps": bool(state.best_net) and state.best_loss < without,
        "validated_on": sorted({str(pairs.conditions[i]) for i in pairs.condition[kept]}),
        "energy_distance": state.best_loss if state.best_net else None,
        "energy_distance_without": without,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
    }
    return Transport(net.cpu().eval(), vocabulary, facts)


class Learner:
    """The losses of a transport, as the training loop asks for them.

    T(x) = base + h(control) and its inverse R(y) = y - response + h'(y). The batch's `x` holds the numbers of the rows.
    """

    def __init__(self, pairs: Pairs, cells: Encoded, settings: TransportSettings) -> None:
        self.pairs, self.cells, self.settings = pairs, cells, settings
        points = {name: getattr(pairs, name) for name in ("control", "base", "real", "response")}
        self.points = {name: aligned(a.astype(np.float32, copy=False)) for name, a in points.items()}
        self.condition = torch.from_numpy(pairs.condition)
        self.partner = torch.arange(cells.n_cells)

    def optimisers(self, net: TransportNet) -> dict[str, torch.optim.Optimizer]:
        """Adam for all."""
        return {"transport": torch.optim.Adam(net.parameters(), self.settings.learning_rate)}

    def step(self, net: TransportNet, batch: Batch, optimisers: Any) -> dict[str, Tensor]:
        """One update; at the beginning of an epoch all cells are paired anew."""
        if optimisers.step_of_epoch == 0 and self.settings.lambda_pair:
            self._pair(net)
        losses = self.losses(net, batch)
        optimisers.minimise("transport", losses["transport"])
        return losses

    def validate(self, net: TransportNet, feeder: Feeder) -> dict[str, float]:
        """Energy distance of moved from real cells, condition by condition."""
        moved, rows = self._moved(net, feeder)
        distance = energy_distance(moved, self.points["real"][rows], self.condition[rows])
        return {"loss": float(distance)}

    def losses(self, net: TransportNet, batch: Batch) -> dict[str, Tensor]:
        """All losses, by name."""
        rows = _rows(batch)
        control, base, response = (self.points[name][rows] for name in ("control", "base", "response"))
        real = self.points["real"][self.partner[rows]]
        change = net("perturb", control, batch)
        moved, restored = base + change, real - response + net("restore", real, batch)
        moved_back = moved - response + net("restore", moved, batch)
        restored_back = restored + response + net("perturb", restored, batch)
        losses = {
            "pair": smooth_l1_loss(moved, real) + smooth_l1_loss(restored, control),
            "cycle": mse_loss(moved_back, base - response) + mse_loss(restored_back, real),
            "mmd": mean_discrepancy(moved, real, self.condition[rows]),
            "mean": condition_means(batch, [change])[0].square().mean(),
        }
        weighted = [getattr(self.settings, f"lambda_{name}") * loss for name, loss in losses.items()]
        return {**losses, "transport": torch.stack(weighted).sum()}

    def _pair(self, net: TransportNet) -> None:
        with torch.no_grad():
            moved, _ = self._moved(net, Feeder(self.cells, np.arange(self.cells.n_cells), ALL, 0))
        self.partner = torch.from_numpy(self.pairs.partners(moved.numpy()))

    def _moved(self, net: TransportNet, feeder: Feeder) -> tuple[Tensor, Tensor]:
        """T(x) of all rows of a feeder, and which rows they are."""
        moved, rows = [], []
        for batch in feeder.all_batches():
            rows.append(_rows(batch))
            moved.append(self.points["base"][rows[-1]] + net("perturb", self.points["control"][rows[-1]], batch))
        return torch.cat(moved), torch.cat(rows)


def _rows(batch: Batch) -> Tensor:
    return batch.x[:, 0].long()


def _encoded(pairs: Pairs, vocabulary: Vocabulary) -> Encoded:
    """The pairs as the feeder takes cells: in place of genes, each row has its own number."""
    n, none = len(pairs.condition), np.zeros(0, dtype=np.int64)
    width = max(len(c.parts) for c in pairs.conditions)
    context = np.array([vocabulary.contexts.index(c.context) + 1 for c in pairs.conditions])
    numbers = np.arange(n, dtype=np.float32)[:, None]
    return Encoded(
        x=numbers,
        blocks=None,
        parts=np.stack([vocabulary.places(c, width) for c in pairs.conditions])[pairs.condition],
        context=context[pairs.condition],
        batch=np.zeros(n, dtype=np.int64),
        total=np.ones(n, dtype=np.float32),
        matched=np.zeros(n, dtype=np.int64),
        control_x=numbers,
        controls=none,
        first=none,
        n_controls=none,
        counted=False,
    )
