"""What may be said of a model: decided here and nowhere else, from all that could contradict it.

An interval that excludes zero is not yet a claim. It is none where the metric cannot tell the ceiling from the negative
control, where the ceiling is undefined, where the model's predictions score as well for the wrong perturbation, or
where the model's scores are those of a negative control. A `Verdict` that says "better" in spite of any of them cannot be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import pandas as pd

from cycseq.calibration import POSITIVE_CONTROLS, SPLIT_HALF, WRONG_TARGET
from cycseq.score.intervals import Scope

NEGATIVE_CONTROLS = ("NoChange", "PerturbedMean", "SmoothedControls")
"""Models without a response of the perturbation's own: the null of every score."""

Word: TypeAlias = Literal["better", "indistinguishable", "worse", "too few conditions", "no claim"]
Bar: TypeAlias = Literal[
    "", "cannot tell", "no ceiling", "wrong target as good", "wrong target not scored", "negative control"
]
"""What forbids a claim; empty where nothing does."""
_OF_METRIC: tuple[Bar, ...] = ("cannot tell", "no ceiling")
"""Bars that hold for all models, and forbid "worse" too."""
_WORDS: dict[str, Word] = {"beats": "better", "ties": "indistinguishable", "loses": "worse", "": "too few conditions"}


@dataclass(frozen=True)
class Verdict:
    """What may be said of a model beside another one, in one metric."""

    split: str
    metric: str
    model: str
    other: str
    word: Word
    scope: Scope
    """Whether it holds for further contexts, or for these only."""
    difference: float
    """Model minus other; of the distances to the target where the metric has one."""
    low: float
    high: float
    n_conditions: int
    bar: Bar = ""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself: it would be an error of this module."""
        forbidden = ("better", "worse") if self.bar in _OF_METRIC else ("better",) if self.bar else ()
        if self.word in forbidden or (self.word in ("better", "worse") and not self.scope):
            msg = f"no verdict says {self.word!r} of {self.model} in {self.metric}: {self.bar or 'it has no interval'}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Judgement:
    """All that may be said on the splits of one kind."""

    split: str
    verdicts: tuple[Verdict, ...]
    """Every model beside every baseline, in every metric."""
    negatives: dict[str, str]
    """The best negative control of each metric; empty where there is none."""
    doubles: dict[str, str]
    """Models whose scores are those of a negative control wherever both are defined, with its name."""

    def of(self, model: str, metric: str) -> list[Verdict]:
        """The model beside each baseline in one metric."""
        return [verdict for verdict in self.verdicts if (verdict.model, verdict.metric) == (model, metric)]

    def beside_null(self, model: str, metric: str) -> Verdict | None:
        """The model beside the best negative control; None where they were not compared."""
        return next((v for v in self.of(model, metric) if v.other == self.negatives.get(metric)), None)

    @property
    def controls(self) -> tuple[str, ...]:
        """Models of which nothing good can be said: negative controls and their doubles."""
        return (*NEGATIVE_CONTROLS, *self.doubles)


def judge(summary: pd.DataFrame, differences: pd.DataFrame) -> Judgement:
    """Decide what may be said on the splits of one kind.

    Parameters
    ----------
    summary
        Rows of `summarise` of one kind of split: its columns split, metric, model, ceiling, null_model, cannot_tell.
    differences
        Rows of `paired_differences`; those of other kinds are passed over.

    Returns
    -------
    Judgement
        A verdict for each row of the differences whose baseline is a model. Its word is "no claim" where the
        interval alone would say better or worse, and something forbids it.
    """
    split = str(summary["split"].iloc[0]) if len(summary) else ""
    rows = differences[differences["split"] == split]
    shuffled = rows["baseline"].str.endswith(WRONG_TARGET) | rows["model"].str.endswith(WRONG_TARGET)
    pairs = rows[~shuffled & ~rows["model"].isin(POSITIVE_CONTROLS) & ~rows["baseline"].isin(POSITIVE_CONTROLS)]
    of_metric = _bars_of_metrics(summary)
    wrong = _wrong_targets(rows)
    same = _identical(pairs)
    verdicts = []
    for row in pairs.to_dict("records"):
        model, metric, word = str(row["model"]), str(row["metric"]), _WORDS[str(row["verdict"])]
        bar = of_metric.get(metric, "")
        if not bar and (model in NEGATIVE_CONTROLS or (model, metric) in same):
            bar = "negative control"
        bar = bar or _bar_of_wrong_target(wrong, model, metric)
        if bar and (word == "better" or (word == "worse" and bar in _OF_METRIC)):
            word = "no claim"
        numbers = (row["difference"], row["low"], row["high"], int(row["n_conditions"]))
        verdicts.append(Verdict(split, metric, model, str(row["baseline"]), word, row["scope"], *numbers, bar))
    return Judgement(split, tuple(verdicts), _negatives(summary), _doubles(pairs))


def _negatives(summary: pd.DataFrame) -> dict[str, str]:
    return dict(zip(summary["metric"].astype(str), summary["null_model"].astype(str), strict=True))


def _bars_of_metrics(summary: pd.DataFrame) -> dict[str, Bar]:
    """Metrics that carry no claim of any model."""
    bars: dict[str, Bar] = {}
    calibrated = (summary["model"] == SPLIT_HALF).any()
    for metric, rows in summary.groupby("metric", sort=False):
        if rows["cannot_tell"].astype(bool).any():
            bars[str(metric)] = "cannot tell"
        elif calibrated and rows["ceiling"].isna().any():
            bars[str(metric)] = "no ceiling"
    return bars


def _wrong_targets(rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Of model and metric: the interval's verdict on the model beside its predictions for the wrong perturbation."""
    shuffled = rows[(rows["baseline"] == rows["model"] + WRONG_TARGET) & (rows["n_conditions"] > 0)]
    keys = zip(shuffled["model"].astype(str), shuffled["metric"].astype(str), strict=True)
    return dict(zip(keys, shuffled["verdict"].astype(str), strict=True))


def _bar_of_wrong_target(wrong: dict[tuple[str, str], str], model: str, metric: str) -> Bar:
    """Empty where the right target is shown to be better, or where none can be swapped: one perturbation in each context."""
    if all(name != model for name, _ in wrong):
        return ""
    if (model, metric) not in wrong:
        return "wrong target not scored"
    return "" if wrong[model, metric] == "beats" else "wrong target as good"


def _identical(pairs: pd.DataFrame) -> set[tuple[str, str]]:
    """Model and metric, where its scores are those of a negative control."""
    same = pairs[pairs["identical"].astype(bool) & pairs["baseline"].isin(NEGATIVE_CONTROLS)]
    return set(zip(same["model"].astype(str), same["metric"].astype(str), strict=True))


def _doubles(pairs: pd.DataFrame) -> dict[str, str]:
    beside = pairs[pairs["baseline"].isin(NEGATIVE_CONTROLS) & (pairs["n_conditions"] > 0)]
    beside = beside[~beside["model"].isin(NEGATIVE_CONTROLS)]
    every = beside.groupby(["model", "baseline"], sort=False)["identical"].all()
    same = every[every].index
    return dict(zip(same.get_level_values(0).astype(str), same.get_level_values(1).astype(str), strict=True))
