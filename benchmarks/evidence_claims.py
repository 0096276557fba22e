"""What was to be shown, claim by claim, with the paired interval that decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from cycseq.score.metrics import HEADLINE_OF_EFFECTS
from cycseq.score.verdicts import OF_METRIC
from cycseq.show.report.sentences import BARS, SCOPES
from evidence_data import SOURCES
from evidence_effects import asked_table

MAIN = "ConditionKriging"
WORLDS = ("easy", "context-specific", "long-tail")
NO_CLAIM = ("tahoe", "virus")
"""Effects from which nothing may be claimed, whatever their scores."""
WANTED = ("pearson_delta_specific", "mse_ratio", "retrieval_cosine")
LESS_DATA = {
    "own data alone": "ConditionKriging (own data alone)",
    "the others alone": "ConditionKriging (others alone)",
    "own cells as measured": "own cells as measured",
}
CEILING = 0.98
"""Retrieval from which the baseline's own is said, as hardly anything is left to gain."""
ORDER = ("worse", "indistinguishable", "too few conditions", "no claim", "better")
"""Words of verdicts, those that speak most against a claim first."""
Groups = dict[tuple[str, str], Any]


def claims(groups: Groups) -> list[str]:
    """The section "What was to be shown"."""
    lines = ["", "## What was to be shown", ""]
    lines += ["`ConditionKriging`: difference from the named model, paired, with its 95 % interval.", ""]
    lines += ["| claim | metric | here | against | difference | seen? |", "|---|---|---|---|---|---|"]
    for metric in ("mse", "pearson_delta"):
        lines += better("Kang, unseen context: better than every baseline", groups, "kang", "unseen-context", metric)
    for world in WORLDS:
        for split in ("unseen-pair", "unseen-context"):
            for metric in WANTED:
                lines += better(f"Simulated {world}, {split}: better than every baseline", groups, world, split, metric)
    for split in ("unseen-pair", "unseen-context"):
        lines += no_worse(
            f"Unrelated lines, {split}: no worse than NoChange", groups, "unrelated", split, "mse_ratio", "NoChange"
        )
    for data, split in (
        ("norman", "unseen-combination, 2 parts seen"),
        ("doubles", "unseen-combination, 2 parts seen"),
    ):
        for metric in ("mse", "mse_ratio", "pearson_delta"):
            claim = f"{SOURCES[data].title}, both parts seen: no worse than Additive"
            lines += no_worse(claim, groups, data, split, metric, "Additive")
    for data in ("papalexi", "norman"):
        for metric in ("mse", "mse_ratio", "pearson_delta"):
            claim = f"{SOURCES[data].title}, unseen perturbations: no worse than the best baseline"
            lines += no_worse(claim, groups, data, "unseen-perturbation", metric, "")
    for metric in ("mse", "mse_ratio"):
        for split in ("unseen-context", "unseen-pair"):
            lines += no_worse(f"GBM lines, {split}: no worse than NoChange", groups, "gbm", split, metric, "NoChange")
    for data, source in SOURCES.items():
        for split in source.splits if source.of_effects and data not in NO_CLAIM else ():
            for metric in HEADLINE_OF_EFFECTS:
                lines += better(f"{source.title}, {split}: better than every baseline", groups, data, split, metric)
    return [*lines, *asked_table(groups), *kang_without_mk(groups), *long_tail(groups)]


def better(claim: str, groups: Groups, data: str, split: str, metric: str) -> list[str]:
    """One row: the baseline that comes nearest to contradicting decides."""
    group = groups.get((data, split))
    if group is None or np.isnan(group.mean(MAIN, metric)):
        return []
    verdicts = [v for b in group.baselines(metric) if (v := group.verdict(MAIN, b, metric)) is not None]
    if not verdicts:
        return []
    found = min(verdicts, key=lambda v: ORDER.index(v.word))  # of equal ones the best baseline
    against, row = found.other, group.difference(MAIN, found.other, metric)
    words = {"worse": "**no: worse**", "indistinguishable": "indistinguishable", "too few conditions": "too few"}
    verdict = words.get(found.word) or (
        f"yes, {SCOPES[found.scope]}" if found.word == "better" else f"no claim: {BARS[found.bar]}"
    )
    reached = group.mean(against, metric)
    if metric == "retrieval_cosine" and found.word == "indistinguishable" and reached >= CEILING:
        verdict += f": {against} reaches {number(reached)} of 1"
    return [_row(claim, metric, group, against, row, verdict)]


