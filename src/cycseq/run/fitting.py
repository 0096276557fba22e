"""`fit_run`: from data, a split and a model to a run; begun anew, or gone on with after an interruption."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cycseq.data.either import Data
from cycseq.errors import FileError, FitBrokeOffError, SettingsError, check_at_least
from cycseq.io.files import check_output, clear, lock_folder, write_text
from cycseq.models.base import Model
from cycseq.run.facts import MODEL, RUN, SPLIT, read_facts
from cycseq.run.folder import Run
from cycseq.run.parts import Parts, fit_parts, parts_of
from cycseq.run.record import differing, environment
from cycseq.split.base import Split

CHECKPOINTS = "checkpoints"
"""Folder in which a network's training keeps its state after every epoch; it is removed when the fit has ended."""
Progress = Literal["none", "begun", "ended", "broke"]


def progress_of(folder: Path) -> Progress:
    """How far the fit in a folder has come: there is none, it was interrupted, it has ended, or it broke."""
    if not (folder / RUN).is_file():
        return "none"
    if not (folder / MODEL).is_dir():
        return "begun"
    return "broke" if Run.open(folder).broken else "ended"


def fit_run(
    data: Data,
    split: Split,
    model: Model,
    folder: Path | str,
    seed: int = 0,
    *,
    data_path: Path | str | None = None,
    command: str = "",
    overwrite: bool = False,
    resume: bool = False,
) -> Run:
    """Fit a model on a split's training conditions and keep it as a run.

    A fit that fails leaves a run that was to be replaced as it was, and else nothing but what can be gone on with: the
    checkpoints of an interrupted training, or the last good state of one that broke.

    Parameters
    ----------
    data
        All cells, log1p or counts (which are normalised on the way), or effects of all conditions; the model is handed the
        split's training and validation parts alone.
    split
        Made from these data.
    model
        Not yet fitted; its fields are its settings.
    folder
        Where the run is kept.
    seed
        Fixes everything random in the fit.
    data_path, command
        Noted, so that the fit can be repeated.
    overwrite
        Whether a folder of this name may be replaced.
    resume
        Go on with the fit in this folder where it was interrupted, to the same numbers as without the interruption;
        return the run where it had ended; begin where there is none.

    Returns
    -------
    Run
        The finished run. Where srun or torchrun started several processes, the first one alone writes it: the others
        return a run that says which ``process`` they are, and whose files may not be there yet.

    Raises
    ------
    FileError
        If the folder exists and is neither to be replaced nor to be gone on with.
    SplitError
        If the split was made from other data.
    SettingsError
        If a fit cannot be resumed: it was begun with other data, split, model, settings or seed (each is named), or it
        broke.
    ModelError
        If the model cannot learn from these data, or training breaks.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="Line3"))
    >>> from pathlib import Path
    >>> model = cycseq.build_model("ContextAdditive")
    >>> run = cycseq.fit_run(data, split, model, Path("run"), data_path=Path("cells.h5ad"), overwrite=True)
    >>> run.predict(n_cells=20).n_cells
    120
    """
    folder, data_path = Path(folder), None if data_path is None else Path(data_path)
    check_at_least(0, seed=seed)
    if place := _place(model):
        if not (resume and progress_of(folder) == "ended"):
            parts = parts_of(split, data)
            fit_parts(model, parts, split, seed=seed)
        return Run(folder, {"process": place})
    with lock_folder(folder):
        clear(folder)
        _mend(folder)
        begun = _begun(folder, split, model, seed, overwrite=overwrite, resume=resume)
        parts = parts_of(split, data)
        if begun == "ended":
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # as it may have been killed before it did so
            return Run.open(folder)
        if begun == "begun":
            _note_resumption(folder)
            _fit(model, parts, folder, split, seed)
            shutil.rmtree(_replaced(folder), ignore_errors=True)
        else:
            with _in_place(folder):
                Run.create(folder, data, split, model, seed, data_path=data_path, command=command)
                _fit(model, parts, folder, split, seed)
        return Run.open(folder)


def _place(model: Model) -> int:
    """Which of the processes that were started to train it together this is: 0 is the one that has the folder."""
    devices, num_nodes = getattr(model, "devices", 1), getattr(model, "num_nodes", 1)
    if devices * num_nodes == 1:
        return 0
    from cycseq.models.networks.training.processes import place

    return place(devices, num_nodes)


