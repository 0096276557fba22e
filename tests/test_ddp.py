"""Processes that train together (Lightning DDP): the result of one process, a death in clear words, and going on from there."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

psutil = pytest.importorskip("psutil", reason="the test looks for child processes: pip install 'cycseq[scale]'")
pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
pytest.importorskip("lightning", reason="training needs lightning: pip install 'cycseq[networks]'")

from safetensors.numpy import load_file  # noqa: E402

from cycseq.cli import BAD_INPUT, SUCCESS, main  # noqa: E402
from cycseq.run.fitting import progress_of  # noqa: E402
from cycseq.run.folder import Run  # noqa: E402
from killing import started  # noqa: E402

NOTHING_DRAWN = """
import os, signal
import torch
from torch import nn
from cycseq.models.networks.latent import LatentModel
from cycseq.models.networks.blocks import blocks

torch.randn_like = torch.zeros_like
torch.randn = lambda *size, **said: torch.zeros(*size, **said)
torch.rand = lambda *size, **said: torch.zeros(*size, **said) + 0.5
torch.bernoulli = lambda share: share
blocks.Dropout.forward = nn.Dropout.forward = nn.BatchNorm1d.forward = lambda self, x: x
honest = LatentModel.step

def step(self, net, batch, optimisers):
    if deadly and optimisers.done > 2.5 / self.num_epochs:
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(self, net, batch, optimisers)

LatentModel.step = step
"""
"""Dropout, noise and batch norm are each process's own; without them the loss of two processes is that of one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    f = tmp_path_factory.mktemp("ddp")
    for words in (
        f"simulate --contexts 3 --perturbations 4 --cells 800 --genes 60 --seed 3 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --context Line3 --shared-controls --out {f}/s.json",  # an even number of cells
    ):
        assert main(words.split()) == SUCCESS
    return f


def fit(folder: Path, model: str, run: str, more: str = "") -> str:
    """One step an epoch, of all cells: an even number, which two processes share out evenly."""
    return (
        f"fit --data {folder}/sim.h5ad --split {folder}/s.json --model {model} --model.accelerator cpu "
        f"--model.batch_size 1000 --run {folder}/{run} {more}"
    )


VAE, GAN = "VAE --model.num_epochs 5 --model.latent 4 --model.hidden [16]", "GAN --model.num_epochs 4 --model.moments 0"


def train(words: str, folder: Path, n: int = 1, *, dead: int | None = None) -> list[tuple[int, str, str]]:
    """Exit code and streams of the same command in as many processes, as if each were a machine of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    begun: list[tuple[Any, Path]] = []
    for node in range(n):
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": str(node)}
        before = f"import os; os.environ.update({address}); deadly = {node == dead}\n{NOTHING_DRAWN}"
        said = folder / f"node{node}.out"
        begun.append((started(words, said, before=before), said))
    ended = []
    for process, said in begun:
        process.join(240)
        ended.append((process.exitcode, said.read_text(), said.with_suffix(".err").read_text()))
    return ended


def weights(run: Path) -> dict[str, np.ndarray]:
    return load_file(run / "model" / "model.safetensors")


def test_two_machines_learn_what_one_process_learns_also_where_one_was_lost(folder: Path):
    for words in (fit(folder, VAE, "vae1"), fit(folder, GAN, "gan1")):
        (alone,) = train(words, folder)
        assert alone[0] == SUCCESS, alone
    two = "--model.num_nodes 2"
    (first, second) = train(fit(folder, VAE, "vae2", two), folder, 2, dead=1)
    assert second[0] == -signal.SIGKILL
    assert first[0] == BAD_INPUT
    assert "one of the 2 processes that trained together was ended" in first[2]
    assert "the same command with --resume goes on from the last whole epoch" in first[2]
    assert progress_of(folder / "vae2") == "begun"
    (first, second) = train(fit(folder, VAE, "vae2", f"{two} --resume"), folder, 2)
    assert (first[0], second[0]) == (SUCCESS, SUCCESS), (first, second)
    assert "its fit was interrupted: it goes on" in first[1]
    assert "process 1 has trained along" in second[1]
    (first, second) = train(fit(folder, GAN, "gan2", two), folder, 2)
    assert (first[0], second[0]) == (SUCCESS, SUCCESS), (first, second)
    for name in ("vae", "gan"):
        one, both = weights(folder / f"{name}1"), weights(folder / f"{name}2")
        assert one.keys() == both.keys()
        for key, values in one.items():
            np.testing.assert_allclose(both[key], values, atol=2e-5, rtol=1e-4, err_msg=f"{name} {key}")
        # moments is of a process's own share of the batch; here it has no weight in the loss
        history, other = (
            Run.open(folder / f"{name}{n}").history().drop(columns="moments", errors="ignore") for n in (1, 2)
        )
        np.testing.assert_allclose(other.to_numpy(), history.to_numpy(), rtol=1e-4, atol=1e-5)
        assert {p.name for p in (folder / f"{name}1").iterdir()} == {p.name for p in (folder / f"{name}2").iterdir()}
    assert len(Run.open(folder / "vae2").facts["resumed"]) == 1


def test_a_process_that_dies_on_one_machine_is_said_and_can_be_resumed(folder: Path):
    words = fit(folder, VAE.replace("5", "30", 1), "spawned", "--model.devices 2 --model.patience 30")
    parent = started(words, folder / "parent.out")
    while parent.is_alive() and not (folder / "spawned" / "history.csv").is_file():
        time.sleep(0.01)
    children = [p for p in psutil.Process(parent.pid).children() if any("spawn_main" in word for word in p.cmdline())]
    children[-1].kill()
    parent.join(120)
    said = (folder / "parent.err").read_text()
    assert parent.exitcode == BAD_INPUT, said
    assert said.splitlines()[-1].startswith("cycseq: one of the 2 processes that trained together was ended (process 1")
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert progress_of(folder / "spawned") == "begun"
