"""Pseudo-pairs of control and perturbed cells by optimal transport, and the training of a transport on them.

Cells are points in principal components. Row i of the pairs is: a control cell, the cell that the mean response alone
makes of it, and a real perturbed cell of the same condition and batch; which one is found anew in every epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import mse_loss, smooth_l1_loss

from cycseq.arrays import Codes
from cycseq.batches import Encoded, Feeder
from cycseq.nets.batch import Batch
from cycseq.nets.losses import condition_means
from cycseq.nets.transport import TransportNet, energy_distance, mean_discrepancy
from cycseq.training.adapter import TrainingSettings
from cycseq.training.loop import train

LARGEST = 512
"""So many cells are paired with each other at most; larger groups are paired in parts."""

PointArray = Float[np.ndarray, "cells components"]


@dataclass(frozen=True)
class Weights:
    """Weights of the losses."""

    pair: float
    cycle: float
    mmd: float
    mean: float


@dataclass
class Pairs:
    """Pseudo-pairs; row i of everything belongs together."""

    control: PointArray
    """Control cells."""
    base: PointArray
    """What the mean response alone makes of each."""
    real: PointArray
    """Perturbed cells, in any order within a group."""
    condition: Codes
    group: Codes
    """Condition and batch: within these, cells are paired."""
    parts: np.ndarray
    context: Codes

    def response(self) -> PointArray:
        """Mean of base minus control of each row's condition."""
        change = self.base - self.control
        n = np.bincount(self.condition)
        means = np.stack(
            [np.bincount(self.condition, weights=column) / np.maximum(n, 1) for column in change.T], axis=1
        )
        return np.asarray(means[self.condition], dtype=np.float32)

    def kept(self, share: float, seed: int) -> Codes:
        """Rows for validation: those of some conditions, or of all where there are fewer than three."""
        rng = np.random.default_rng([seed, 8])
        conditions = np.unique(self.condition)
        if len(conditions) < 3:
            n_kept = min(max(2, round(share * len(self.condition))), len(self.condition) - 2)
            return np.sort(rng.permutation(len(self.condition))[:n_kept])
        chosen = rng.permutation(conditions)[: max(1, round(share * len(conditions)))]
        return np.flatnonzero(np.isin(self.condition, chosen))

    def encoded(self) -> Encoded:
        """The rows as the feeder takes them: in place of genes, each has its own number."""
        n = len(self.control)
        none = np.zeros(n, dtype=np.int64)
        return Encoded(
            x=np.arange(n, dtype=np.float32)[:, None],
            parts=self.parts,
            context=self.context,
            batch=none,
            total=np.ones(n, dtype=np.float32),
            matched=none,
            controls=none[:0],
            first=none[:1],
            n_controls=none[:1],
            counted=False,
        )


