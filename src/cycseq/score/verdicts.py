"""What may be said of a model: decided here and nowhere else, from all that could contradict it.

An interval that excludes zero is not yet a claim. It is none where the metric measures no likeness, where it cannot tell the
ceiling from the negative control, where one of them is undefined, where the model's predictions score as well for the wrong perturbation, or
where the model's scores are those of a negative control. A `Verdict` that says "better" in spite of any of them cannot be made.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd

from cycseq.score.ceiling import POSITIVE_CONTROLS, SPLIT_HALF, WRONG_TARGET
from cycseq.score.intervals import THESE, Scope
from cycseq.score.metrics import METRICS

NEGATIVE_CONTROLS = ("NoChange", "PerturbedMean", "SmoothedControls")
"""Models without a response of the perturbation's own: the null of every score."""

Word: TypeAlias = Literal["better", "indistinguishable", "worse", "too few conditions", "no claim"]
Bar: TypeAlias = Literal[
    "", "describes", "cannot tell", "no scale", "wrong target as good", "wrong target not scored", "negative control"
]
"""What forbids a claim; empty where nothing does."""
OF_METRIC: tuple[Bar, ...] = ("describes", "cannot tell", "no scale")
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
        forbidden = ("better", "worse") if self.bar in OF_METRIC else ("better",) if self.bar else ()
        if self.word in forbidden or (self.word in ("better", "worse") and not self.scope):
            msg = f"no verdict says {self.word!r} of {self.model} in {self.metric}: {self.bar or 'it has no interval'}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Standing:
    """A model beside all baselines, in one metric: their names by what may be said."""

    metric: str
    bar: Bar
    scope: Scope
    better: tuple[str, ...]
    indistinguishable: tuple[str, ...]
    worse: tuple[str, ...]
    untested: tuple[str, ...]  # baselines with too few conditions in common

    @property
    def beats_every_baseline(self) -> bool:
        """Whether it may be said that the model is better than all of them."""
        return bool(self.better) and not (self.bar or self.indistinguishable or self.worse or self.untested)


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
        """The model beside the negative control that says least for it; of several alike, beside the best of them.

        "better" therefore means: than every negative control. None where it was compared with none.
        """
        order: tuple[Word, ...] = ("worse", "indistinguishable", "no claim", "too few conditions", "better")
        comparisons = [v for v in self.of(model, metric) if v.other in NEGATIVE_CONTROLS and v.n_conditions]
        best = self.negatives.get(metric)
        return min(comparisons, key=lambda v: (order.index(v.word), v.other != best), default=None)

    def standings(self, model: str, metrics: Sequence[str]) -> list[Standing]:
        """The model beside all baselines, in each metric where it was compared with any over enough conditions."""
        standings = []
        for metric in metrics:
            verdicts = self.of(model, metric)
            if any(v.word != "too few conditions" for v in verdicts):
                words: tuple[Word, ...] = ("better", "indistinguishable", "worse", "too few conditions")
                names = [tuple(v.other for v in verdicts if v.word == word) for word in words]
                scope = THESE if any(verdict.scope == THESE for verdict in verdicts) else verdicts[0].scope
                standings.append(Standing(metric, verdicts[0].bar, scope, *names))
        return standings

    @property
    def controls(self) -> tuple[str, ...]:
        """Models of which nothing good can be said: negative controls and their doubles."""
        return (*NEGATIVE_CONTROLS, *self.doubles)


def judge(summary: pd.DataFrame, differences: pd.DataFrame, *, calibrated: bool = False) -> Judgement:
    """Decide what may be said on the splits of one kind.

    Parameters
    ----------
    summary
        Rows of `summarize_scores` of one kind of split: its columns split, metric, model, ceiling, null, null_model, cannot_tell.
    differences
        Rows of `paired_differences`; those of other kinds are passed over.
    calibrated
        Whether there must be a ceiling: where it is missing, nothing is claimed. Otherwise only where other metrics have one.

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
    of_metric = _bars_of_metrics(summary, calibrated=calibrated)
    wrong = _wrong_targets(rows)
    identical = pairs[pairs["identical"].astype(bool) & pairs["baseline"].isin(NEGATIVE_CONTROLS)]
    same = set(zip(identical["model"].astype(str), identical["metric"].astype(str), strict=True))
    verdicts = []
    for row in pairs.to_dict("records"):
        model, metric = str(row["model"]), str(row["metric"])
        bar = of_metric.get(metric, "")
        if not bar and (model in NEGATIVE_CONTROLS or (model, metric) in same):
            bar = "negative control"
        verdicts.append(verdict_of(row, bar or _bar_of_wrong_target(wrong, model, metric)))
    negatives = dict(zip(summary["metric"].astype(str), summary["null_model"].astype(str), strict=True))
    return Judgement(split, tuple(verdicts), negatives, _doubles(pairs))


def verdict_of(row: Mapping[Hashable, Any], bar: Bar = "") -> Verdict:
    """The verdict on a row of `paired_differences`, with what forbids a claim."""
    word = _WORDS[str(row["verdict"])]
    if bar and (word == "better" or (word == "worse" and bar in OF_METRIC)):
        word = "no claim"
    split, metric, model, other = (str(row[name]) for name in ("split", "metric", "model", "baseline"))
    numbers = (float(row["difference"]), float(row["low"]), float(row["high"]), int(row["n_conditions"]))
    return Verdict(split, metric, model, other, word, row["scope"], *numbers, bar)


def _bars_of_metrics(summary: pd.DataFrame, *, calibrated: bool) -> dict[str, Bar]:
    """Metrics that carry no claim of any model."""
    bars: dict[str, Bar] = {}
    calibrated = calibrated or bool((summary["model"] == SPLIT_HALF).any())
    for metric, rows in summary.groupby("metric", sort=False):
        if not METRICS[str(metric)].likeness:
            bars[str(metric)] = "describes"
        elif rows["cannot_tell"].astype(bool).any():
            bars[str(metric)] = "cannot tell"
        elif calibrated and rows[["ceiling", "null"]].isna().any(axis=None):
            bars[str(metric)] = "no scale"
    return bars


def _wrong_targets(rows: pd.DataFrame) -> dict[tuple[str, str], str]:
    """By model and metric, the interval's verdict on the model beside its predictions for the wrong perturbation."""
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


def _doubles(pairs: pd.DataFrame) -> dict[str, str]:
    compared = pairs[pairs["baseline"].isin(NEGATIVE_CONTROLS) & (pairs["n_conditions"] > 0)]
    compared = compared[~compared["model"].isin(NEGATIVE_CONTROLS)]
    all_identical = compared.groupby(["model", "baseline"], sort=False)["identical"].all()
    same = all_identical[all_identical].index
    return dict(zip(same.get_level_values(0).astype(str), same.get_level_values(1).astype(str), strict=True))
