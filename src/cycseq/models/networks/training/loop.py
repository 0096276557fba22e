"""`train`: from first weights, or from an interrupted training, to the end."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn

from cycseq.errors import FitBrokeOffError
from cycseq.io.interruption import Terminated
from cycseq.models.networks.batches import Feeder
from cycseq.models.networks.training.adapter import Adapter, Learner
from cycseq.models.networks.training.memory import keep_memory
from cycseq.models.networks.training.processes import quiet, started_outside, translate_worker_death
from cycseq.models.networks.training.state import State, load_state, write_history

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"32": "32-true", "fast32": "32-true", "bf16": "bf16-mixed"}


class Steps:
    """The numbers of an epoch's steps: all that Lightning hands out; the adapter asks the feeder for the cells."""

    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n_steps))

    def __len__(self) -> int:
        return self.n_steps


def train(
    learner: Learner,
    net: nn.Module,
    feeder: Feeder,
    validation: Feeder,
    *,
    run: Path | None,
    identity: str,
) -> State:
    """Train a network in place to the end, or on from where an interrupted training of the same identity stopped.

    Raises `ModelError` if the run holds a checkpoint of another training, or this machine has not the devices that were asked
    for.

    Parameters
    ----------
    learner
        The maths, and how to train.
    net
        The network, with its first weights.
    feeder, validation
        Cells to learn from, and cells to choose the best epoch on.
    run
        Folder for checkpoints, `history.csv` and TensorBoard's files; None keeps none.
    identity
        Text that is the same for the same settings, seed and data: a checkpoint of another identity is refused.
    """
    with (
        tempfile.TemporaryDirectory() as temporary,
        quiet(),
        _restore_arithmetic(),
        torch.random.fork_rng(),
        keep_memory(),
    ):
        folder = Path(temporary) if run is None else run / "checkpoints"
        state = State() if run is None else load_state(folder, identity)
        if state.net:
            net.load_state_dict(state.net)
            if run is not None:  # it may have been killed before it wrote the last epoch there
                write_history(run / "history.csv", state.history)
        processes = learner.devices * learner.num_nodes
        outside = processes > 1 and started_outside(learner.num_nodes)
        if state.ended(learner.num_epochs, learner.patience) and not outside:  # else the others wait for this process
            return state
        resumable = identity if run else ""
        adapter = Adapter(learner, net, feeder, validation, folder=folder, identity=resumable, state=state)
        logger = run is not None and TensorBoardLogger(run, "tensorboard", "", purge_step=state.epoch + 1)
        trainer = _trainer(learner, learner.num_epochs - (0 if outside else state.epoch), folder, logger)
        with _interruptible(), translate_worker_death(processes):
            trainer.fit(adapter, train_dataloaders=Steps(feeder.n_steps))
        return adapter.state if outside or processes == 1 else load_state(folder, resumable)


def _trainer(learner: Learner, epochs: int, folder: Path, logger: Literal[False] | TensorBoardLogger) -> Trainer:
    """Lightning's trainer; several processes are started inside fit, unless they were started outside."""
    start = "ddp" if started_outside(learner.num_nodes) else "ddp_spawn"
    try:
        return Trainer(
            accelerator=learner.accelerator,
            devices=learner.devices,
            num_nodes=learner.num_nodes,
            strategy=f"{start}_find_unused_parameters_true" if learner.devices * learner.num_nodes > 1 else "auto",
            precision=PRECISIONS[learner.precision],
            max_epochs=epochs,
            logger=logger,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
    except (MisconfigurationException, ValueError) as err:
        devices = f"accelerator {learner.accelerator}, devices {learner.devices}, num_nodes {learner.num_nodes}"
        why = " ".join(str(err).split())
        msg = (
            f"this machine cannot train with {devices} ({why}): use --model.accelerator auto, or fewer --model.devices."
        )
        raise FitBrokeOffError(msg) from err


@contextmanager
def translate_memory_shortage(name: str) -> Iterator[None]:
    """Say in one line that the memory of the processor or of a GPU did not suffice, and what needs less."""
    try:
        yield
    except (MemoryError, RuntimeError) as err:
        if not isinstance(err, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in str(err):
            raise
        msg = (
            f"{name} needs more memory than there is to train. Use a smaller --model.batch_size or narrower layers, or "
            "keep fewer genes (cycseq prepare --genes)."
        )
        raise FitBrokeOffError(msg) from err


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM reach the caller; the processes that were started to train along end with this one.

    Lightning answers Ctrl-C with exit code 1 and deafness to the next, and SIGTERM with exit code 0.
    """
    handler, others = signal.getsignal(signal.SIGINT), multiprocessing.active_children()
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as err:
        stop = err.__context__ if isinstance(err, SystemExit) else err
        stop = Terminated() if isinstance(err, SIGTERMException) else stop
        if not isinstance(stop, KeyboardInterrupt):
            raise
        for process in multiprocessing.active_children():
            if process not in others:
                process.kill()
        if isinstance(err, SystemExit):
            signal.signal(signal.SIGINT, handler)
        raise stop from None


@contextmanager
def _restore_arithmetic() -> Iterator[None]:
    """What the adapter sets in every process that trains (`Adapter.on_fit_start`) holds for the training alone."""
    precision, deterministic = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic)
