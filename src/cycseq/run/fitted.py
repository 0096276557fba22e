"""The folder of a fitted model: everything that is needed to use it and to fit it again.

========================  =======================================================================
``run.json``              what was asked: data (path, hash, scale), model, settings, seed, command line, dates
``split.json``            the split, with its claim
``environment.json``      with what it was done: versions, machine, threads; and hashes of what was asked
``model/``                the fitted model (`Model.save`); its presence says that fitting has ended (or broke)
``checkpoints/``          the state of a training that has not ended, from models that train in epochs
``tensorboard/``          losses by epoch for TensorBoard
``history.csv``           losses by epoch, from models that log them
``predictions/``          predicted cells, one file per call that named none
``metrics.csv``           scores, where they were computed
========================  =======================================================================
"""

import json
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import DataError, FileError
from cycseq.formats.effects.read import read_effects
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import atomic_write, path_of_text, text_of_path, write_text
from cycseq.io.untrusted import as_file_error, cycseq_command
from cycseq.models import build_model, load_model
from cycseq.models.base import Model
from cycseq.models.saved import read_description
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.same_scale import target_sum
from cycseq.run.facts import (
    ENVIRONMENT,
    FIT_AGAIN,
    HISTORY,
    METRICS,
    MODEL,
    RUN,
    SPLIT,
    digest_of,
    read_environment,
    read_facts,
)
from cycseq.run.record import environment
from cycseq.run.tables import read_table
from cycseq.split.base import Split

AnyData = TypeVar("AnyData", PerturbationData, Effects)
GIVE_CONTROLS = "give control cells with --controls FILE"


