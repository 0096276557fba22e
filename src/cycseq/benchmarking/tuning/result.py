"""What a search found: tables of its trials, the best settings, a configuration for `cycseq fit`, a figure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cycseq.benchmarking.tuning.folds import METRICS
from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.benchmarking.tuning.spaces import Range, Space, defaults_in
from cycseq.benchmarking.tuning.trials import Trial
from cycseq.errors import ModelError, count_of
from cycseq.io.files import atomic_write, write_text
from cycseq.models import MODELS


@dataclass(frozen=True)
class TuneResult:
    """What was tried and what was best."""

    folder: Path
    settings: TuneSettings
    trials: pd.DataFrame
    """One row a trial: `trial`, `state` (complete, pruned, failed), `objective`, `folds` (how many were done), the
    mean `mse_ratio` and `pearson_delta` over them, `seconds`, `reason` (of a failure), then the settings as JSON."""
    folds: pd.DataFrame  # one row a trial, fold and metric: `trial`, `fold`, `metric`, `value`
    best: dict[str, Any]  # the settings of the best complete trial, by name
    best_trial: int
    best_value: float  # its objective: being the best of many, it flatters; the test part says what it is worth
    default_value: float | None
    """The objective of the defaults (trial 0); None where some lie outside the ranges, or it failed."""

    def write_config(self, path: Path, *, data: Path, split: Path) -> None:
        """Write the best settings as a YAML file for `cycseq fit --config`."""
        import yaml  # type: ignore[import-untyped]

        settings = {name: list(value) if isinstance(value, tuple) else value for name, value in self.best.items()}
        model = {"class_path": f"{MODELS[self.settings.model]}.{self.settings.model}", "init_args": settings}
        config = {"data": str(data), "split": str(split), "seed": self.settings.seed, "model": model}
        write_text(path, yaml.safe_dump(config, sort_keys=False), overwrite=True)

    def draw(self, path: Path) -> None:
        """Write a figure of the objective by trial, with the best so far."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.6, 3.0), layout="constrained")
        ax = figure.subplots()
        complete = self.trials[self.trials["state"] == "complete"]
        pruned = self.trials[self.trials["state"] == "pruned"]
        best = (
            complete["objective"].cummax() if self.settings.direction == "maximize" else complete["objective"].cummin()
        )
        ax.step(complete["trial"], best, where="post", color="#0072b2", linewidth=1.4, label="best so far")
        ax.plot(complete["trial"], complete["objective"], "o", color="#24292f", markersize=4, label="all folds")
        if len(pruned):
            ax.plot(pruned["trial"], pruned["objective"], "x", color="#6b7280", markersize=4, label="stopped early")
        if self.default_value is not None:
            ax.axhline(self.default_value, color="#d55e00", linewidth=1.0, linestyle=(0, (4, 2)), label="defaults")
        ax.set(xlabel="trial", ylabel=f"{self.settings.objective}, mean of inner folds", title=self.settings.model)
        ax.legend(frameon=False, fontsize=8)
        with atomic_write(path, overwrite=True) as part:
            figure.savefig(part, dpi=150, format="png")


def result_of(
    trials: Sequence[Trial], settings: TuneSettings, space: Space, folds: Sequence[str], out: Path
) -> TuneResult:
    """The tables, and the best of the complete trials; raises `ModelError` if there is none."""
    by_fold = [
        {"trial": number, "fold": fold, "metric": metric, "value": scores[metric]}
        for number, trial in enumerate(trials)
        for fold, scores in zip(folds, trial.scores, strict=False)
        for metric in METRICS
    ]
    table = pd.DataFrame([_row(number, trial, settings) for number, trial in enumerate(trials)])
    complete = table[table["state"] == "complete"]
    if complete.empty:
        raise ModelError(f"all {count_of(len(table), 'trial')} of {settings.model} failed: {table['reason'].iloc[-1]}")
    sign = -1.0 if settings.direction == "maximize" else 1.0
    best = int(complete["trial"].iloc[int(np.argmin(sign * complete["objective"]))])
    params = trials[best].params
    of_defaults = len(defaults_in(settings.model, space)) == len(space) and trials[0].state == "complete"
    return TuneResult(
        folder=out,
        settings=settings,
        trials=table,
        folds=pd.DataFrame(by_fold, columns=["trial", "fold", "metric", "value"]),
        best={n: params[n] if isinstance(space[n], Range) else json.loads(params[n]) for n in space},
        best_trial=best,
        best_value=float(table["objective"].iloc[best]),
        default_value=float(table["objective"].iloc[0]) if of_defaults else None,
    )


def _row(number: int, trial: Trial, settings: TuneSettings) -> dict[str, Any]:
    """A trial's row of the table."""
    means = {m: float(np.mean([s[m] for s in trial.scores])) if trial.scores else float("nan") for m in METRICS}
    return {
        "trial": number,
        "state": trial.state,
        "objective": settings.value(**means),
        "folds": len(trial.scores),
        **means,
        "seconds": trial.seconds,
        "reason": trial.reason,
        **trial.params,
    }
