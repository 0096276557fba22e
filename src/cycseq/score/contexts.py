"""A model beside its negative control, context by context."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from cycseq.score.ceiling import POSITIVE_CONTROLS, SPLIT_HALF
from cycseq.score.metrics import METRICS
from cycseq.score.summary import FEWEST, paired_differences
from cycseq.score.verdicts import Judgement

NOISE = 2.0  # a difference counts from this many standard deviations of the split-half ceiling's repeats
ContextWord: TypeAlias = Literal["better", "ahead", "not better", "indistinguishable", "cannot tell"]


@dataclass(frozen=True)
class ContextVerdict:
    """A model in one context, beside a negative control. It is about this context only."""

    context: str
    model: str
    other: str
    metric: str
    word: ContextWord
    paired: bool
    """Whether a paired interval over conditions says so, or (fewer than `FEWEST`) the spread between halves alone."""


def by_context(metrics: pd.DataFrame, judgement: Judgement, model: str, metric: str) -> list[ContextVerdict]:
    """Whether the model is nearer to the real cells than the best negative control is, context by context.

    The metric cannot tell where no positive control (one half of the real cells predicting the other half, and the same drawn
    to the mean of all perturbations) is better than the negative control by more than the spread between random halves. Where it can, the paired interval over conditions decides; with fewer
    than `FEWEST` conditions the model is ahead, by more than that spread, or not better. There is no verdict where nothing may be
    claimed of the model in this metric over all contexts together: of many contexts, one would look better by chance.
    `metrics` are rows as of `cycseq.evaluate`, of splits of one kind, and `judgement` is what may be said on these.
    """
    overall = judgement.beside_null(model, metric)
    if overall is None or overall.bar or overall.word not in ("better", "too few conditions"):
        return []
    control, rows = overall.other, metrics[metrics["metric"] == metric]
    verdicts: list[ContextVerdict] = []
    for context, part in rows.groupby("context", sort=True):
        means = part.groupby("model")["value"].mean()
        if model not in means or control not in means:
            continue
        halves = part[part["model"] == SPLIT_HALF].groupby("seed")["value"].mean().to_numpy()
        goodness = METRICS[metric].goodness
        spread = NOISE * float(np.std(goodness(halves), ddof=1)) if len(halves) > 1 else 0.0
        score, null = goodness(np.array([means[name] for name in (model, control)]))
        positive = means[means.index.isin(POSITIVE_CONTROLS)]
        ceiling = goodness(positive.dropna().to_numpy()).max(initial=-np.inf)
        both = paired_differences(part[part["model"].isin([model, control])], baselines=[control])
        pair = both[both["model"] == model].iloc[0]
        paired = int(pair["n_conditions"]) >= FEWEST
        word: ContextWord = "not better"
        if len(positive) and not ceiling > null + spread:  # of effects there are none
            word = "cannot tell"
        elif paired:
            word = {"beats": "better", "ties": "indistinguishable"}.get(str(pair["verdict"]), "not better")  # type: ignore[assignment]
        elif score > null + spread:
            word = "ahead"
        verdicts.append(ContextVerdict(str(context), model, control, metric, word, paired))
    return verdicts
