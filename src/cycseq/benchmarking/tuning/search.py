"""`tune`: trial after trial, each with a random state of its own, so that an interrupted search goes on as if it had not stopped."""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cycseq.errors import CycseqError, FileError, MissingPackageError, ModelError, SettingsError

try:
    import optuna  # noqa: F401  before the files that take names from it, so that one line says what is missing
except ModuleNotFoundError as err:
    missing = "cycseq tune needs optuna, which is not installed: pip install 'cycseq[networks]'."
    raise MissingPackageError(missing) from err

from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from cycseq.benchmarking.tuning.folds import Fold, inner_folds
from cycseq.benchmarking.tuning.result import TuneResult, result_of
from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.benchmarking.tuning.spaces import Range, Space, as_text, defaults_in, described, space_of
from cycseq.benchmarking.tuning.store import finished, open_study
from cycseq.data.dataset import PerturbationData
from cycseq.io.files import alone, write_text
from cycseq.io.progress import track
from cycseq.models import build_model
from cycseq.run.facts import asked_otherwise
from cycseq.run.record import environment
from cycseq.split.base import Split

RECORD, JOURNAL, TRIALS, FOLDS = "tune.json", "trials.journal", "trials.csv", "folds.csv"
RANDOM_TRIALS = 8
"""Trials at random before the sampler (TPE) learns from what was found."""
FULL_TRIALS = 4
"""Trials that come as far as a fold before a later one may be stopped there."""
HOPELESS = 3
"""Trials that all fail before the search is given up."""