def optimal_pairs(moved: PointArray, real: PointArray, group: Codes, *, seed: int) -> Codes:
    """For each row the row of the real cell that it is paired with: least total squared distance within each group.

    Groups larger than `LARGEST` are paired in parts drawn at random (minibatch optimal transport, Fatras et al. 2020).
    """
    from ot import emd

    rng = np.random.default_rng(seed)
    partner = np.arange(len(group))
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        shuffled = rng.permutation(rows)
        for part in np.array_split(shuffled, -(-len(rows) // LARGEST)):
            cost = (
                ((moved[part, None, :] - real[None, part, :]) ** 2).sum(axis=2)
                if len(part) <= 64
                else _squares(moved[part], real[part])
            )
            partner[part] = part[emd([], [], cost.astype(np.float64)).argmax(axis=1)]
    return partner


@dataclass
class Learner:
    """The losses of a transport, as the training loop asks for them."""

    pairs: Pairs
    weights: Weights
    learning_rate: float
    tables: dict[str, Tensor] = field(init=False)
    partner: Codes = field(init=False)

    def __post_init__(self) -> None:
        arrays = {"control": self.pairs.control, "base": self.pairs.base, "real": self.pairs.real}
        self.tables = {name: torch.from_numpy(a.astype(np.float32)) for name, a in arrays.items()}
        self.tables["response"] = torch.from_numpy(self.pairs.response())
        self.tables["condition"] = torch.from_numpy(self.pairs.condition)
        self.partner = np.arange(len(self.pairs.group))

    def optimisers(self, net: TransportNet) -> dict[str, torch.optim.Optimizer]:
        """Adam for all."""
        return {"transport": torch.optim.Adam(net.parameters(), self.learning_rate)}

    def step(self, net: TransportNet, batch: Batch, optimisers: Any) -> dict[str, Tensor]:
        """One update; cells are paired anew at the beginning of an epoch."""
        if optimisers.step_of_epoch == 0 and self.weights.pair:
            self.refresh(net, batch.x.device)
        rows = batch.x[:, 0].long().cpu()
        losses = self.losses(net, batch, rows)
        optimisers.minimise("transport", losses["transport"])
        return losses

    def refresh(self, net: TransportNet, device: torch.device) -> None:
        """Pair every moved cell with a real one."""
        everything = Feeder(self.pairs.encoded(), np.arange(len(self.partner)), 4096, 0)
        moved = []
        net.eval()
        with torch.no_grad():
            for batch in everything.all_batches():
                moved.append(self.moved(net, batch.to(device), batch.x[:, 0].long()).cpu())
        net.train()
        self.partner = optimal_pairs(torch.cat(moved).numpy(), self.pairs.real, self.pairs.group, seed=0)

    def moved(self, net: TransportNet, batch: Batch, rows: Tensor) -> Tensor:
        """T(x): the base and the change."""
        control, base = (self.tables[name][rows].to(batch.x.device) for name in ("control", "base"))
        changed: Tensor = net("perturb", control, batch)
        return base + changed

    def losses(self, net: TransportNet, batch: Batch, rows: Tensor) -> dict[str, Tensor]:
        """All losses by name; those of weight 0 take part in nothing."""
        device = batch.x.device
        control, base, response = (self.tables[n][rows].to(device) for n in ("control", "base", "response"))
        real = self.tables["real"][torch.from_numpy(self.partner)[rows]].to(device)
        codes = self.tables["condition"][rows].to(device)
        change = net("perturb", control, batch)
        moved = base + change
        restored = real - response + net("restore", real, batch)
        losses = {"pair": smooth_l1_loss(moved, real) + smooth_l1_loss(restored, control)}
        there_and_back = moved - response + net("restore", moved, batch)
        back_and_there = restored + response + net("perturb", restored, batch)
        losses["cycle"] = mse_loss(there_and_back, base - response) + mse_loss(back_and_there, real)
        losses["mmd"] = mean_discrepancy(moved, real, codes)
        losses["mean"] = condition_means(batch, [change])[0].square().mean()
        losses["transport"] = sum(
            (getattr(self.weights, name) * loss for name, loss in losses.items()), torch.zeros((), device=device)
        )
        return losses

    def validate(self, net: TransportNet, feeder: Feeder) -> dict[str, float]:
        """Energy distance of moved from real cells, condition by condition."""
        device = next(net.parameters()).device
        batches = [batch.to(device) for batch in feeder.all_batches()]
        rows = [batch.x[:, 0].long().cpu() for batch in batches]
        moved = torch.cat([self.moved(net, batch, r) for batch, r in zip(batches, rows, strict=True)])
        every = torch.cat(rows)
        real, codes = self.tables["real"][every].to(device), self.tables["condition"][every].to(device)
        return {"loss": float(energy_distance(moved, real, codes))}


@dataclass(frozen=True)
class Learned:
    """A trained transport and what its validation showed."""

    net: TransportNet
    facts: dict[str, Any]


def learn_transport(
    net: TransportNet,
    learner: Learner,
    kept: Codes,
    settings: TrainingSettings,
    *,
    batch_size: int,
    seed: int,
    run: Path | None,
    identity: str,
) -> Learned:
    """Train on all rows but those kept for validation; the state of the epoch that was best on these."""
    cells = learner.pairs.encoded()
    learning = np.setdiff1d(np.arange(len(cells.context)), kept)
    feeder, validation = Feeder(cells, learning, batch_size, seed), Feeder(cells, kept, 4096, seed)
    net.eval()
    with torch.no_grad():
        without = learner.validate(net, validation)["loss"]
    net.train()
    state = train(learner, net, feeder, validation, settings, run=run, identity=identity)
    helps = bool(state.best_net) and state.best_loss < without
    if helps:
        net.load_state_dict(state.best_net)
    facts = {
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "energy_distance": state.best_loss,
        "energy_distance_without": without,
        "helps": helps,
    }
    return Learned(net.cpu().eval(), facts)


def _squares(x: PointArray, y: PointArray) -> PointArray:
    from cycseq.metrics.distribution import squared_distances

    return squared_distances(x, y)
