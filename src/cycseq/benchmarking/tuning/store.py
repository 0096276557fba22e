"""Where trials are kept: Optuna's journal in the folder of the search."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from cycseq.io.untrusted import as_file_error


def open_study(path: Path, direction: Literal["minimize", "maximize"]) -> Study:
    """The study in this file, or a new one; a trial that was cut off is told as failed and marked `interrupted`.

    Neither the sampler nor the median rule learns from an interrupted trial, and its number is given again.

    Raises
    ------
    FileError
        If the file is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with as_file_error(path, f"Remove {path.parent} to begin anew."):
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(study_name="tune", storage=storage, direction=direction, load_if_exists=True)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            storage.set_trial_user_attr(trial._trial_id, "interrupted", True)  # noqa: FBT003
            study.tell(trial.number, state=TrialState.FAIL)
    return study


def finished(study: Study) -> list[FrozenTrial]:
    """Trials that ended, well or not, in order; the place in this list is the trial's number to the user."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and not trial.user_attrs.get("interrupted")
    ]
