"""The benchmark: which cells of the table are missing, who computes them, and the tables made of them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from cycseq.benchmarking.choices import BASELINES, chosen_models, chosen_splits, everything_asked
from cycseq.benchmarking.engines import computed
from cycseq.benchmarking.record import begin_record, write_tables
from cycseq.benchmarking.result import Cell, cell_path
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import CELLS, OF_CELL, OF_REPRODUCIBLE, RECORD, SKIPPED, TABLES, BenchmarkResult
from cycseq.benchmarking.work import PIECE, Failure, Task, Unit
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import FileError, SettingsError
from cycseq.io.files import alone, clear, write_text
from cycseq.preparation.prepare import as_log1p, refuse_scaled
from cycseq.run.facts import changed_settings
from cycseq.score.ceiling import SPLIT_HALF
from cycseq.score.certainty import COVERAGE, RELIABILITY
from cycseq.score.evaluate import COLUMNS
from cycseq.score.metrics import chosen
from cycseq.score.reproducibility import COLUMNS as REPRODUCIBILITY
from cycseq.score.reproducibility import reproducibility, reproducible_rows
from cycseq.score.settings import EvaluateSettings
from cycseq.score.summary import paired_differences, summarize_scores
from cycseq.split.base import Split
from cycseq.split.settings import SplitSettings


def benchmark(
    data: Data,
    settings: BenchmarkSettings,
    out: Path,
    *,
    splitting: SplitSettings | None = None,
    evaluation: EvaluateSettings | None = None,
    data_path: Path | None = None,
    command: str = "",
    overwrite: bool = False,
) -> BenchmarkResult:
    """Fit, predict and score models x splits x seeds; what was computed before is not computed again.

    Parameters
    ----------
    data
        Prepared cells, log1p, or counts, which every split's parts are normalised from; or effects of whole conditions, which
        models of means alone learn from.
    settings
        Which models and splits, and how many seeds.
    out
        Folder for the tables; one that holds this very benchmark is resumed.
    splitting
        What the kinds of split hold out.
    evaluation
        Which metrics, and how.
    data_path, command
        Noted, so that the report can say how to repeat it.
    overwrite
        Whether a benchmark with other settings may be replaced; its cells that still hold are kept.

    Raises
    ------
    SettingsError
        If the folder holds a benchmark with other settings, or a name is unknown.
    DataError
        If the data are scaled.

    Examples
    --------
    >>> import cycseq
    >>> from pathlib import Path
    >>> settings = cycseq.BenchmarkSettings(models=["ContextAdditive"], seeds=1)
    >>> result = cycseq.benchmark(
    ...     cycseq.read("cells.h5ad"),
    ...     settings,
    ...     Path("benchmark"),
    ...     splitting=cycseq.SplitSettings(context="Line3"),
    ...     evaluation=cycseq.EvaluateSettings("pearson_delta"),
    ... )
    >>> "ContextAdditive" in set(result.summary["model"])
    True
    """
    started = time.monotonic()  # which no clock that is put right can turn back
    if not isinstance(data, Effects):
        refuse_scaled(data)
    evaluation = evaluation or EvaluateSettings()
    chosen(evaluation.metrics)  # an unknown metric is refused before anything is written
    splits = chosen_splits(data, settings, splitting)
    models = chosen_models(settings, splits)
    asked = everything_asked(data, settings, evaluation, models, splits)
    with alone(out):
        clear(out / CELLS)
        _check_folder(out, asked, overwrite=overwrite)
        record = begin_record(data, splits, asked, data_path=data_path, command=command) | {
            "splitting": json.loads(json.dumps(asdict(splitting or SplitSettings()), default=str)),
            "models": list(models),
            "baselines": [name for name in models if name in BASELINES],
        }
        write_text(out / RECORD, json.dumps(record, indent=1), overwrite=True)

        tasks = {split.name: _tasks(out / CELLS, asked, settings, models, split) for split in splits}
        missing = [
            Unit(split, left, evaluation, settings.cells)
            for split in splits
            if (left := tuple(task for task in tasks[split.name] if Cell.read(task.path) is None))
        ]
        failed = computed(data, missing, settings.jobs, settings.scheduler)
        paths = [task.path for split in splits for task in tasks[split.name]]
        cells = {path.name: cell for path in paths if (cell := Cell.read(path)) is not None}
        record |= {
            "computed_now": sum(len(unit.tasks) for unit in missing),
            "failed": [asdict(failure) for failure in failed],
            "cells": [
                {"file": name, "model": c.model, "split": c.split, "seed": c.seed, "seconds": round(c.seconds, 3)}
                for name, c in cells.items()
            ],
        }
        for stale in {*(out / CELLS).glob("*.npz"), *(out / CELLS).glob(f"*{PIECE}")} - set(paths):
            stale.unlink()
        reproducibilities = (
            pd.DataFrame(columns=list(REPRODUCIBILITY))
            if isinstance(data, Effects)
            else reproducibility(as_log1p(data))
        )
        result = _tabulate(out, record, list(cells.values()), reproducibilities, failed)
        tables = {name: getattr(result, name) for name in TABLES}
        strong = summarize_scores(reproducible_rows(result.metrics, reproducibilities), baselines=record["baselines"])
        write_text(out / OF_REPRODUCIBLE, strong.to_csv(index=False), overwrite=True)
        write_tables(out / RECORD, record, tables, started=started)
        return result


def _check_folder(out: Path, asked: dict[str, Any], *, overwrite: bool) -> None:
    path = out / RECORD
    if not path.is_file():
        if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
            msg = f"{out} exists and is no benchmark: choose another --out, or say --overwrite true to write into it."
            raise FileError(msg)
        return
    different = changed_settings(path, asked)
    if different and not overwrite:
        msg = (
            f"{out} holds a benchmark with other {', '.join(different)}: choose another --out, or say --overwrite true "
            f"to replace it (cells of the table that still hold are kept)."
        )
        raise SettingsError(msg)


def _tasks(
    folder: Path, asked: dict[str, Any], settings: BenchmarkSettings, models: Sequence[str], split: Split
) -> list[Task]:
    """Every cell of the split's table, its calibration first."""
    common = {name: asked[name] for name in ("data", "cells", "evaluation", "cycseq")}
    common["split_digest"] = asked["splits"][split.name]
    tasks = [Task(SPLIT_HALF, 0, cell_path(folder, SPLIT_HALF, split.name, 0, common))]
    for model in models:
        chosen = settings.model_settings.get(model, {})
        depends_on = {**common, "settings": asked["model_settings"].get(model, {})}
        for seed in range(settings.seeds):
            path = cell_path(folder, model, split.name, seed, depends_on)
            tasks.append(Task(model, seed, path, chosen))
    return tasks


