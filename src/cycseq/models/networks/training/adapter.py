"""The Lightning adapter: one loop for all networks, which knows no model's maths.

Everything random in a step follows from (seed, epoch, step), so an interrupted and resumed training gives the same
numbers as an uninterrupted one.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from cycseq.io.progress import show_steps
from cycseq.models.networks.batches import Feeder
from cycseq.models.networks.blocks.batch import Batch
from cycseq.models.networks.training.state import State, save_state, write_history

MONITORED = "loss"
"""Which of the validation losses decides on the best epoch, and when to stop."""
SHOWN = 2
"""Losses of a step that the terminal shows."""
EXPLODED = 1e6
"""A loss this many times its first value (or 1) has left the world."""


@runtime_checkable
class Learner(Protocol):
    """A model, as the loop sees it: its maths, and how it is to be trained (the fields of `NetworkModel` say what each means)."""

    num_epochs: int
    patience: int
    gradient_norm: float
    schedule: Literal["plateau", "step", "constant"]
    precision: Literal["32", "fast32", "bf16"]
    accelerator: Literal["auto", "cpu", "gpu"]
    devices: int
    num_nodes: int

    def optimisers(self, net: Any) -> dict[str, Optimizer]:
        """An optimiser for each part of the network that is trained by itself."""

    def step(self, net: Any, batch: Batch, training: Any) -> dict[str, Tensor]:
        """One update of all parts through `training.minimise`; the losses, by name. `training` is the `Adapter`."""

    def validate(self, net: Any, feeder: Feeder) -> dict[str, float]:
        """Losses on the cells kept for validation; one is named `MONITORED`."""


class Adapter(LightningModule):
    """Any network, to Lightning. One epoch of Lightning's is one pass over the feeder's steps."""

    def __init__(
        self,
        learner: Learner,
        net: nn.Module,
        feeder: Feeder,
        validation: Feeder,
        *,
        folder: Path,
        identity: str,
        state: State,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.learner, self.net, self.feeder, self.validation = learner, net, feeder, validation
        self.folder, self.identity, self.state = folder, identity, state
        self.maker, self.on_sigterm = os.getpid(), signal.getsignal(signal.SIGTERM)
        self.step_of_epoch = 0
        """Which step of the epoch this is, from 0."""
        self.sums: dict[str, float] = {}

    @property
    def done(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return (self.state.epoch + self.step_of_epoch / self.feeder.n_steps) / self.learner.num_epochs

    def setup(self, stage: str) -> None:
        """All processes go on from where the first one is: it alone has the run's folder."""
        if self.trainer.world_size == 1:
            return
        state = self.trainer.strategy.broadcast(self.state)
        vars(self.state).update(vars(state))
        if self.state.net:
            self.net.load_state_dict(self.state.net)
        self.trainer.should_stop = self.state.ended(self.learner.num_epochs, self.learner.patience)

    def configure_optimizers(self) -> list[Optimizer]:
        """Optimisers and schedules, where an earlier training left them."""
        self.by_name = self.learner.optimisers(self.net)
        optimisers = list(self.by_name.values())
        self.schedulers = [_scheduler(optimiser, self.learner.schedule) for optimiser in optimisers]
        for optimiser, saved in zip(optimisers, self.state.optimisers, strict=False):
            optimiser.load_state_dict(saved)
        for scheduler, saved in zip(self.schedulers, self.state.schedulers, strict=False):
            scheduler.load_state_dict(saved)
        return optimisers

    def on_fit_start(self) -> None:
        """Set the arithmetic; feed each process its own share, from its GPU's memory where the cells fit; show a bar."""
        if self.trainer.world_size > 1:
            self.feeder = replace(self.feeder, rank=self.trainer.global_rank, n_ranks=self.trainer.world_size)
        if self.learner.precision == "fast32":
            torch.set_float32_matmul_precision("medium")
        if self.device.type == "cuda":
            os.environ.setdefault(
                "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
            )  # without it, deterministic products are refused
            torch.use_deterministic_algorithms(mode=True)  # sums in one order: the same seed, the same weights
            self.feeder = self.feeder.on(self.device)
            self.validation = replace(self.validation, resident=self.feeder.resident)
        self.bar = show_steps(self.learner.num_epochs * self.feeder.n_steps)
        if self.trainer.is_global_zero:
            next(self.bar)
            self._show("starting")

    def on_train_start(self) -> None:
        """SIGTERM means what it did before: Lightning's own answer ends the process with exit code 0."""
        if self.on_sigterm is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.on_sigterm)

    def training_step(self, _index: int, step: int) -> None:
        """One step of the learner, with a random state of its own."""
        if os.getpid() != self.maker != os.getppid():  # a process whose beginner was killed would train on unseen
            raise SystemExit(1)
        if self.state.broken:
            return
        self.step_of_epoch = step
        self._seed_draws(step, self.feeder.rank)
        batch = self.feeder.batch(self.state.epoch, step).to(self.device)
        losses = {name: float(loss.detach()) for name, loss in self.learner.step(self.net, batch, self).items()}
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
        if self.trainer.is_global_zero:
            self._show(", ".join(f"{name} {loss:.3g}" for name, loss in [*losses.items()][:SHOWN]))

    def _show(self, last: str) -> None:
        """Say on the terminal how far the training is, and what the last step came to."""
        epoch, step, n_steps = self.state.epoch, self.step_of_epoch, self.feeder.n_steps
        where = f"epoch {epoch + 1} of {self.learner.num_epochs}, batch {step + 1} of {n_steps}"
        self.bar.send((epoch * n_steps + step, f"{where}, {last}"))

    def minimise(self, name: str, loss: Float[Tensor, ""]) -> None:
        """One step of an optimiser on a loss, its gradient clipped; no step where loss or gradient is not a number."""
        if self.state.broken:
            return
        optimiser = self.by_name[name]
        optimiser.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.learner.gradient_norm or float("inf"), foreach=True)
        value = self._mean_of_all(loss)
        first = self.state.first_loss.setdefault(name, abs(value))
        if not bool(torch.isfinite(norm)) or not abs(value) <= EXPLODED * max(first, 1.0):
            numbers = math.isfinite(value) and bool(torch.isfinite(norm))
            what = f"rose to {value:.3g}" if numbers else "is not a number any more"
            self.state.broken = (
                f"the loss {name!r} {what} in epoch {self.state.epoch + 1}, step {self.step_of_epoch + 1}"
            )
            self.trainer.should_stop = True
            return
        optimiser.step()

    def on_train_epoch_end(self) -> None:
        """Validate, keep the best, write logs and the checkpoint, stop where nothing gets better."""
        state, n_steps = self.state, self.feeder.n_steps
        if state.broken:
            if self.trainer.is_global_zero and self.trainer.world_size > 1:  # the process that began it reads why
                save_state(self.folder, state, self.identity)
            return
        losses = {name: self._mean_of_all(torch.tensor(total / n_steps)) for name, total in self.sums.items()}
        self.sums = {}
        measured = self.trainer.strategy.broadcast(self._validate() if self.trainer.is_global_zero else {})
        state.epoch += 1
        for scheduler in self.schedulers:
            scheduler.step(measured[MONITORED]) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
        state.history.append({"epoch": state.epoch, **losses, **{f"validation_{k}": v for k, v in measured.items()}})
        if measured[MONITORED] < state.best_loss or math.isnan(state.best_loss) or not state.best_net:
            state.best_loss, state.best_epoch = measured[MONITORED], state.epoch
            state.best_net = _copy(self.net.state_dict())
        if state.ended(self.learner.num_epochs, self.learner.patience):
            self.trainer.should_stop = True
        self._write()

    def on_fit_end(self) -> None:
        """Take the bar off the screen."""
        del self.bar

    def _validate(self) -> dict[str, float]:
        """The validation losses; the first process says them to all, so that all stop together."""
        self.net.eval()
        self._seed_draws(self.feeder.n_steps, 0)
        with torch.no_grad():
            losses = self.learner.validate(self.net, self.validation)
        self.net.train()
        return losses

    def _seed_draws(self, step: int, rank: int) -> None:
        """Fix what is drawn next; on a CPU its generator alone, as torch.manual_seed asks all kinds of devices (2 ms)."""
        seed = _seed(self.feeder.seed, self.state.epoch, step, rank)
        torch.default_generator.manual_seed(seed) if self.device.type == "cpu" else torch.manual_seed(seed)

    def _mean_of_all(self, value: Float[Tensor, ""]) -> float:
        """The mean over all processes."""
        if self.trainer.world_size == 1:
            return float(value.detach())
        return float(self.trainer.strategy.reduce(value.detach().to(self.device), reduce_op="mean"))

    def _write(self) -> None:
        if not self.trainer.is_global_zero or not (self.identity or self.trainer.world_size > 1):
            return
        state = self.state
        state.net = _copy(self.net.state_dict())
        state.optimisers = [optimiser.state_dict() for optimiser in self.by_name.values()]
        state.schedulers = [scheduler.state_dict() for scheduler in self.schedulers]
        save_state(self.folder, state, self.identity)
        if self.trainer.logger is not None:
            newest = {name.replace("validation_", "validation/"): value for name, value in state.history[-1].items()}
            self.trainer.logger.log_metrics(newest, step=state.epoch)
            self.trainer.logger.save()
            write_history(self.folder.parent / "history.csv", state.history)


def _scheduler(optimiser: Optimizer, schedule: str) -> ReduceLROnPlateau | StepLR:
    if schedule == "plateau":
        return ReduceLROnPlateau(optimiser, factor=0.5, patience=3)
    return StepLR(optimiser, step_size=10, gamma=0.5 if schedule == "step" else 1.0)


def _seed(*numbers: int) -> int:
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % (1 << 62)
    return mixed


def _copy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
