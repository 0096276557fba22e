"""`compare`: a benchmark of one split of cells, in which every model reconstructs and generates the test cells."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from cycseq.benchmarking.families import FAMILIES, differences, draw_as_many, score
from cycseq.benchmarking.pca import PCA
from cycseq.benchmarking.published import build_models, describe_form, published_data
from cycseq.benchmarking.record import begin_record, write_tables
from cycseq.benchmarking.settings import CompareSettings
from cycseq.data.dataset import PerturbationData
from cycseq.errors import FileError, SettingsError
from cycseq.io.progress import track
from cycseq.matrix.arrays import Cells
from cycseq.models import build_model
from cycseq.models.base import Embeds, Model
from cycseq.preparation.prepare import as_log1p, refuse_scaled
from cycseq.run.fitting import fit_run
from cycseq.run.folder import Run
from cycseq.run.parts import log1p_parts
from cycseq.split.base import Split, SplitParts
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

RECORD, DATA, SPLIT, RUNS = "comparison.json", "data.h5ad", "split.json", "runs"
LINEAR, REAL, NULL = "PCA", "TrainingCells", "NoChange"
"""Beside reconstruction stands a PCA; beside generation its ceiling (real cells of the same conditions, from training) and
its null (control cells)."""


@runtime_checkable
class Autoencoding(Embeds, Protocol):
    """A model that encodes and decodes cells."""

    def reconstruct(self, data: PerturbationData) -> PerturbationData:
        """The same cells, encoded and decoded."""


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
    runs: dict[str, Run]
    """The fitted models."""


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
    started, seed, models = time.monotonic(), settings.seed, build_models(settings)
    refuse_scaled(data)
    if out.exists() and not (out / RUNS).is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise FileError(f"{out} holds something else than a comparison: name another folder with --out.")
    if settings.published:
        data, data_path = published_data(as_log1p(data)), (out / DATA).resolve()
    (split,) = make_splits(data, SplitSettings(kind="random-cells", seed=seed))
    record = begin_record(data, [split], asdict(settings), data_path=data_path, command=command)
    noted: dict[str, Any] = {"seed": seed, "data_path": data_path, "command": command, "overwrite": overwrite}
    runs = {
        name: _fit(data, split, model, out / RUNS / name, **noted)
        for name, model in track(models.items(), "fitting", total=len(models))
    }
    if settings.published:
        data.write(out / DATA, overwrite=True)
    split.write(out / SPLIT, overwrite=True)

    parts = log1p_parts(split, data)
    decoders: dict[str, Autoencoding] = {LINEAR: PCA(parts.train, settings.latent, seed=seed)}
    decoders |= {name: run.model for name, run in runs.items() if isinstance(run.model, Autoencoding)}
    reconstructed = {name: model.reconstruct(parts.test) for name, model in decoders.items()}
    generated = _generate_all(runs, parts, seed=seed)
    tables = [
        score(family, cells, parts.test, parts.train.controls(), split=split.name, seed=seed)
        for family, cells in zip(FAMILIES, (reconstructed, generated), strict=True)
    ]
    by_family = [differences(table, baseline) for table, baseline in zip(tables, (LINEAR, NULL), strict=True)]
    paired = pd.concat([table for table in by_family if len(table)] or by_family[:1], ignore_index=True)
    metrics = pd.concat(tables, ignore_index=True)
    result = ComparisonResult(
        folder=out,
        record=record
        | {
            "runs": {name: str(run.folder) for name, run in runs.items()},
            "settings": {name: run.facts["settings"] for name, run in runs.items()},
            "differs": describe_form(settings),
        },
        metrics=metrics,
        differences=paired,
        test=parts.test,
        reconstructed=reconstructed,
        generated=generated,
        latent={name: model.embed(parts.test) for name, model in decoders.items()},
        runs=runs,
    )
    write_tables(out / RECORD, result.record, {"metrics": metrics, "differences": paired}, started=started)
    return result


def _generate_all(runs: dict[str, Run], parts: SplitParts, *, seed: int) -> dict[str, PerturbationData]:
    """As many cells as there are test cells of every perturbed condition: by model, and beside them real training cells (the ceiling) and control cells (the null)."""
    models = {} if NULL in runs else {NULL: build_model(NULL).fit(parts.train, seed=seed)}
    models |= {name: run.model for name, run in runs.items()}
    control, perturbed = parts.train.controls(), parts.test.perturbed()
    n_cells = int(perturbed.moments.n_cells.max())
    cells = {REAL: draw_as_many(parts.train, parts.test, seed=seed)}
    for name, model in models.items():
        predicted = model.predict(control, perturbed.conditions(), n_cells=n_cells, seed=seed)
        cells[name] = draw_as_many(predicted, parts.test, seed=seed)
    return cells


def _fit(data: PerturbationData, split: Split, model: Model, folder: Path, *, overwrite: bool, **noted: Any) -> Run:
    """The run in the folder, as it is or resumed; fitted anew where it was begun otherwise and may be replaced."""
    try:
        return fit_run(data, split, model, folder, resume=True, **noted)
    except SettingsError as err:
        if not folder.exists():
            raise
        if not overwrite:
            raise SettingsError(f"{err} Or use --overwrite true, or another --out.") from err
    return fit_run(data, split, model, folder, overwrite=True, **noted)
