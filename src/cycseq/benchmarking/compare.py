"""`compare`: fit each model on the same split of cells, reconstruct and generate the test cells, score both."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from cycseq.benchmarking.compare_settings import CompareSettings
from cycseq.benchmarking.families import ALL, HIGHEST, as_many, most_cells, scored
from cycseq.benchmarking.pca import NAME as PCA
from cycseq.benchmarking.pca import LinearCells
from cycseq.benchmarking.published import NOT_RESTORED, PUBLISHED, built, published_data
from cycseq.data.dataset import PerturbationData
from cycseq.errors import FileError, SettingsError
from cycseq.io.files import text_of_path, write_text
from cycseq.io.progress import track
from cycseq.matrix.arrays import Cells
from cycseq.models import build_model
from cycseq.models.base import Model
from cycseq.preparation.prepare import as_log1p, refuse_scaled
from cycseq.run.fitting import fit_run
from cycseq.run.folder import Run
from cycseq.run.parts import log1p_parts
from cycseq.run.record import environment
from cycseq.score.summary import paired_differences
from cycseq.split.base import Split
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

RECORD, METRICS, DIFFERENCES, DATA, SPLIT, RUNS = (
    "comparison.json", "metrics.csv", "differences.csv", "data.h5ad", "split.json", "runs",
)  # fmt: skip
REAL, NULL = "TrainingCells", "NoChange"
"""The ceiling of generation (real cells of the same conditions, from training), and its null (control cells)."""


@runtime_checkable
class Reconstructs(Protocol):
    """A model that encodes and decodes cells."""

    def reconstruct(self, data: PerturbationData) -> PerturbationData:
        """The same cells, encoded and decoded."""

    def embed(self, data: PerturbationData) -> Cells:
        """Where cells lie in the latent space."""


@dataclass(frozen=True)
class ComparisonResult:
    """A finished comparison: its folder, its tables, and the cells that its figures show."""

    folder: Path
    record: dict[str, Any]
    """What `comparison.json` says: settings, data, split, runs, versions, times, what differs from the published form."""
    metrics: pd.DataFrame
    """Tidy: model, split, seed, context, perturbation, metric, value; context and perturbation ``all``: all cells together."""
    differences: pd.DataFrame
    """As of `paired_differences`, over conditions: reconstruction against PCA, generation against no change."""
    test: PerturbationData
    """The real test cells."""
    reconstructed: dict[str, PerturbationData]
    generated: dict[str, PerturbationData]
    """As many cells of each perturbed condition as there are test cells."""
    latent: dict[str, Cells]
    """Where the test cells lie, by model."""
    histories: dict[str, pd.DataFrame]
    """Losses by epoch, by model."""


def compare(
    data: PerturbationData,
    settings: CompareSettings,
    out: Path,
    *,
    data_path: Path | None = None,
    command: str = "",
    overwrite: bool = False,
) -> ComparisonResult:
    """Fit every model on 70 % of the cells of every condition; score what it makes of 15 % that no training saw.

    The rest, 15 %, chooses the best epoch. A model that was fitted in this folder before, with the same settings, seed
    and split, is not fitted again; an interrupted fit goes on. Beside the models stand a PCA with as many components as
    the latent spaces have units (reconstruction), real training cells of the same conditions, and control cells
    (generation).

    Parameters
    ----------
    data
        All cells, log1p or counts.
    settings
        Which models, and how.
    out
        Folder for tables and runs.
    data_path, command
        Noted, so that the comparison can be repeated.
    overwrite
        Whether runs with other settings in this folder may be replaced.

    Raises
    ------
    SettingsError
        If a model or setting is unknown, or the folder holds a run with other settings.
    SplitError
        If conditions have too few cells to be split.
    DataError
        If the values are scaled.
    """
    started = datetime.now(UTC)
    models = built(settings)
    refuse_scaled(data)
    if out.exists() and not (out / RUNS).is_dir() and (not out.is_dir() or any(out.iterdir())):
        msg = f"{out} holds something else than a comparison: name another folder with --out."
        raise FileError(msg)
    if settings.published:
        data, data_path = published_data(as_log1p(data)), (out / DATA).resolve()
    (split,) = make_splits(data, SplitSettings(kind="random-cells", seed=settings.seed))
    noted = {"seed": settings.seed, "data_path": data_path, "command": command}
    runs = {
        name: _fitted(data, split, model, out / RUNS / name, overwrite=overwrite, **noted)
        for name, model in track(models.items(), "fitting", total=len(models))
    }
    if settings.published:
        data.write(out / DATA, overwrite=True)
    split.write(out / SPLIT, overwrite=True)
    result = _made(data, split, runs, settings, out)
    record = {
        "asked": asdict(settings),
        "command": command,
        "created": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
        "data": {
            "path": text_of_path(data_path) if data_path else None, "hash": split.data_hash, "cells": data.n_cells,
            "genes": len(data.genes), "conditions": len(data.conditions()), "contexts": list(data.contexts),
        },
        "split": {"name": split.name, "claim": split.claim, "cells": {part: len(names) for part, names in split.cells.items()}},
        "runs": {name: str(run.folder) for name, run in runs.items()},
        "settings": {name: run.facts["settings"] for name, run in runs.items()},
        "facts": {name: _facts(run) for name, run in runs.items()},
        "differs": [*NOT_RESTORED, *_own_form(settings)] if settings.published else [],
        **environment(),
    }  # fmt: skip
    result = replace(result, record=json.loads(json.dumps(record, default=str)))
    write_text(out / METRICS, result.metrics.to_csv(index=False), overwrite=True)
    write_text(out / DIFFERENCES, result.differences.to_csv(index=False), overwrite=True)
    write_text(out / RECORD, json.dumps(result.record, indent=1), overwrite=True)
    return result


def _fitted(data: PerturbationData, split: Split, model: Model, folder: Path, *, overwrite: bool, **noted: Any) -> Run:
    """The run in the folder, as it is or gone on with; fitted anew where it was begun otherwise and may be replaced."""
    try:
        return fit_run(data, split, model, folder, resume=True, **noted)
    except SettingsError as err:
        if not folder.exists():
            raise
        if not overwrite:
            msg = f"{err} Or say --overwrite true, or another --out."
            raise SettingsError(msg) from err
    return fit_run(data, split, model, folder, overwrite=True, **noted)


def _made(
    data: PerturbationData, split: Split, runs: dict[str, Run], settings: CompareSettings, out: Path
) -> ComparisonResult:
    """What the fitted models make of the test cells, with its scores."""
    parts = log1p_parts(split, data)
    test, control, seed = parts.test, parts.train.controls(), settings.seed
    decoders: dict[str, Any] = {PCA: LinearCells.of(parts.train, settings.latent, seed=seed)}
    decoders |= {name: run.model for name, run in runs.items() if isinstance(run.model, Reconstructs)}
    latent = {name: model.embed(test) for name, model in decoders.items()}
    reconstructed = {name: model.reconstruct(test) for name, model in decoders.items()}
    perturbed = [condition for condition in test.conditions() if not condition.is_control]
    generated = {REAL: as_many(parts.train, test, seed=seed)}
    generators = {name: run.model for name, run in runs.items()}
    if NULL not in generators:
        generators = {NULL: build_model(NULL).fit(parts.train, seed=seed), **generators}
    for name, model in generators.items():
        cells = model.predict(control, perturbed, n_cells=most_cells(test), seed=seed)
        generated[name] = as_many(cells, test, seed=seed)
    tables = [
        scored("reconstruction", reconstructed, test, control, split=split.name, seed=seed),
        scored("generation", generated, test, control, split=split.name, seed=seed),
    ]
    differences = [_differences(table, baseline) for table, baseline in zip(tables, (PCA, NULL), strict=True)]
    return ComparisonResult(
        folder=out,
        record={},
        metrics=pd.concat(tables, ignore_index=True),
        differences=pd.concat([d for d in differences if len(d)] or differences[:1], ignore_index=True),
        test=test,
        reconstructed=reconstructed,
        generated=generated,
        latent=latent,
        histories={name: history for name, run in runs.items() if (history := run.history()) is not None},
    )


def _differences(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Paired over conditions, against one baseline; metrics keep the task in their names."""
    task, _, _ = str(table["metric"].iloc[0]).partition("/")
    rows = table[(table["context"] != ALL) & ~table["metric"].str.endswith(HIGHEST)]
    found = paired_differences(rows.assign(metric=rows["metric"].str.removeprefix(f"{task}/")), baselines=[baseline])
    return found.assign(metric=f"{task}/" + found["metric"])


def _facts(run: Run) -> dict[str, Any]:
    """What the training said of itself, as far as it is one number."""
    return {name: value for name, value in run.model.learned.facts.items() if isinstance(value, int | float)}


def _own_form(settings: CompareSettings) -> list[str]:
    others = [name for name in settings.models if name not in PUBLISHED]
    return [f"{', '.join(others)} has no published form and keeps its own settings"] if others else []
