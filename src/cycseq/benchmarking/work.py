"""The work of a benchmark: the missing results of one split, with the real side computed once for all of them."""

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cycseq.benchmarking.challenge import calibration, members_wanted, scores_of_counts
from cycseq.benchmarking.effects import model_result, real_result, reference_of_effects
from cycseq.benchmarking.predictions import concatenate, predict_conditions
from cycseq.benchmarking.result import NO_MEANS, Result, concat_tables
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.posterior import CONDITIONS
from cycseq.data.usual_names import CONTROL
from cycseq.errors import FitBrokeOffError, MissingPackageError, ModelError
from cycseq.models import build_model
from cycseq.models.base import Model
from cycseq.models.means import MeansModel
from cycseq.preparation.merge import join
from cycseq.preparation.pseudobulk import responses
from cycseq.preparation.settings import Response
from cycseq.run.effects import effects_behind
from cycseq.run.parts import Parts, fit_parts, learnt_from, parts_of, with_others
from cycseq.score.ceiling import REPEATS, SPLIT_HALF, choose_repeats, split_half_once, wrong_target
from cycseq.score.certainty import certainty
from cycseq.score.evaluate import COLUMNS, evaluate
from cycseq.score.match import match_conditions
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import EffectParts, Split, SplitParts

FEW_CELLS = 10  # cells of a model of means where no metric looks at cells: their mean is exactly what it predicts
PIECE = ".piece"  # ending of a file that holds one repeat of a calibration


@dataclass(frozen=True)
class Task:
    """One result that is still to be computed."""

    model: str
    seed: int
    path: Path
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unit:
    """Tasks that share a split; one process works through them."""

    split: Split
    tasks: tuple[Task, ...]
    evaluation: EvaluateSettings
    cells: int | None


@dataclass(frozen=True)
class Failure:
    """A result that broke in a way that nobody foresaw."""

    model: str
    split: str
    seed: int
    error: str  # the exception, and where it was raised


def compute(data: Data, unit: Unit) -> list[Failure]:
    """Compute and write the unit's results one by one; failures are returned, and the others go on."""
    tasks = zip(unit.tasks, compute_tasks(*prepare_split(data, unit), unit, in_pieces=True), strict=True)
    return [failure for task, outcome in tasks for failure in write_result(task, outcome)]


def write_result(task: Task, outcome: Result | Failure) -> list[Failure]:
    """Write a result; a failure is returned."""
    if isinstance(outcome, Failure):
        return [outcome]
    outcome.write(task.path)
    for piece in pieces(task):
        piece.unlink(missing_ok=True)
    return []


def pieces(task: Task) -> list[Path]:
    """Where each repeat of a calibration lies until the whole is written."""
    return [task.path.with_suffix(f".{repeat}{PIECE}") for repeat in range(REPEATS if task.model == SPLIT_HALF else 0)]


def compute_tasks(real: Reference, parts: Parts, unit: Unit, *, in_pieces: bool = False) -> Iterator[Result | Failure]:
    """The result of each task of the unit, one by one, or how it broke.

    In pieces, every repeat of a calibration is written beside its result as it ends, and is not computed again.
    """
    refused: dict[str, str] = {}
    summaries: dict[Response, Effects] = {}
    for task in unit.tasks:
        started = time.perf_counter()
        if task.model in refused:
            yield _not_applicable(unit, task, refused[task.model])
            continue
        try:
            result = _result(real, parts, unit, task, summaries, in_pieces=in_pieces)
        except (FitBrokeOffError, MissingPackageError) as err:
            yield failure(unit, task, str(err))
            continue
        except ModelError as err:
            refused[task.model] = str(err)
            result = _not_applicable(unit, task, str(err))
        except Exception as err:  # noqa: BLE001  (one broken result must not cost the others; it is reported by name)
            where = traceback.extract_tb(err.__traceback__)[-1]
            error = f"{type(err).__name__}: {err} ({Path(where.filename).name}, line {where.lineno})"
            yield failure(unit, task, error)
            continue
        yield replace(result, seconds=time.perf_counter() - started)


def _result(
    real: Reference, parts: Parts, unit: Unit, task: Task, summaries: dict[Response, Effects], *, in_pieces: bool
) -> Result:
    if isinstance(parts, EffectParts):
        if task.model == SPLIT_HALF:
            return real_result(real, parts, unit.split)
        return model_result(real, parts, unit.split, task.model, task.settings, seed=task.seed)
    if task.model == SPLIT_HALF:
        return _calibration(real, parts, unit, task, in_pieces=in_pieces)
    return _model_result(real, parts, unit, task, summaries)


def failure(unit: Unit, task: Task, error: str) -> Failure:
    """How this task broke."""
    return Failure(task.model, unit.split.name, task.seed, error)


def prepare_split(data: Data, unit: Unit) -> tuple[Reference, Parts]:
    """The split's parts, and its test cells beside the other real perturbations of their contexts."""
    parts = parts_of(unit.split, data)
    if isinstance(parts, EffectParts):
        return reference_of_effects(parts, unit.evaluation), parts
    learnt = learnt_from(parts)
    real, controls = with_others(parts.test, learnt), parts.train.controls()
    training, reference = responses(learnt), parts.reference
    return Reference.of(real, controls, reference=reference, training=training, settings=unit.evaluation), parts


