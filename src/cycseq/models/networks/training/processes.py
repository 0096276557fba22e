"""Processes that train together: who started them, which of them this is, and what it means when one of them dies."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Trainer
from torch.multiprocessing.spawn import ProcessException

from cycseq.errors import FitBrokeOffError

LOST = ("connection", "peer", "socket", "timed out", "timeout", "rendezvous", "process group")
"""Words of which one stands in what gloo and NCCL say of a process that is gone."""


def started_outside(num_nodes: int) -> bool:
    """Whether srun, torchrun or the user starts a process on every machine, so that all run the whole command."""
    return num_nodes > 1 or TorchElasticEnvironment.detect() or SLURMEnvironment.detect()


def place(devices: int, num_nodes: int) -> int:
    """Which of the processes that were started for one training this is; 0 is the one that writes."""
    if devices * num_nodes == 1 or not started_outside(num_nodes):
        return 0
    with quiet():
        return Trainer(
            accelerator="cpu",
            devices=devices,
            num_nodes=num_nodes,
            strategy="ddp",
            logger=False,
            enable_checkpointing=False,
        ).global_rank


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's remarks on devices and data loaders tell a user nothing that he can mend."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def translate_worker_death(processes: int) -> Iterator[None]:
    """Raise `FitBrokeOffError`, which says that the training can be resumed, where one of several processes was ended or lost the others."""
    try:
        yield
    except (ProcessException, RuntimeError) as err:
        lines = [line.strip() for line in str(err).splitlines() if line.strip()]
        why = lines[-1] if lines else type(err).__name__
        worker_died = isinstance(err, ProcessException) or any(word in str(err).casefold() for word in LOST)
        if processes == 1 or not worker_died:
            raise
        msg = (
            f"one of the {processes} processes that trained together was ended ({why[:200]}): the same command with "
            "--resume goes on from the last whole epoch."
        )
        raise FitBrokeOffError(msg) from err
