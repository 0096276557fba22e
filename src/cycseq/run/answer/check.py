"""How well predictions of one kind did: measured conditions left out, predicted by the same model, and compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.data.posterior import CONDITIONS
from cycseq.errors import ModelError, SplitError
from cycseq.models import build_model
from cycseq.preparation.merge import join
from cycseq.preparation.pseudobulk import effects_of
from cycseq.run.answer.fitted import Prediction
from cycseq.run.answer.left_out import leave_out
from cycseq.run.parts import Parts, fit_parts, parts_of
from cycseq.score.certainty import certainty, certainty_of_effects
from cycseq.score.coverage import STRATA
from cycseq.score.evaluate import evaluate
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import EffectParts, Split, SplitParts
from cycseq.split.settings import Kind

AVERAGE = "MatchingMean"
"""The baseline that predicts any condition: the average of what was measured of its perturbation elsewhere."""
METRICS = ("mse_unbiased_norm", "mse_ratio", "pearson_delta")
SURE = 0.05  # local false sign rate up to which the direction of a gene counts as called
OWN_GENES = 4  # what all genes together weigh beside the errors of one gene, in left-out conditions
COLUMNS = (
    "kind",
    "left_out",
    "context",
    "perturbation",
    *METRICS,
    *(f"average_{m}" for m in METRICS),
    "called",
    "right",
    "inside",
)


@dataclass(frozen=True)
class Check:
    """What leaving out conditions of one kind showed."""

    kind: Kind
    table: pd.DataFrame
    """One row for each condition that was left out, columns `COLUMNS`: its scores, those of the average, how many genes were
    called at `SURE`, how many of them moved as predicted, and the share of genes inside their 90 % interval (NaN without one)."""
    why_not: str  # why nothing could be left out; empty where something was
    errors: Float[np.ndarray, "conditions genes"]  # predicted minus measured effects

    def error_sd(self) -> Float[np.ndarray, "genes"]:
        """The standard deviation of each gene's errors, drawn towards that of all genes; raises `ModelError` without errors."""
        if not len(self.errors):
            msg = f"the model gives no uncertainty, and no condition could be held out to measure it: {self.why_not} Use --leave-out 3, or --model ConditionKriging."
            raise ModelError(msg)
        squares = self.errors.astype(np.float64) ** 2
        n, total = (~np.isnan(squares)).sum(axis=0), np.nansum(squares, axis=0)
        return np.sqrt((total + OWN_GENES * np.nanmean(squares)) / (n + OWN_GENES))


def check_kind(
    data: Data,
    conditions: Sequence[Condition],
    kind: Kind,
    *,
    model: str,
    settings: dict[str, Any],
    most: int,
    seed: int,
) -> Check:
    """Leave out, fit, predict and compare; at most `most` fits of the model.

    Model and settings are those of the prediction; `most` 0 checks nothing.
    """
    rows: list[dict[str, Any]] = []
    errors: list[np.ndarray] = []
    why_not = (
        ""
        if most
        else "no condition was left out (--leave-out 3 leaves some out; each time the model is fitted once more)."
    )
    try:
        for split in leave_out(data, conditions, kind, most) if most else ():
            scores, difference = _score(data, split, kind, model, settings, seed=seed)
            rows += scores
            errors.append(difference)
    except (SplitError, ModelError) as err:
        why_not = str(err)
    stacked = np.concatenate(errors) if errors else np.zeros((0, len(data.genes)), dtype=np.float32)
    return Check(kind, pd.DataFrame(rows, columns=list(COLUMNS)), "" if rows else why_not, stacked)