def tune(
    data: PerturbationData, split: Split, settings: TuneSettings, out: Path, *, overwrite: bool = False
) -> TuneResult:
    """Choose a model's settings by nested validation within the training part of a split.

    Optuna's TPE (Bergstra 2011) proposes, the median rule prunes: after a fold, a trial whose mean so far is worse
    than the median of earlier trials at that fold stops. A failed trial counts and is reported. Called again with
    the same folder, it goes on up to ``settings.trials``, with the same results as a search that was not interrupted.

    Parameters
    ----------
    data
        All cells, log1p or counts. Those of the split's test part are not looked at.
    split
        Made from these data; its training and validation parts are split again by the same rule.
    settings
        Model, trials, objective, ranges.
    out
        Folder of the search: `tune.json`, `trials.journal` (Optuna's own file), `trials.csv`, `folds.csv`.
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
    asked = _asked(split, settings, space, folds)
    with alone(out):
        _check_folder(out, asked, overwrite=overwrite)
        write_text(out / RECORD, json.dumps({"asked": asked, **environment()}, indent=1), overwrite=True)
        study = open_study(out / JOURNAL, settings.direction)
        for number in track(range(len(finished(study)), settings.trials), "Trials"):
            _try(study, number, settings, space, folds)
            _give_up_if_hopeless(study, settings.model)
        result = result_of(study, settings, space, [fold.split.name for fold in folds], out)
        for name, table in ((TRIALS, result.trials), (FOLDS, result.folds)):
            write_text(out / name, table.to_csv(index=False), overwrite=True)
    return result


def _asked(split: Split, settings: TuneSettings, space: Space, folds: Sequence[Fold]) -> dict[str, Any]:
    """All that the trials depend on; how many there are to be is no part of it."""
    said = json.dumps([split.name, split.data_hash, split.train, split.validation, split.cells])
    return {
        "data": split.data_hash,
        "split": [split.name, blake2b(said.encode(), digest_size=8).hexdigest()],
        "model": settings.model,
        "objective": settings.objective,
        "seed": settings.seed,
        "folds": [fold.split.name for fold in folds],
        "space": described(space),
    }


def _check_folder(out: Path, asked: dict[str, Any], *, overwrite: bool) -> None:
    path = out / RECORD
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            msg = f"{out} exists and holds no search of cycseq tune: choose another --out."
            raise FileError(msg)
        return
    different = asked_otherwise(path, asked)
    if different and not overwrite:
        msg = (
            f"{out} holds a search with other {', '.join(different)}: choose another --out, or say --overwrite true to "
            "begin anew."
        )
        raise SettingsError(msg)
    if different:
        shutil.rmtree(out)


def _try(study: Study, number: int, settings: TuneSettings, space: Space, folds: Sequence[Fold]) -> None:
    """One trial: the defaults first; then what the sampler says, with a random state that the number fixes."""
    seed = int(np.random.default_rng([settings.seed, 6, number]).integers(2**31))
    study.sampler = TPESampler(n_startup_trials=RANDOM_TRIALS, seed=seed)
    if number == 0:
        own = defaults_in(settings.model, space)
        study.enqueue_trial({n: v if isinstance(space[n], Range) else as_text(v) for n, v in own.items()})
    trial = study.ask()
    values = {name: _suggested(trial, name, range_) for name, range_ in space.items()}
    started, state, reason = time.perf_counter(), TrialState.COMPLETE, ""
    done: list[dict[str, float]] = []
    running: list[float] = []
    try:
        for step, scores in enumerate(_scores(study, trial, settings, values, folds)):
            done.append(scores)
            trial.set_user_attr("scores", done)
            running.append(settings.value(**scores))
            trial.report(float(np.mean(running)), step)
            if step + 1 < len(folds) and _below_median(study, settings, running):
                state = TrialState.PRUNED
                break
    except CycseqError as err:
        reason = str(err)
    except Exception as err:  # noqa: BLE001  (one broken trial must not cost the others; it is reported by name)
        where = traceback.extract_tb(err.__traceback__)[-1]
        reason = f"{type(err).__name__}: {err} ({Path(where.filename).name}, line {where.lineno})"
    if not reason and not np.isfinite(running).all():
        reason = f"{settings.objective} is undefined in an inner fold"
    trial.set_user_attr("seconds", round(time.perf_counter() - started, 2))
    trial.set_user_attr("reason", reason)
    if reason:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, None if state == TrialState.PRUNED else float(np.mean(running)), state=state)


def _below_median(study: Study, settings: TuneSettings, running: Sequence[float]) -> bool:
    """The median rule (Golovin 2017): whether the mean so far is worse than the median of earlier trials' at this fold.

    Optuna's own pruner compares the best of a trial's means so far, which an easy first fold would flatter.
    """
    step, sign = len(running) - 1, 1.0 if settings.direction == "minimize" else -1.0
    reported = [t.intermediate_values.get(step, np.nan) for t in finished(study)]
    others = [sign * value for value in reported if np.isfinite(value)]
    return len(others) >= FULL_TRIALS and sign * float(np.mean(running)) > float(np.median(others))


def _scores(
    study: Study, trial: Trial, settings: TuneSettings, values: dict[str, Any], folds: Sequence[Fold]
) -> Iterator[dict[str, float]]:
    """The scores fold by fold; those of an earlier trial with the same settings are not computed again."""
    same = [t for t in finished(study) if t.params == trial.params and not t.user_attrs["reason"]]
    known: list[dict[str, float]] = max((t.user_attrs["scores"] for t in same), key=len, default=[])
    for step, fold in enumerate(folds):
        yield known[step] if step < len(known) else fold.scores(build_model(settings.model, values), settings.seed)


def _suggested(trial: Trial, name: str, range_: Any) -> Any:
    if not isinstance(range_, Range):
        return json.loads(trial.suggest_categorical(name, [as_text(value) for value in range_.values]))
    if range_.whole:
        return trial.suggest_int(name, int(range_.low), int(range_.high), log=range_.log)
    return trial.suggest_float(name, range_.low, range_.high, log=range_.log)


def _give_up_if_hopeless(study: Study, model: str) -> None:
    reasons = [trial.user_attrs["reason"] for trial in finished(study)]
    if len(reasons) >= HOPELESS and all(reasons):
        msg = f"all {len(reasons)} trials of {model} failed, the last one as follows: {reasons[-1]}"
        raise ModelError(msg)
