"""The state of a training between epochs, and its file: transient, and readable without pickle."""

from __future__ import annotations

import csv
import pickle
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from cycseq.errors import ModelError
from cycseq.io.files import atomic_write
from cycseq.io.untrusted import check_members, wrong_kinds


@dataclass
class State:
    """All of a training at the end of an epoch: tensors, numbers and text alone, so that it loads without pickle."""

    epoch: int = 0
    """How many epochs are done."""
    net: dict[str, Tensor] = field(default_factory=dict)
    optimisers: list[dict[str, Any]] = field(default_factory=list)
    schedulers: list[dict[str, Any]] = field(default_factory=list)
    best_net: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_loss: float = float("inf")
    first_loss: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    broken: str = ""
    """Why training had to stop, if it broke."""

    def ended(self, num_epochs: int, patience: int) -> bool:
        """Whether all epochs are done, or nothing has got better for so many."""
        return self.epoch >= num_epochs or (self.best_epoch > 0 and self.epoch - self.best_epoch >= patience)


def save_state(folder: Path, state: State, identity: str) -> None:
    """Write the transient state of a training, whole or not at all."""
    content = BytesIO()  # as torch itself does not say of a file that could not be written why
    torch.save({"identity": identity, **vars(state)}, content)
    with atomic_write(folder / "last.ckpt", overwrite=True) as part:
        part.write_bytes(content.getbuffer())


def load_state(folder: Path, identity: str) -> State:
    """The state that an interrupted training left in a folder, or a new one.

    Raises `ModelError` if it is the state of a training with other settings, another seed or other data, or is damaged.
    """
    path = folder / "last.ckpt"
    if not path.exists():
        return State()
    try:
        with ZipFile(path) as file:  # torch writes checksums into the archive and does not look at them
            check_members(path, file.infolist())
            altered = file.testzip()
        if altered is not None:
            msg = f"{path} was altered ({altered}): remove it to train from the start."
            raise ModelError(msg)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as err:
        msg = f"{path} is damaged ({type(err).__name__}): remove it to train from the start."
        raise ModelError(msg) from err
    kinds = {name: type(value) for name, value in vars(State()).items()}
    if not isinstance(content, dict) or set(content) != {"identity", *kinds} or wrong_kinds(content, kinds):
        msg = f"{path} is not a state of a training of this version: remove it to train from the start."
        raise ModelError(msg)
    if content.pop("identity") != identity:
        msg = (
            f"{path} was left by a training with other settings, another seed or other data: give the same to go on "
            "with it, or name another --run."
        )
        raise ModelError(msg)
    return State(**content)


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Losses by epoch as CSV."""
    with atomic_write(path, overwrite=True) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
