"""One trial of a search, and what Optuna proposes after the trials before it: nothing is kept but what `tune.json` says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from cycseq.benchmarking.tuning.folds import METRICS
from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.benchmarking.tuning.spaces import Range, Space, as_text
from cycseq.errors import MissingPackageError

try:
    import optuna
except ModuleNotFoundError as err:
    missing = "cycseq tune needs optuna, which is not installed: pip install 'cycseq[networks]'."
    raise MissingPackageError(missing) from err

RANDOM_TRIALS = 8  # trials at random before the sampler (TPE) learns from the trials before
FULL_TRIALS = 4  # trials that come to their end before a later one may be stopped early
State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One trial that has ended."""

    state: State
    params: dict[str, Any]  # what was tried; choices as JSON
    scores: list[dict[str, float]] = field(default_factory=list)  # by fold, as far as it came
    seconds: float = 0.0
    reason: str = ""  # of a failure


def check_trial(trial: Trial, space: Space) -> None:
    """Raise `ValueError` or `TypeError` if a trial that was read back is none of these ranges."""
    values = {name: v if isinstance(space[name], Range) else json.loads(v) for name, v in trial.params.items()}
    if trial.state not in get_args(State) or set(values) != set(space):
        raise ValueError(f"a trial is {trial.state!r} with {', '.join(values)}")
    for name, value in values.items():
        if not space[name].holds(value):
            raise ValueError(f"{name} is {value!r}")
    for scores in trial.scores:
        if set(scores) != set(METRICS) or not all(isinstance(value, float | int) for value in scores.values()):
            raise ValueError(f"the scores of a trial are {scores}")
    if trial.state == "complete" and not trial.scores:
        raise ValueError("a trial is complete, and has no scores")


def propose(trials: Sequence[Trial], settings: TuneSettings, space: Space, first: Mapping[str, Any]) -> optuna.Trial:
    """The next trial: `first` where there is none yet; then what the sampler says, with a random state that the number fixes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    number = len(trials)
    seed = int(np.random.default_rng([settings.seed, 6, number]).integers(2**31))
    study = optuna.create_study(
        direction=settings.direction,
        sampler=optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FULL_TRIALS),
    )
    distributions = {name: _distribution(range_) for name, range_ in space.items()}
    for trial in trials:
        means = dict(enumerate(running_means(trial.scores, settings)))
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState["FAIL" if trial.state == "failed" else trial.state.upper()],
                params=trial.params,
                distributions=distributions,
                intermediate_values=means,
                value=None if trial.state == "failed" else means[len(means) - 1],
            )
        )
    if number == 0:
        study.enqueue_trial({n: v if isinstance(space[n], Range) else as_text(v) for n, v in first.items()})
    return study.ask(distributions)


def running_means(scores: Sequence[Mapping[str, float]], settings: TuneSettings) -> list[float]:
    """The mean objective after each fold."""
    values = np.array([settings.value(**by_metric) for by_metric in scores])
    return (np.cumsum(values) / np.arange(1, len(values) + 1)).tolist()


def _distribution(range_: Any) -> optuna.distributions.BaseDistribution:
    if not isinstance(range_, Range):
        return optuna.distributions.CategoricalDistribution([as_text(value) for value in range_.values])
    if range_.whole:
        return optuna.distributions.IntDistribution(int(range_.low), int(range_.high), log=range_.log)
    return optuna.distributions.FloatDistribution(range_.low, range_.high, log=range_.log)