def _tabulate(
    out: Path, record: dict[str, Any], cells: Sequence[Cell], reliabilities: pd.DataFrame, failed: tuple[Failure, ...]
) -> BenchmarkResult:
    """The tables of the cells."""
    scored = [cell.scores for cell in cells if len(cell.scores)]
    metrics = pd.concat(scored, ignore_index=True) if scored else pd.DataFrame(columns=list(COLUMNS))
    refused = [(c.model, c.split, c.seed, c.not_applicable) for c in cells if c.not_applicable]
    differences = paired_differences(metrics, baselines=record["baselines"])
    return BenchmarkResult(
        folder=out,
        record=record,
        metrics=metrics,
        summary=summarize_scores(metrics, baselines=record["baselines"], differences=differences),
        differences=differences,
        skipped=pd.DataFrame(refused, columns=list(SKIPPED)),
        reproducibility=reliabilities,
        coverage=_of_cells(cells, "coverage", COVERAGE),
        reliability=_of_cells(cells, "reliability", RELIABILITY),
        failed=failed,
    )


def _of_cells(cells: Sequence[Cell], name: str, columns: Sequence[str]) -> pd.DataFrame:
    """A table of every cell, under one another, with model, split and seed."""
    keys = list(OF_CELL)
    tables = [getattr(cell, name).assign(**{key: getattr(cell, key) for key in keys}) for cell in cells]
    some = [one for one in tables if len(one)]
    return pd.concat(some, ignore_index=True)[[*keys, *columns]] if some else pd.DataFrame(columns=[*keys, *columns])
