"""Scores of predicted cells, told by their own record what the model was trained on."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.real_cells import conditions_of_real_cells
from cycseq.errors import DataError, join_names
from cycseq.preparation.merge import join
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import responses
from cycseq.run.budget import check_comparison, dense_values
from cycseq.run.parts import learnt_from, log1p_parts, with_others
from cycseq.score.challenge.evaluate import evaluate_counts
from cycseq.score.challenge.scale import ChallengeScale
from cycseq.score.evaluate import evaluate
from cycseq.score.metrics import chosen
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import Split
from cycseq.split.controls import GIVEN, find_held_back_controls


def evaluate_prediction(
    predicted: PerturbationData,
    real: PerturbationData,
    *,
    split: Split | Path | None = None,
    settings: EvaluateSettings | None = None,
    memory: str | None = None,
    scale: ChallengeScale | None = None,
) -> pd.DataFrame:
    """`evaluate`, told by the prediction's own record (or by a split) what the model was trained on.

    Raises `SettingsError` if the memory is too little (the least that would do is named), `DataError` if nothing predicted is among the
    real conditions, the predicted cells are real ones, or conditions are cut and no split is given, and `SplitError` if the split
    was made from other data.

    Cells are log1p or counts, the real ones with controls and training conditions among them. The split says which control cells are
    the reference of the real responses, as the record of a prediction of ours does; it is needed where it cuts conditions
    (`random-cells`, `few-shot` by cells). Memory is as of `ReadSettings`; the challenge's scale is completed where its metrics are
    asked for.
    """
    settings = settings or EvaluateSettings()
    metrics = chosen(settings.metrics)
    of_counts = [metric for metric in metrics if "counts" in metric.needs]
    if not of_counts:
        return _evaluate_cells(predicted, real, split, settings, memory)
    _refuse_real_cells(predicted, real)
    challenge = evaluate_counts(predicted, real, of_counts, scale=scale, **labels_of(predicted))
    challenge.attrs["notes"] = ()
    if len(of_counts) == len(metrics):
        return challenge
    others = replace(settings, metrics=[metric.name for metric in metrics if metric not in of_counts])
    rest = _evaluate_cells(predicted, real, split, others, memory)
    table = pd.concat([rest, challenge], ignore_index=True)
    table.attrs["notes"] = rest.attrs["notes"]
    return table


def _evaluate_cells(
    predicted: PerturbationData,
    real: PerturbationData,
    split: Split | Path | None,
    settings: EvaluateSettings,
    memory: str | None,
) -> pd.DataFrame:
    """The metrics of log1p values."""
    check_comparison(predicted, real, settings, memory)
    _refuse_real_cells(predicted, real)
    split = Split.read(split).require_test() if isinstance(split, Path) else split
    sides = _real_sides(predicted, real) if split is None else _sides_of_split(predicted, real, split)
    contexts = set(predicted.contexts)
    predicted_conditions = [
        c for c in sides.test.conditions() if c.context in contexts and (split is not None or not c.is_control)
    ]
    if not predicted_conditions:
        raise DataError(
            f"predicted contexts ({', '.join(predicted.contexts)}) and real ones ({', '.join(real.contexts)}) do not "
            f"overlap: give predictions and real cells of the same conditions."
        )
    return evaluate(
        as_log1p(predicted),
        sides.test.subset(predicted_conditions),
        sides.controls,
        reference=sides.reference,
        training=None if sides.training is None else responses(sides.training),
        settings=settings,
        **labels_of(predicted, split),
        dense_values=dense_values(memory),
    )


@dataclass(frozen=True)
class _Sides:
    """The real cells, log1p, by what they are for."""

    test: PerturbationData  # of the predicted conditions, and of others in the same contexts
    controls: PerturbationData  # those that the model was given
    reference: PerturbationData | None  # controls that were held back from it, of which real responses are taken
    training: PerturbationData | None  # what it learned from, as far as that is known


def _sides_of_split(predicted: PerturbationData, real: PerturbationData, split: Split) -> _Sides:
    parts = log1p_parts(split, real)
    training = learnt_from(parts)
    controls, reference = parts.train.controls(), parts.reference
    if predicted.provenance().get("controls") == GIVEN:  # the user's own, among which the reference may be
        controls, reference = join(controls, reference), None
    return _Sides(with_others(parts.test, training), controls, reference, training)


def _real_sides(predicted: PerturbationData, real: PerturbationData) -> _Sides:
    """As the prediction's own record says it."""
    record = predicted.provenance()
    of_split = dict(record.get("split") or {})
    if of_split.get("cuts_conditions") or of_split.get("kind") == "random-cells":
        raise DataError(
            "the model was trained on cells of the conditions that it predicts: name the split with --split SPLIT.json."
        )
    real = as_log1p(real)
    held_back = find_held_back_controls(predicted, real)
    reference = real.take(held_back) if held_back.any() else None
    test = real.take(~held_back) if held_back.any() else real
    controls = test.controls()
    training = {Condition(*pair) for pair in record.get("training", ())} & set(real.conditions())
    return _Sides(test, controls, reference, test.subset([*training, *controls.conditions()]) if training else None)


