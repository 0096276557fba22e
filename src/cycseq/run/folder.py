"""The `Run` folder: one fitted model with everything that is needed to use it and to fit it again.

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

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects, EffectScale
from cycseq.data.either import Data
from cycseq.data.scale import Scale
from cycseq.errors import DataError, FileError, SettingsError
from cycseq.formats.effects.read import read_effects
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import atomic_write, path_of_text, text_of_path, write_text
from cycseq.io.untrusted import cycseq_command
from cycseq.models import build_model, load_model
from cycseq.models.base import Model, read_description
from cycseq.preparation.prepare import as_log1p
from cycseq.run import predicting
from cycseq.run.aim import learn_amplitude
from cycseq.run.counts import counts_in_pieces, predict_counts
from cycseq.run.effects import effects_predicted
from cycseq.run.facts import (
    ENVIRONMENT,
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
from cycseq.run.settings import Aim, CellForm
from cycseq.run.tables import read_table
from cycseq.split.base import Split

AnyData = TypeVar("AnyData", PerturbationData, Effects)
GIVE_CONTROLS = "give control cells with --controls FILE"


@dataclass(frozen=True)
class Run:
    """One fitted model in its folder. `fit_run` makes it, `Run.open` finds it again.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> from pathlib import Path
    >>> model = cycseq.build_model("NoChange")
    >>> run = cycseq.fit_run(data, split, model, Path("run"), data_path=Path("cells.h5ad"), overwrite=True)
    >>> cycseq.Run.open(Path("run")).model.name
    'NoChange'
    """

    folder: Path
    facts: dict[str, Any]
    """What `run.json` says."""
    memory: str | None = None
    """How much memory may be used when its data are read, as of `ReadSettings`."""

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        data_path: Path | None,
        data_hash: str,
        data_scale: Scale | EffectScale = "log1p",
        target_sum: float | None = None,
        kind: Literal["cells", "effects"] = "cells",
        split: Split,
        model_name: str,
        settings: dict[str, Any],
        seed: int,
        command: str = "",
    ) -> Self:
        """Make the folder with all but the model, which is still to be fitted; whole or not at all.

        Raises
        ------
        FileError
            If the folder exists, or cannot be written.
        """
        said = {
            "data": {
                "path": text_of_path(data_path) if data_path else None,
                "hash": data_hash,
                "scale": data_scale,
                "target_sum": target_sum,
                "kind": kind,
            },
            "model": model_name,
            "settings": settings,
            "seed": seed,
            "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        facts: dict[str, Any] = json.loads(json.dumps(said, default=str))
        hashes = {"data": data_hash, "split": split.digest(), "settings": digest_of(facts)}
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
            msg = f"the fit of {folder} has not ended: it has no {MODEL} folder. Go on with it: {run.resume_command()}"
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
        return pd.read_csv(path) if path.is_file() else None

    def metrics(self) -> pd.DataFrame | None:
        """Scores, where `cycseq evaluate` or a report computed them."""
        path = self.folder / METRICS
        return read_table(path) if path.is_file() else None

    def data(self) -> PerturbationData:
        """The data that it was fitted on, read again; log1p, also where the file holds counts. Raises as `as_written`."""
        return as_log1p(self.as_written())

    def as_written(self, path: Path | None = None, cure: str = GIVE_CONTROLS) -> PerturbationData:
        """The data that it was fitted on, on the scale of the file: users of few cells normalise those alone.

        Parameters
        ----------
        path
            Where they lie now, if not where they were.
        cure
            What to do without them, in an error's words.

        Raises
        ------
        FileError
            If no path was noted, or the file is gone.
        DataError
            If the file has changed since.
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
        noted = self.facts["data"]["path"]
        if path is None and noted is None:
            msg = f"{self.folder} does not say where its data lie: {cure}."
            raise FileError(msg)
        path = path or path_of_text(noted)
        if not path.exists():
            msg = f"{path}, the data of {self.folder}, does not exist: {cure}."
            raise FileError(msg)
        return path

    def _unchanged(self, data: AnyData, path: Path, cure: str) -> AnyData:
        if data.fingerprint() != self.facts["data"]["hash"]:
            msg = f"{path} has changed since {self.folder} was fitted: {cure}."
            raise DataError(msg)
        return data

    def predict_effects(
        self, conditions: Sequence[Condition | str] | str = "test", *, controls: Data | None = None, seed: int = 0
    ) -> Effects:
        """Predicted effects of whole conditions, with the record of how they came about in ``uns["cycseq"]``.

        Parameters
        ----------
        conditions
            What to predict, as in `predict`.
        controls
            Control cells, or effects with the controls' rows, of the contexts asked for; None takes those of the run's own data.
        seed
            For a model of cells, whose predicted cells are summarized: as in `predict`.

        Returns
        -------
        Effects
            ``X``: the effect; layer `sd` where the model knows it.

        Raises
        ------
        ModelError
            If the model cannot know a condition, or a context has no control cells where these are needed.
        """
        return effects_predicted(self, conditions, controls, seed)

    def predict(
        self,
        conditions: Sequence[Condition | str] | str = "test",
        *,
        form: CellForm = "cells",
        aim: Aim | None = None,
        controls: PerturbationData | None = None,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Predicted cells, with the record of how they came about in `uns["cycseq"]`.

        Parameters
        ----------
        conditions
            What to predict, as ``"NK:stim"`` or `Condition`; ``"test"`` is every test condition of the run's split.
        form
            ``"cells"``: log1p, as the model makes them. ``"counts"``: whole numbers, sparse. Control cells of which counts are taken
            away, or to which some are added, so that the sum over the cells of a condition has the pooled profile that the predicted
            effects ask for; the same for every model.
        aim
            Of counts: multiply the effects by an amplitude that is learned, for this aim, by leaving out training contexts
            (`learn_amplitude`); the record says which. None leaves the effects as they are.
        controls
            Data with control cells of the contexts asked for, log1p or counts; perturbed cells among them are left out
            unseen.
            None reads those of the run's own data. Counts are drawn from counts, or from log1p values that they can be recovered from.
        n_cells, seed
            As in `Model.predict`.

        Raises
        ------
        ModelError
            If the model cannot know a condition, or a context has no control cells.
        DataError
            If counts are to be drawn, and those of the control cells cannot be recovered.
        """
        asked = predicting.asked(self, conditions, controls, seed)
        amplitude = self._amplitude(form, aim, n_cells, seed)
        if form == "cells":
            return predicting.predicted(self, asked, n_cells, seed)
        return predict_counts(self, asked, n_cells, seed, amplitude=amplitude)

    def predictions(
        self,
        conditions: Sequence[Condition | str] | str = "test",
        *,
        form: CellForm = "cells",
        aim: Aim | None = None,
        controls: PerturbationData | None = None,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> Iterator[PerturbationData]:
        """As `predict`, in pieces that fit into the memory of the run: one, or else some conditions of a context each.

        A cell is predicted the same in pieces as in one; `cycseq.formats.pieces.write_predictions` puts them together.
        """
        asked = predicting.asked(self, conditions, controls, seed)
        amplitude = self._amplitude(form, aim, n_cells, seed)
        if form == "cells":
            return predicting.in_pieces(self, asked, n_cells, seed)
        return counts_in_pieces(self, asked, n_cells, seed, amplitude=amplitude)

    def _amplitude(self, form: CellForm, aim: Aim | None, n_cells: int | None, seed: int) -> float:
        if aim is None:
            return 1.0
        if form == "cells":
            msg = "an aim sets the amplitude of predicted counts: ask for these (--as counts), or leave it out (--aim)."
            raise SettingsError(msg)
        return learn_amplitude(self, aim, n_cells=n_cells, seed=seed)[0]

    def restore(
        self,
        conditions: Sequence[Condition | str] | str = "test",
        *,
        perturbed: PerturbationData | None = None,
        controls: PerturbationData | None = None,
        n_cells: int | None = None,
        seed: int = 0,
    ) -> PerturbationData:
        """Perturbed cells translated back to control cells (direction reverse), with the record as of `predict`.

        obs `source_cell` says from which cell each was made, and `source_perturbation` what had been done to it.

        Parameters
        ----------
        conditions
            Whose cells, named as in `predict`.
        perturbed
            Data with cells of these conditions, log1p or counts; None reads the run's own data.
        controls
            Control cells of their contexts, where a model needs them; None takes those among `perturbed`.
        n_cells
            Cells of each condition at most, drawn at random; None takes all.
        seed
            Fixes which are drawn.

        Raises
        ------
        ModelError
            If the model translates one way only, or does not know a perturbation.
        DataError
            If there are no cells of a condition.
        """
        return predicting.restored(self, conditions, perturbed, controls, n_cells=n_cells, seed=seed)

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