@dataclass(frozen=True)
class FittedRun:
    """What a run's folder says and holds; `Run` predicts with it."""

    folder: Path
    facts: dict[str, Any]
    """What `run.json` says."""
    memory: str | None = None
    """How much memory may be used when its data are read, as of `ReadSettings`."""

    @classmethod
    def create(
        cls,
        folder: Path,
        data: Data,
        split: Split,
        model: Model,
        seed: int,
        *,
        data_path: Path | None = None,
        command: str = "",
    ) -> Self:
        """Make the folder with all but the model, which is still to be fitted; whole or not at all.

        Raises
        ------
        FileError
            If the folder exists, or cannot be written.
        """
        record = {
            "data": {
                "path": text_of_path(data_path) if data_path else None,
                "hash": split.data_hash,
                "scale": data.scale,
                "target_sum": None if isinstance(data, Effects) else target_sum(data),
                "kind": "effects" if isinstance(data, Effects) else "cells",
            },
            "model": model.name,
            "settings": model.settings(),
            "seed": seed,
            "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        facts: dict[str, Any] = json.loads(json.dumps(record, default=str))
        hashes = {"data": split.data_hash, "split": split.digest(), "settings": digest_of(facts)}
        with atomic_write(folder) as part:
            write_text(part / RUN, json.dumps(facts, indent=1))
            split.write(part / SPLIT)
            write_text(part / ENVIRONMENT, json.dumps({**environment(), "hashes": hashes}, indent=1))
        return cls(folder=folder, facts=facts)

    @classmethod
    def open(cls, folder: Path | str, *, memory: str | None = None) -> Self:
        """A run that was fitted before; ``memory`` bounds what is held of its data when they are read again.

        Raises
        ------
        FileError
            If the folder is not a run, is damaged, was altered, or its fit has not ended.
        """
        folder = Path(folder)
        run = cls(folder=folder, facts=read_facts(folder), memory=memory)
        if not (folder / MODEL).is_dir():
            msg = f"the fit of {folder} has not ended: it has no {MODEL} folder. Continue it: {run.resume_command()}"
            raise FileError(msg)
        return run

    @cached_property
    def split(self) -> Split:
        """What was trained on, and what was held out."""
        split = Split.read(self.folder / SPLIT)
        if split.digest() != self.environment.get("hashes", {}).get("split", split.digest()):
            msg = f"{self.folder / SPLIT} is not the split that the run was fitted on: put that one back, or fit again."
            raise FileError(msg)
        return split

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions and machine, as of `environment`; those of a run of an older version stand in its `run.json`."""
        return read_environment(self.folder) or self.facts

    @cached_property
    def model(self) -> Model:
        """The fitted model."""
        return load_model(self.folder / MODEL)

    @cached_property
    def broken(self) -> str:
        """Why the training broke, if it did: the model is then the best state before that."""
        return str(read_description(self.folder / MODEL)["facts"].get("broken", ""))

    def history(self) -> pd.DataFrame | None:
        """Losses by epoch; None for a model that logs none."""
        path = self.folder / HISTORY
        with as_file_error(path, FIT_AGAIN):
            return pd.read_csv(path) if path.is_file() else None

    def metrics(self) -> pd.DataFrame | None:
        """Scores, where `cycseq evaluate` or a report computed them."""
        path = self.folder / METRICS
        with as_file_error(path, "Remove it: cycseq evaluate writes it again."):
            return read_table(path) if path.is_file() else None

    def data(self) -> PerturbationData:
        """The data that it was fitted on, read again; log1p, also where the file holds counts. Raises as `as_written`."""
        return as_log1p(self.as_written())

    def as_written(self, path: Path | None = None, cure: str = GIVE_CONTROLS) -> PerturbationData:
        """The data that it was fitted on, on the scale of the file: users of few cells normalise those alone.

        `path` is where they lie now, if not where they were, `cure` what to do without them. Raises `FileError` if no path was
        noted or the file is gone, and `DataError` if it has changed since.
        """
        path = self._data_path(path, cure)
        return self._unchanged(read(path, ReadSettings(memory=self.memory)), path, f"{cure}, or fit again")

    @property
    def of_effects(self) -> bool:
        """Whether it was fitted on a table of effects, and not on cells."""
        return bool(self.facts["data"].get("kind") == "effects")

    def effects(self, path: Path | None = None) -> Effects:
        """The effects that it was fitted on, read again; raises as `as_written`."""
        path = self._data_path(path, "give the controls' rows with --controls FILE")
        return self._unchanged(read_effects(path), path, "fit again")

    def _data_path(self, path: Path | None, cure: str) -> Path:
        """Where its data lie: there, or where they were when it was fitted."""
        recorded = self.facts["data"]["path"]
        if path is None and recorded is None:
            raise FileError(f"{self.folder} does not record where its data are: {cure}.")
        path = path or path_of_text(recorded)
        if not path.exists():
            raise FileError(f"{path}, the data of {self.folder}, does not exist: {cure}.")
        return path

    def _unchanged(self, data: AnyData, path: Path, cure: str) -> AnyData:
        if data.fingerprint() != self.facts["data"]["hash"]:
            raise DataError(f"{path} has changed since {self.folder} was fitted: {cure}.")
        return data

    def resume_command(self) -> str:
        """The command line that goes on with an interrupted fit."""
        typed = cycseq_command(self.facts.get("command")) or f"cycseq fit ... --run {self.folder}"
        return typed if "--resume" in typed else f"{typed} --resume"

    def repeat_command(self, out: Path | None = None) -> str:
        """The command line that fits this run again, into another folder: ``-again`` if not given."""
        data = self.facts["data"]["path"] or "DATA.h5ad"
        defaults = json.loads(json.dumps(build_model(self.facts["model"]).settings()))
        changed = {k: v for k, v in self.facts["settings"].items() if k not in defaults or v != defaults[k]}
        words = ["cycseq", "fit", "--data", data, "--split", str(self.folder / SPLIT), "--model", self.facts["model"]]
        for name, value in changed.items():
            words += [f"--model.{name}", value if isinstance(value, str) else json.dumps(value)]
        words += ["--seed", str(self.facts["seed"]), "--run", str(out or f"{self.folder}-again")]
        return shlex.join(words)