def _score(
    data: Data, split: Split, kind: Kind, model: str, settings: dict[str, Any], *, seed: int
) -> tuple[list[dict[str, Any]], np.ndarray]:
    parts = parts_of(split, data)
    conditions = [c for c in parts.test.conditions() if not c.is_control]
    real = (parts.test if isinstance(parts, EffectParts) else effects_of(_real_cells(parts))).perturbed()
    prediction, average = (
        Prediction.of(
            fit_parts(build_model(name, model_settings), parts, split, seed=seed),
            parts.train.controls(),
            conditions,
            n_cells=2,
            seed=seed,
        )
        for name, model_settings in ((model, settings), (AVERAGE, {}))
    )
    scores, average_scores = (_metrics(one.effects, real) for one in (prediction, average))
    predicted, measured = (
        _aligned(prediction.effects, conditions),
        _aligned(real.with_genes(prediction.effects.genes), conditions),
    )
    has_sd = prediction.effects.layer("sd") is not None
    calls = _calls(prediction, conditions, measured) if has_sd else {}
    inside = _inside(prediction, parts, real) if has_sd else {}
    rows = [
        {
            "kind": kind,
            "left_out": split.name.partition(":")[2] or split.name,
            "context": c.context,
            "perturbation": c.perturbation,
        }
        | scores.get(c, {})
        | {f"average_{name}": value for name, value in average_scores.get(c, {}).items()}
        | calls.get(c, {"called": 0, "right": 0})
        | {"inside": inside.get(c.context, np.nan)}
        for c in conditions
    ]
    return rows, predicted - measured


def _real_cells(parts: SplitParts) -> PerturbationData:
    """The cells that were left out, with the control cells that no model was given, or those of training where none were held back."""
    held_back = () if parts.reference is None else parts.reference.contexts
    shared = parts.train.controls(set(parts.test.contexts) - set(held_back))
    return join(parts.test, shared if parts.reference is None else join(parts.reference, shared))


def _metrics(predicted: Effects, real: Effects) -> dict[Condition, dict[str, float]]:
    has_noise = real.layer("se") is not None
    metrics = METRICS if has_noise else METRICS[1:]
    table = evaluate(predicted, real, settings=EvaluateSettings(metrics=list(metrics)))
    by_condition: dict[Condition, dict[str, float]] = {}
    columns = (table[name] for name in ("context", "perturbation", "metric", "value"))
    for context, perturbation, metric, value in zip(*columns, strict=True):
        by_condition.setdefault(Condition(context, perturbation), {})[metric] = float(value)
    return by_condition


def _aligned(effects: Effects, conditions: Sequence[Condition]) -> np.ndarray:
    place = {condition: row for row, condition in enumerate(effects.conditions())}
    return effects.effect[[place[condition] for condition in conditions]]


def _calls(
    prediction: Prediction, conditions: Sequence[Condition], measured: np.ndarray
) -> dict[Condition, dict[str, int]]:
    """How many genes of each condition were called, and how many of them moved as was predicted."""
    genes = prediction.genes()
    calls = genes[genes["lfsr"] <= SURE]
    rows = {condition: row for row, condition in enumerate(conditions)}
    columns = pd.Index(prediction.effects.genes)
    counts = {}
    for (context, perturbation), part in calls.groupby(["context", "perturbation"], observed=True):
        condition = Condition(str(context), str(perturbation))
        real = measured[rows[condition]][columns.get_indexer(pd.Index(part["gene"]))]
        finite = ~np.isnan(real)
        right = np.sign(real[finite]) == np.sign(part["effect"].to_numpy()[finite])
        counts[condition] = {"called": int(finite.sum()), "right": int(right.sum())}
    return counts


def _inside(prediction: Prediction, parts: Parts, real: Effects) -> dict[str, float]:
    """By context, the share of measured effects inside their 90 % interval, which allows for the noise of the measurement."""
    if prediction.cells is None or CONDITIONS not in prediction.cells.adata.uns:
        coverage, _ = certainty_of_effects(prediction.effects, real)
    else:
        assert not isinstance(parts, EffectParts)
        coverage, _ = certainty([prediction.cells], _real_cells(parts))
    measured = coverage[coverage["stratum"] == STRATA[0]]
    return dict(zip(measured["context"].astype(str), measured["observed"].astype(float), strict=True))
