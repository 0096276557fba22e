"""`tune`: trial after trial, each with a random state of its own, so that an interrupted search goes on as if it had not stopped."""

import json
import shutil
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cycseq.benchmarking.tuning.folds import Fold, inner_folds
from cycseq.benchmarking.tuning.result import TuneResult, result_of
from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.benchmarking.tuning.spaces import Range, Space, defaults_in, describe_space, space_of
from cycseq.benchmarking.tuning.trials import State, Trial, check_trial, propose, running_means
from cycseq.data.dataset import PerturbationData
from cycseq.errors import CycseqError, FileError, ModelError, SettingsError, count_of
from cycseq.io.files import lock_folder, write_text
from cycseq.io.progress import track
from cycseq.io.untrusted import as_file_error, read_json
from cycseq.models import build_model
from cycseq.run.facts import changed_settings
from cycseq.run.record import environment
from cycseq.split.base import Split

RECORD, TRIALS, FOLDS = "tune.json", "trials.csv", "folds.csv"
HOPELESS = 3  # trials that all fail before the search is given up


def tune(
    data: PerturbationData, split: Split, settings: TuneSettings, out: Path, *, overwrite: bool = False
) -> TuneResult:
    """Choose a model's settings by nested validation within the training part of a split.

    Optuna's TPE (Bergstra 2011) proposes and its median rule (Golovin 2017) prunes: a trial stops after a fold where its
    best mean so far is worse than the median of earlier trials at that fold. A failed trial counts and is reported. Called
    again with the same folder, the search resumes up to ``settings.trials``, with the same results as one that was not
    interrupted.

    Parameters
    ----------
    data
        All cells, log1p or counts. Those of the split's test part are not looked at.
    split
        Made from these data; its training and validation parts are split again by the same rule.
    settings
        Model, trials, objective, ranges.
    out
        Folder of the search: `tune.json` (what was asked, and every trial), `trials.csv`, `folds.csv`.
    overwrite
        Begin anew where the folder holds a search with other settings or data.

    Raises
    ------
    SettingsError
        If the model, a setting or a range does not exist, or the folder holds another search.
    SplitError
        If the split was made from other data, or cannot be split again.
    ModelError
        If optuna is absent, or all trials failed.
    FileError
        If another process works in the folder, or it holds something else.
    """
    space = space_of(settings.model, settings.space)
    folds = inner_folds(data, split, settings)
    inputs = _describe_inputs(split, settings, space, folds)
    with lock_folder(out):
        _check_folder(out, inputs, overwrite=overwrite)
        trials = _read_trials(out / RECORD, space)
        record = {"asked": inputs, **environment()}
        for number in track(range(len(trials), settings.trials), "Trials"):
            trials.append(_try(trials, settings, space, folds))
            progress = {**record, "trials": [asdict(trial) for trial in trials]}
            write_text(out / RECORD, json.dumps(progress, indent=1), overwrite=True)
            if number + 1 >= HOPELESS and all(trial.reason for trial in trials):
                msg = f"all {count_of(len(trials), 'trial')} of {settings.model} failed, the last one as follows: {trials[-1].reason}"
                raise ModelError(msg)
        result = result_of(trials, settings, space, [fold.split.name for fold in folds], out)
        for name, table in ((TRIALS, result.trials), (FOLDS, result.folds)):
            write_text(out / name, table.to_csv(index=False), overwrite=True)
    return result


def _describe_inputs(split: Split, settings: TuneSettings, space: Space, folds: Sequence[Fold]) -> dict[str, Any]:
    """All that the trials depend on; how many there are to be is not a part of it."""
    text = json.dumps([split.name, split.data_hash, split.train, split.validation, split.cells])
    return {
        "data": split.data_hash,
        "split": [split.name, blake2b(text.encode(), digest_size=8).hexdigest()],
        "model": settings.model,
        "objective": settings.objective,
        "seed": settings.seed,
        "folds": [fold.split.name for fold in folds],
        "space": describe_space(space),
    }


def _check_folder(out: Path, inputs: dict[str, Any], *, overwrite: bool) -> None:
    path = out / RECORD
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise FileError(f"{out} exists and holds no search of cycseq tune: choose another --out.")
        return
    changed = changed_settings(path, inputs)
    if changed and not overwrite:
        raise SettingsError(
            f"{out} holds a search with other {', '.join(changed)}: choose another --out, or use --overwrite true to "
            "begin anew."
        )
    if changed:
        shutil.rmtree(out)


def _read_trials(path: Path, space: Space) -> list[Trial]:
    """The trials of an earlier call; raises `FileError` where they are not of these ranges."""
    if not path.is_file():
        return []
    cure = f"Remove {path.parent} to begin anew."
    with as_file_error(path, cure):
        trials = [Trial(**trial) for trial in read_json(path, cure).get("trials", [])]
        for trial in trials:
            check_trial(trial, space)
        return trials


def _try(trials: Sequence[Trial], settings: TuneSettings, space: Space, folds: Sequence[Fold]) -> Trial:
    """One more trial, fold by fold, until it has ended, is pruned or fails."""
    proposal = propose(trials, settings, space, defaults_in(settings.model, space))
    values = {n: v if isinstance(space[n], Range) else json.loads(v) for n, v in proposal.params.items()}
    same = [trial.scores for trial in trials if trial.params == proposal.params and not trial.reason]
    scored_before: list[dict[str, float]] = max(same, key=len, default=[])
    started, pruned, reason = time.perf_counter(), False, ""
    scores: list[dict[str, float]] = []
    try:
        for step, fold in enumerate(folds):
            model = build_model(settings.model, values)
            scores.append(scored_before[step] if step < len(scored_before) else fold.scores(model, settings.seed))
            proposal.report(running_means(scores, settings)[-1], step)
            pruned = step + 1 < len(folds) and proposal.should_prune()
            if pruned:
                break
    except CycseqError as err:
        reason = str(err)
    except Exception as err:  # noqa: BLE001  (one broken trial must not cost the others; it is reported by name)
        where = traceback.extract_tb(err.__traceback__)[-1]
        reason = f"{type(err).__name__}: {err} ({Path(where.filename).name}, line {where.lineno})"
    if not reason and not np.isfinite(running_means(scores, settings)).all():
        reason = f"{settings.objective} is undefined in an inner fold"
    seconds = round(time.perf_counter() - started, 2)
    state: State = "failed" if reason else "pruned" if pruned else "complete"
    return Trial(state, proposal.params, scores, seconds, reason)
