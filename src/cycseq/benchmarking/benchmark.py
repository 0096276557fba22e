"""`benchmark`: find the results that are missing, have them computed, and make the tables of all of them."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from cycseq.benchmarking.choices import BASELINES, choose_models, describe_inputs, with_knowledge
from cycseq.benchmarking.engines import PROGRESS, compute_in_parallel
from cycseq.benchmarking.record import begin_record, write_tables
from cycseq.benchmarking.result import Result, result_path
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import KEYS, OF_REPRODUCIBLE, RECORD, RESULTS, SKIPPED, TABLES, BenchmarkResult
from cycseq.benchmarking.work import PIECE, Failure, Task, Unit, compute
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import FileError, SettingsError
from cycseq.formats.any_data import AnyData, as_data, reading_apart
from cycseq.io.files import clear, lock_folder, write_text
from cycseq.io.progress import track
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
from cycseq.settings import with_options
from cycseq.split.base import Split
from cycseq.split.make import find_splits
from cycseq.split.settings import SplitSettings


def benchmark(
    data: AnyData,
    settings: BenchmarkSettings | None = None,
    out: Path | str | None = None,
    *,
    splitting: SplitSettings | None = None,
    evaluation: EvaluateSettings | None = None,
    data_path: Path | None = None,
    command: str = "",
    overwrite: bool = False,
    **options: Any,
) -> BenchmarkResult:
    """Fit, predict and score models x splits x seeds; what was computed before is not computed again.

    Parameters
    ----------
    data
        Prepared cells, log1p, or counts, which every split's parts are normalised from; or effects of whole conditions, which
        models of means alone learn from. Or an AnnData or a file.
    settings
        Which models and splits, and how many seeds.
    out
        Folder for the tables; one that holds this very benchmark is resumed. None keeps nothing but what is returned.
    splitting
        What the kinds of split hold out.
    evaluation
        Which metrics, and how.
    data_path, command
        Noted, so that the report can say how to repeat it.
    overwrite
        Whether a benchmark with other settings may be replaced; its results that still hold are kept.
    options
        Fields of the settings: ``split="unseen-context"``, ``models=["baselines", "ConditionKriging"]``, ``seeds=1``; and how an
        AnnData or a file is read, as of `cycseq.read`: ``perturbation_key="condition"``, ``context_key="patient"``.

    Raises
    ------
    SettingsError
        If the folder holds a benchmark with other settings, or a name is unknown.
    DataError
        If the data are scaled.

    Examples
    --------
    >>> import cycseq
    >>> result = cycseq.benchmark(
    ...     cycseq.read("cells.h5ad"),
    ...     models=["ContextAdditive"],
    ...     seeds=1,
    ...     splitting=cycseq.SplitSettings(context="Line3"),
    ...     evaluation=cycseq.EvaluateSettings("pearson_delta"),
    ... )
    >>> result.table.loc["unseen-context"].index.tolist()  # with ceilings, negative controls and wrong targets, which are always there
    ['SplitHalf', 'InterpolatedDuplicate', 'NoChange', 'NoChange (wrong target)', 'PerturbedMean', 'PerturbedMean (wrong target)',
     'SmoothedControls', 'SmoothedControls (wrong target)', 'ContextAdditive', 'ContextAdditive (wrong target)']
    """
    reading, others = reading_apart(options)
    one_alone = {name for name in ("split", "models", "knowledge") if isinstance(others.get(name), str)}
    others |= {name: [others[name]] for name in one_alone}
    settings = with_options(settings or BenchmarkSettings(), others, "benchmark")
    data = as_data(data, **reading)
    if out is None:
        with TemporaryDirectory(prefix="cycseq-") as folder:
            return benchmark(data, settings, folder, splitting=splitting, evaluation=evaluation, data_path=data_path)
    out = Path(out)
    started = time.monotonic()  # which no clock that is put right can turn back
    if not isinstance(data, Effects):
        refuse_scaled(data)
    evaluation = evaluation or EvaluateSettings()
    chosen(evaluation.metrics)  # an unknown metric is refused before anything is written
    splits = find_splits(data, settings.split, splitting)
    models = choose_models(settings, splits)
    settings = with_knowledge(settings, models, data.perturbations)
    inputs = describe_inputs(data, settings, evaluation, models, splits)
    with lock_folder(out):
        clear(out / RESULTS)
        _check_folder(out, inputs, overwrite=overwrite)
        record = begin_record(data, splits, inputs, data_path=data_path, command=command) | {
            "splitting": json.loads(json.dumps(asdict(splitting or SplitSettings()), default=str)),
            "models": list(models),
            "baselines": [name for name in models if name in BASELINES],
        }
        write_text(out / RECORD, json.dumps(record, indent=1), overwrite=True)

        units = [_unit(out / RESULTS, inputs, settings, evaluation, split) for split in splits]
        results, failed = _complete(out / RESULTS, data, units, settings, record)
        reproducibilities = (
            pd.DataFrame(columns=list(REPRODUCIBILITY))
            if isinstance(data, Effects)
            else reproducibility(as_log1p(data))
        )
        finished = _tabulate(out, record, results, reproducibilities, failed)
        strong = summarize_scores(reproducible_rows(finished.metrics, reproducibilities), baselines=record["baselines"])
        write_text(out / OF_REPRODUCIBLE, strong.to_csv(index=False), overwrite=True)
        write_tables(out / RECORD, record, {name: getattr(finished, name) for name in TABLES}, started=started)
        return finished


def _check_folder(out: Path, inputs: dict[str, Any], *, overwrite: bool) -> None:
    path = out / RECORD
    if not path.is_file():
        if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
            raise FileError(
                f"{out} exists and is not a benchmark: choose another --out, or use --overwrite true to write into it."
            )
        return
    changed = changed_settings(path, inputs)
    if changed and not overwrite:
        raise SettingsError(
            f"{out} holds a benchmark with other {', '.join(changed)}: choose another --out, or use --overwrite true "
            f"to replace it (results that still hold are kept)."
        )


def _unit(
    folder: Path, inputs: dict[str, Any], settings: BenchmarkSettings, evaluation: EvaluateSettings, split: Split
) -> Unit:
    """Every result of a split, its calibration first."""
    common = {name: inputs[name] for name in ("data", "cells", "evaluation", "cycseq")}
    common["split_digest"] = inputs["splits"][split.name]
    tasks = [Task(SPLIT_HALF, 0, result_path(folder, SPLIT_HALF, split.name, 0, common))]
    for model in inputs["models"]:
        depends_on = {**common, "settings": inputs["model_settings"].get(model, {})}
        for seed in range(settings.seeds):
            path = result_path(folder, model, split.name, seed, depends_on)
            tasks.append(Task(model, seed, path, settings.model_settings.get(model, {})))
    return Unit(split, tuple(tasks), evaluation, settings.cells)


def _complete(
    folder: Path, data: Data, units: Sequence[Unit], settings: BenchmarkSettings, record: dict[str, Any]
) -> tuple[list[Result], tuple[Failure, ...]]:
    """Read the results in the folder, compute the others and note all in the record; what belongs to no unit is removed."""
    paths = [task.path for unit in units for task in unit.tasks]
    results = {path: Result.read(path) for path in paths}
    missing = [
        replace(unit, tasks=tasks)
        for unit in units
        if (tasks := tuple(task for task in unit.tasks if results[task.path] is None))
    ]
    if settings.jobs == 1 and settings.scheduler is None:
        computing = track((compute(data, unit) for unit in missing), PROGRESS, len(missing))
        failed = tuple(failure for failures in computing for failure in failures)
    else:
        failed = compute_in_parallel(data, missing, settings.jobs, settings.scheduler)
    results |= {task.path: Result.read(task.path) for unit in missing for task in unit.tasks}
    for stale in {*folder.glob("*.npz"), *folder.glob(f"*{PIECE}")} - set(paths):
        stale.unlink()
    record |= {
        "computed_now": sum(len(unit.tasks) for unit in missing),
        "failed": [asdict(failure) for failure in failed],
        "results": [
            {"file": path.name, "model": r.model, "split": r.split, "seed": r.seed, "seconds": round(r.seconds, 3)}
            for path, r in results.items()
            if r is not None
        ],
    }
    return [result for result in results.values() if result is not None], failed


def _tabulate(
    out: Path,
    record: dict[str, Any],
    results: Sequence[Result],
    reproducibilities: pd.DataFrame,
    failed: tuple[Failure, ...],
) -> BenchmarkResult:
    """The tables of all results."""
    metrics = _together(results, "scores", COLUMNS)
    differences = paired_differences(metrics, baselines=record["baselines"])
    refused = [(r.model, r.split, r.seed, r.not_applicable) for r in results if r.not_applicable]
    return BenchmarkResult(
        folder=out,
        record=record,
        metrics=metrics,
        summary=summarize_scores(metrics, baselines=record["baselines"], differences=differences),
        differences=differences,
        skipped=pd.DataFrame(refused, columns=list(SKIPPED)),
        reproducibility=reproducibilities,
        coverage=_together(results, "coverage", [*KEYS, *COVERAGE]),
        reliability=_together(results, "reliability", [*KEYS, *RELIABILITY]),
        failed=failed,
        results=tuple(result for result in results if result.seed == 0),
    )


def _together(results: Sequence[Result], name: str, columns: Sequence[str]) -> pd.DataFrame:
    """One table of every result, under one another, with model, split and seed."""
    tables = [
        table if name == "scores" else table.assign(**{key: getattr(result, key) for key in KEYS})
        for result in results
        if len(table := getattr(result, name))
    ]
    return pd.concat(tables, ignore_index=True)[[*columns]] if tables else pd.DataFrame(columns=[*columns])