def _begun(folder: Path, split: Split, model: Model, seed: int, *, overwrite: bool, resume: bool) -> Progress:
    """How far the fit to go on with has come; ``"none"`` for one that is to begin."""
    if resume and overwrite:
        raise SettingsError(f"--resume continues {folder} and --overwrite replaces it: use one of them.")
    progress = "none" if overwrite else progress_of(folder)
    if progress == "begun" and not resume:
        msg = f"the fit of {folder} was interrupted: continue it with --resume, or replace it with --overwrite true."
        raise FileError(msg)
    if resume and progress != "none":
        _check_same(folder, split, model, seed)
        return progress
    check_output(folder, overwrite=overwrite or (resume and folder.is_dir() and not any(folder.iterdir())))
    return "none"


def _fit(model: Model, parts: Parts, folder: Path, split: Split, seed: int) -> None:
    """Fit and save; the last good state too, where the training breaks."""
    facts, before = {"split": split.name, "claim": split.claim, "data_hash": split.data_hash}, model.fitted_
    try:
        fit_parts(model, parts, split, seed=seed, run=folder)
    except FitBrokeOffError as err:
        if model.fitted_ is before:
            raise
        model.save(folder / MODEL, facts=facts | {"broken": str(err)})
        where = (
            "is what it was before" if _replaced(folder).exists() else "holds that state, and cycseq predict takes it"
        )
        raise FitBrokeOffError(f"{err} {folder} {where}.") from err
    model.save(folder / MODEL, facts=facts)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _check_same(folder: Path, split: Split, model: Model, seed: int) -> None:
    """Raise `SettingsError` if the fit in the folder was begun with anything else, or broke."""
    facts = read_facts(folder)
    differing = _differing(facts["settings"], model.settings()) if facts["model"] == model.name else []
    if facts["model"] != model.name:
        differing.append(f"the model was {facts['model']} and is {model.name}")
    if facts["seed"] != seed:
        differing.append(f"the seed was {facts['seed']} and is {seed}")
    if facts["data"]["hash"] != split.data_hash:
        differing.append("the data are others")
    elif not (folder / SPLIT).is_file() or Split.read(folder / SPLIT) != split:
        differing.append("the split is another")
    if differing:
        raise SettingsError(
            f"{folder} cannot be resumed, because it was started differently: {'; '.join(differing)}. Use the same settings, or "
            "fit into another --run."
        )
    if progress_of(folder) == "broke":
        raise SettingsError(
            f"{folder} cannot be resumed: {Run.open(folder).broken} The same settings would break in the same step: fit again "
            "with --overwrite true, or use the state that is kept."
        )


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The settings that differ, in words."""
    now = json.loads(json.dumps(dict(now), default=str))  # as they were written down
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [f"{name} was {before.get(name)} and is {now.get(name)}" for name in names]


def _note_resumption(folder: Path) -> None:
    """Note when the fit was resumed, and which versions are others than when it was begun."""
    facts = read_facts(folder)
    others = differing(Run(folder, facts).environment, environment())
    now = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "differing": others}
    facts["resumed"] = [*facts.get("resumed", []), now]
    write_text(folder / RUN, json.dumps(facts, indent=1), overwrite=True)


def _mend(folder: Path) -> None:
    """Where an earlier replacement was killed: what it finished stays, else what it was to replace comes back."""
    replaced = _replaced(folder)
    if not replaced.exists():
        return
    try:
        progress = progress_of(folder)
    except FileError:
        progress = "none"
    if progress == "ended":
        shutil.rmtree(replaced)
    elif progress != "begun":  # which can be resumed, or replaced once more
        _bring_back(replaced, folder)


def _bring_back(replaced: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    replaced.rename(folder)


@contextmanager
def _in_place(folder: Path) -> Iterator[None]:
    """A new run: when the block fails, what stood at ``folder`` comes back, and else what can be used stays."""
    replaced = _replaced(folder)
    if replaced.exists():  # a killed replacement had begun: it is replaced itself
        _bring_back(replaced, folder)
    if folder.exists():
        folder.rename(replaced)
    try:
        yield
    except BaseException:
        if replaced.exists():
            _bring_back(replaced, folder)
        elif not ((folder / CHECKPOINTS).is_dir() or (folder / MODEL).is_dir()):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _replaced(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.replaced")