def _model_result(
    real: Reference, parts: SplitParts, unit: Unit, task: Task, summaries: dict[Response, Effects]
) -> Result:
    """Fit a model, predict the conditions of one context after another, and score them."""
    model = build_model(task.model, task.settings)
    model = fit_parts(model, parts, unit.split, seed=task.seed, summaries=summaries)
    results = [_result_in(real, parts, unit, task, model, context=context) for context in parts.test.contexts]
    return Result.joined(results)


def _result_in(real: Reference, parts: SplitParts, unit: Unit, task: Task, model: Model, *, context: str) -> Result:
    """What a fitted model comes to in one context; its means of the first seed alone."""
    labels: dict[str, Any] = {"model": task.model, "split": unit.split.name, "seed": task.seed}
    controls, real_cells = parts.train.controls([context]), _perturbed(parts.test, context)
    members = members_wanted(unit.evaluation)
    n_cells = unit.cells if real.metrics or not isinstance(model, MeansModel) else FEW_CELLS
    in_pieces = not real.metrics
    pieces, effects, means = list[PerturbationData](), list[Effects](), dict[Condition, np.ndarray]()
    for piece in predict_conditions(model, controls, real_cells, cells=n_cells, seed=task.seed, in_pieces=in_pieces):
        if members:
            effects.append(effects_behind(model, piece.conditions(), controls, seed=task.seed, predicted=piece))
        if task.seed == 0 and not real.metrics:
            means |= zip(piece.conditions(), piece.moments.mean, strict=True)
        if real.metrics or CONDITIONS in piece.adata.uns:
            pieces.append(piece)
    posteriors = [piece for piece in pieces if CONDITIONS in piece.adata.uns]
    measured = join(real_cells, reference_controls(parts, context)) if posteriors else real_cells
    coverage, reliability = certainty(posteriors, measured, truth=true_responses(real_cells) if posteriors else None)
    tables = []
    if real.metrics:
        predicted = concatenate(pieces)
        match = match_conditions(predicted, real)
        for one in match if task.seed == 0 else ():
            names = (real.contexts[context].perturbations[place] for place in one.places)
            means |= zip((Condition(context, name) for name in names), one.cells.mean, strict=True)
        tables.append(evaluate(predicted, real, match=match, **labels))
        if len(predicted.perturbations) > 1:
            tables.append(wrong_target(predicted, real, match=match, **labels))
    if task.seed == 0:
        means |= zip(controls.conditions(), controls.moments.mean, strict=True)
    if members:
        of_context = reduce(Effects.with_rows, effects)
        rows = [of_context.conditions().index(condition) for condition in real_cells.conditions()]
        tables += scores_of_counts(real.contexts[context], parts, of_context.take(np.array(rows)), members, **labels)
    return Result(
        **labels,
        scores=concat_tables(tables),
        seconds=0.0,
        conditions=tuple(means),
        means=np.array(list(means.values()), dtype=np.float32) if means else NO_MEANS,
        coverage=coverage,
        reliability=reliability,
    )


def true_responses(data: PerturbationData) -> dict[Condition, np.ndarray] | None:
    """The true response of every condition, where the data are simulated."""
    deltas = data.adata.varm.get("true_delta")
    if not isinstance(deltas, pd.DataFrame):
        return None
    tested = {str(condition): condition for condition in data.conditions() if not condition.is_control}
    if not set(tested) <= set(deltas):
        return None
    return {condition: deltas[name].to_numpy(dtype=np.float64) for name, condition in tested.items()}


def reference_controls(parts: SplitParts, context: str) -> PerturbationData:
    """Control cells that real responses of a context are taken against: those held back, or all where none were."""
    held_back = parts.reference
    if held_back is not None and context in held_back.contexts:
        return held_back.controls([context])
    return parts.train.controls([context])


def _calibration(real: Reference, parts: SplitParts, unit: Unit, task: Task, *, in_pieces: bool) -> Result:
    """The split-half ceiling, with the real means and those of the controls that they are compared with."""
    tables = []
    for repeat, path in enumerate(pieces(task)[: choose_repeats(len(unit.split.test))]):
        piece = Result.read(path) if in_pieces else None
        if piece is None:
            started, split = time.perf_counter(), unit.split.name
            scores = split_half_once(real, repeat, split=split, conditions=unit.split.test)
            piece = Result(SPLIT_HALF, split, repeat, scores, time.perf_counter() - started)
            if in_pieces:
                piece.write(path)
        tables.append(piece.scores)
    perturbed = _perturbed(parts.test)
    tested = [real.contexts[context] for context in perturbed.contexts]
    tables += calibration(tested, parts, members_wanted(unit.evaluation), unit.split.name)
    references = [(Condition(context, CONTROL), real.contexts[context].control_mean) for context in perturbed.contexts]
    return Result(
        model=SPLIT_HALF,
        split=unit.split.name,
        seed=task.seed,
        scores=concat_tables(tables),
        seconds=0.0,
        conditions=(*perturbed.conditions(), *(condition for condition, _ in references)),
        means=np.concatenate([perturbed.moments.mean, [mean for _, mean in references]]).astype(np.float32),
    )


def _perturbed(data: PerturbationData, context: str | None = None) -> PerturbationData:
    return data.subset(c for c in data.conditions() if not c.is_control and context in {None, c.context})


def _not_applicable(unit: Unit, task: Task, why: str) -> Result:
    """What a model refuses with one seed it refuses with all."""
    return Result(task.model, unit.split.name, task.seed, pd.DataFrame(columns=list(COLUMNS)), 0.0, not_applicable=why)