def labels_of(predicted: PerturbationData | Effects, split: Split | None = None) -> dict[str, Any]:
    """Model, split and seed of a table of scores, as the split or the prediction's record names them."""
    record = predicted.provenance()
    name = split.name if split is not None else str(dict(record.get("split") or {}).get("name", ""))
    return {"model": str(record.get("model", "predicted")), "split": name, "seed": int(record.get("seed", 0))}


def evaluate_effects(
    predicted: Effects, real: Effects, *, split: Split | Path | None = None, settings: EvaluateSettings | None = None
) -> pd.DataFrame:
    """As `evaluate_prediction`, of effects of whole conditions.

    All real effects are given, training conditions among them, on the scale of the predicted ones. Raises `DataError` if the two
    sides do not match, or a predicted condition has exactly the real values, and `SplitError` if the split was made from other
    data.
    """
    record = predicted.provenance()
    split = Split.read(split).require_test() if isinstance(split, Path) else split
    if split is not None:
        split.check(real)
    training_conditions = (
        {*split.train, *split.validation} if split else {Condition(*pair) for pair in record.get("training", ())}
    )
    present = set(real.conditions())
    predicted_conditions = {c for c in predicted.conditions() if not c.is_control}
    contexts = {c.context for c in predicted_conditions}
    beside = {c for c in present if c.context in contexts and not c.is_control}
    training = real.subset(training_conditions) if training_conditions & present else None
    _refuse_real_effects(predicted, real, predicted_conditions & present)
    return evaluate(
        predicted,
        real.subset(predicted_conditions | (beside & training_conditions) if training_conditions else beside),
        training=training,
        settings=settings,
        **labels_of(predicted, split),
    )


def _refuse_real_effects(predicted: Effects, real: Effects, shared: set[Condition]) -> None:
    """Raise `DataError` if the predicted effects of a condition are the real ones."""
    if not shared or predicted.scale != real.scale:
        return
    real = real.with_genes(predicted.genes)
    rows = {condition: row for row, condition in enumerate(real.conditions())}
    for row, condition in enumerate(predicted.conditions()):
        if condition in shared:
            values, truth = predicted.effect[row], real.effect[rows[condition]]
            mask = ~np.isnan(values) & ~np.isnan(truth)
            if mask.sum() > 1 and np.ptp(values[mask]) > 0 and np.array_equal(values[mask], truth[mask]):
                raise DataError(
                    f"the predicted effects of {str(condition)!r} are exactly the real ones, and whoever copies scores best: give what "
                    "the model predicted."
                )


def _refuse_real_cells(predicted: PerturbationData, real: PerturbationData) -> None:
    """Raise `DataError` if the predicted cells of a condition are real cells of it."""
    sides = (predicted, real) if predicted.scale == real.scale else (as_log1p(predicted), as_log1p(real))
    if real_ones := conditions_of_real_cells(*sides):
        raise DataError(
            f"the predicted cells are real cells: those of {join_names(real_ones, 3)} "
            "have exactly the values of real cells of the same condition, and whoever copies scores best. Give what the model "
            "predicted, and leave out what it did not."
        )