def no_worse(claim: str, groups: Groups, data: str, split: str, metric: str, against: str) -> list[str]:
    """One row against one model, or against the best baseline where none is named."""
    group = groups.get((data, split))
    if group is None or np.isnan(group.mean(MAIN, metric)):
        return []
    against = against or next(iter(group.baselines(metric)), "")
    row, verdict = group.difference(MAIN, against, metric), group.verdict(MAIN, against, metric)
    if row is None or verdict is None:
        return []
    if verdict.word == "too few conditions":
        words = f"too few ({row['n_conditions']})"
    elif verdict.word == "no claim" or verdict.bar in OF_METRIC:
        words = f"no claim: {BARS[verdict.bar]}"
    else:
        words = {"better": "yes, better", "worse": "**no: worse**"}.get(verdict.word, "yes: indistinguishable")
        words += f", {SCOPES[verdict.scope]}"
    return [_row(claim, metric, group, against, row, words)]


def kang_without_mk(groups: Groups) -> list[str]:
    """The two numbers that were named, for the seven larger cell types."""
    group = groups.get(("kang", "unseen-context"))
    if group is None:
        return []
    values = group.values[(group.values["context"] != "Mk")].groupby(["model", "metric"])["value"].mean()
    names = [name for name in (MAIN, "Ridge", "ContextAdditive") if (name, "mse") in values.index]
    said = "; ".join(f"{n} {values[n, 'pearson_delta']:.3f} and {values[n, 'mse']:.4f}" for n in names)
    return [
        "",
        f"Kang, the seven larger cell types, mean `pearson_delta` and `mse` (asked for: 0.915 and 0.0085): {said}.",
    ]


def long_tail(groups: Groups) -> list[str]:
    """Fits on everything, on the context's own few cells, and on the other contexts."""
    lines = [
        "",
        "### A context with 20 cells a condition",
        "",
        "Split few-shot: 20 perturbed cells of every condition stay, the other cells are tested. `ConditionKriging` on all of it, "
        "against itself on less, paired: difference in mse_ratio (below zero: all data are better) and in pearson_delta.",
        "",
        "| data | conditions | on all: mse_ratio | minus own data alone | minus the others alone | minus own cells as measured "
        "| pearson_delta minus own alone | minus the others alone | never below? |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    told = len(lines)
    for (data, split), group in groups.items():
        rows = {
            (key, metric): group.difference(MAIN, name, metric)
            for key, name in LESS_DATA.items()
            for metric in ("mse_ratio", "pearson_delta")
        }
        if split != "few-shot" or any(row is None for row in rows.values()):
            continue
        shown = [(key, "mse_ratio") for key in LESS_DATA] + [(k, "pearson_delta") for k in list(LESS_DATA)[:2]]
        verdicts = [group.verdict(MAIN, LESS_DATA[key], metric) for key, metric in shown]
        word = never_below([v for v in verdicts if v is not None])
        cells = " | ".join(interval(rows[key]) for key in shown)
        n = int(rows["own data alone", "mse_ratio"]["n_conditions"])
        lines.append(f"| {SOURCES[data].title} | {n} | {group.mean(MAIN, 'mse_ratio'):.3f} | {cells} | {word} |")
    return lines if len(lines) > told else []


def never_below(verdicts: list[Any]) -> str:
    """Whether none of the verdicts is "worse", as far as the metrics carry a claim."""
    words = {v.word for v in verdicts}
    if "worse" in words:
        return "**no**"
    if "too few conditions" in words or not verdicts:
        return "too few"
    return "no claim" if "no claim" in words or any(v.bar in OF_METRIC for v in verdicts) else "yes"


def _row(claim: str, metric: str, group: Any, against: str, row: Any, verdict: str) -> str:
    return f"| {claim} | {metric} | {number(group.mean(MAIN, metric))} | {against} | {interval(row)} | {verdict} |"


def interval(row: Any) -> str:
    """A difference with its 95 % interval; without it where there is one condition."""
    low, high = number(row["low"], sign=True), number(row["high"], sign=True)
    return f"{number(row['difference'], sign=True)} ({low} to {high})" if low else number(row["difference"], sign=True)


def number(value: float, *, sign: bool = False, bold: bool = False) -> str:
    """Four or five decimals where small, else three; nothing for NaN."""
    if np.isnan(value):
        return ""
    digits = 5 if 0 < abs(value) < 0.001 else 4 if abs(value) < 0.1 else 3
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return f"**{text}**" if bold else text
