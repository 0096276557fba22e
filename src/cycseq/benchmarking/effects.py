"""A benchmark on effects of whole conditions: its reference, and what a model comes to on a split."""

from typing import Any

import numpy as np
import pandas as pd

from cycseq.benchmarking.result import Result, concat_tables
from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.data.usual_names import CONTROL
from cycseq.models import build_model
from cycseq.run.parts import fit_parts, means_model, predict_on_effects
from cycseq.score.ceiling import SPLIT_HALF, split_half, wrong_target
from cycseq.score.certainty import certainty_of_effects
from cycseq.score.evaluate import COLUMNS, evaluate
from cycseq.score.match import match_conditions
from cycseq.score.reference import Reference, effect_reference
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import EffectParts, Split


def reference_of_effects(parts: EffectParts, evaluation: EvaluateSettings) -> Reference:
    """The tested effects beside the other real perturbations of their contexts, from which retrieval has to tell them."""
    learnt, tested = parts.learnt, set(parts.test.conditions())
    contexts = set(parts.test.contexts)
    beside = [c for c in learnt.conditions() if c.context in contexts and not c.is_control and c not in tested]
    real = parts.test.with_rows(learnt.subset(beside)) if beside else parts.test
    return effect_reference(real, learnt, evaluation)


def model_result(
    real: Reference, parts: EffectParts, split: Split, model: str, settings: dict[str, Any], *, seed: int
) -> Result:
    """Fit a model on the training effects, predict the tested ones and score them."""
    fitted = means_model(fit_parts(build_model(model, settings), parts, split, seed=seed))
    tested = [c for c in parts.test.conditions() if not c.is_control]
    predicted = predict_on_effects(fitted, tested, parts.train.controls())
    match = match_conditions(predicted, real)
    record: dict[str, Any] = {"model": model, "split": split.name, "seed": seed}
    tables = [evaluate(predicted, real, match=match, **record)]
    if len(tested) > 1:
        tables.append(wrong_target(predicted, real, match=match, **record))
    conditions, means = _with_controls(predicted) if seed == 0 else ((), np.zeros((0, 0), dtype=np.float32))
    coverage, reliability = certainty_of_effects(predicted, parts.test)
    return Result(
        **record,
        scores=concat_tables(tables),
        seconds=0.0,
        conditions=conditions,
        means=means,
        coverage=coverage,
        reliability=reliability,
    )


def real_result(real: Reference, parts: EffectParts, split: Split) -> Result:
    """The real effects, for figures, and the ceiling where standard errors tell how far they can be predicted."""
    conditions, means = _with_controls(parts.test)
    se = parts.test.layer("se")
    has_errors = se is not None and np.isfinite(se).any()
    scores = (
        split_half(real, split=split.name, conditions=split.test) if has_errors else pd.DataFrame(columns=list(COLUMNS))
    )
    return Result(SPLIT_HALF, split.name, 0, scores, 0.0, conditions=conditions, means=means)


def _with_controls(effects: Effects) -> tuple[tuple[Condition, ...], np.ndarray]:
    """Conditions and their effects, with a control of no change for every context."""
    effects = effects.perturbed()
    controls = [Condition(context, CONTROL) for context in effects.contexts]
    nothing = np.zeros((len(controls), len(effects.genes)), dtype=np.float32)
    return (*effects.conditions(), *controls), np.concatenate([effects.effect, nothing])
