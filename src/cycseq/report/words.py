"""What the numbers say, in sentences, and what they cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pandas as pd

from cycseq.benchmarking import BenchmarkResult
from cycseq.calibration import SPLIT_HALF
from cycseq.data.split import KINDS
from cycseq.metrics import METRICS
from cycseq.models import MODELS, reference
from cycseq.report.numbers import counted, listed, short
from cycseq.report.table import NULL, Headline, badness, is_model
from cycseq.score.summary import FEWEST, paired_differences

Verdict = Literal["better", "ahead", "not better", "cannot be told"]
NOISE = 2.0
"""A difference counts from this many standard deviations of the split-half ceiling's repeats."""


@dataclass(frozen=True)
class ContextVerdict:
    """A model in one context, beside no change."""

    context: str
    verdict: Verdict
    paired: bool
    """Whether a paired interval over conditions says so, or (fewer than `FEWEST`) the spread between halves alone."""
    model: float
    null: float
    ceiling: float


def context_verdicts(metrics: pd.DataFrame, model: str, metric: str) -> list[ContextVerdict]:
    """Whether the model is nearer to the real cells than no change is, context by context.

    It cannot be told where one half of the real cells does not predict the other half better than no change does,
    by more than the spread between random halves, or where the paired interval over conditions holds zero. It is better
    only where that interval says so; with fewer than `FEWEST` conditions it is ahead, by more than that spread.
    """
    rows = metrics[metrics["metric"] == metric]
    found: list[ContextVerdict] = []
    for context, part in rows.groupby("context", sort=True):
        means = part.groupby("model")["value"].mean()
        if model == NULL or model not in means or NULL not in means:
            continue
        halves = part[part["model"] == SPLIT_HALF].groupby("seed")["value"].mean()
        spread = NOISE * float(pd.Series(badness(metric, halves)).std()) if len(halves) > 1 else 0.0
        ours, void, top = (float(means.get(name, float("nan"))) for name in (model, NULL, SPLIT_HALF))
        bad, bad_void, bad_top = badness(metric, [ours, void, top])
        both = paired_differences(part[part["model"].isin([model, NULL])], baselines=[NULL])
        duel = both[both["model"] == model].iloc[0]
        paired = int(duel["n_conditions"]) >= FEWEST
        verdict: Verdict = "not better"
        if not bad_top < bad_void - spread or (paired and duel["verdict"] == "ties"):
            verdict = "cannot be told"
        elif paired and duel["verdict"] == "beats":
            verdict = "better"
        elif not paired and bad < bad_void - spread:
            verdict = "ahead"
        found.append(ContextVerdict(str(context), verdict, paired, ours, void, top))
    return found


def in_short(table: Headline, verdicts: Sequence[ContextVerdict], metric: str, summary: pd.DataFrame) -> list[str]:
    """The result in a few sentences."""
    if not table.rows:
        return ["No model applies to this split: there is no result."]
    best, said = table.best, []
    entries = next(entries for model, _, entries in table.rows if model == best)
    if table.order[0] == NULL and best != NULL:
        said.append(f"No model is ahead of no change by mean rank over the headline metrics; {best} comes next.")
    for paired in (True, False):
        some = [verdict for verdict in verdicts if verdict.paired == paired]
        if some:
            said.append(_beside_no_change(best, some, metric, paired=paired))
    firsts = [column.metric for i, column in enumerate(table.columns) if entries[i].first]
    others = len(table.rows) - 1
    if others and firsts:
        said.append(
            f"Of {counted(len(table.rows), 'model')}, {best} is first in {len(firsts)} of "
            f"{counted(len(table.columns), 'headline metric')}: {listed(firsts)}."
        )
    row = summary[(summary["model"] == best) & (summary["metric"] == table.columns[0].metric)]
    if len(row):
        first = table.columns[0]
        ceiling = (
            ""
            if first.no_ceiling
            else f"one half of the real cells gets {first.ceiling} for predicting the other half, and "
        )
        said.append(
            f"Its {first.metric} is {short(float(row['mean'].iloc[0]))}, where {ceiling}"
            f"{first.null_model or 'no change'} gets {first.null}."
        )
    return said


def _beside_no_change(model: str, verdicts: Sequence[ContextVerdict], metric: str, *, paired: bool) -> str:
    """In how many contexts the model is better, or ahead where there are too few conditions for an interval."""
    of = {word: [v.context for v in verdicts if v.verdict == word] for word in get_args(Verdict)}
    n, missed, untold = counted(len(verdicts), "context"), of["not better"], of["cannot be told"]
    if paired:
        said = f"{model} predicts {len(of['better'])} of {n} better than no change ({metric}, paired 95 % interval)"
        said += f"; {listed(missed)} {_is(missed)} not better" if missed else ""
    else:
        word = {"higher": "higher", "lower": "lower"}.get(METRICS[metric].direction, "better")
        said = f"{model} has a {word} {metric} than no change in {len(of['ahead'])} of {n}"
        said += f"; not in {listed(missed)}" if missed else ""
        untold_of_few = f"; {listed(untold)} cannot be told" if untold else ""
        return f"{said}{untold_of_few}. (Fewer than {FEWEST} conditions in each: no intervals.)"
    return said + (f"; {listed(untold)} cannot be told" if untold else "") + "."


def against_baselines(differences: pd.DataFrame, table: Headline) -> str:
    """Which baselines the best model beats, metric by metric, by the paired intervals; empty where there are none."""
    rows = differences[differences["model"] == table.best]
    by_verdict: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for column in table.columns:
        duels = rows[rows["metric"] == column.metric]
        names = {v: tuple(map(str, duels.loc[duels["verdict"] == v, "baseline"])) for v in ("beats", "ties", "loses")}
        if any(names.values()):
            by_verdict.setdefault((names["ties"], names["loses"]), []).append(column.metric)
    if not by_verdict:
        return ""
    said = []
    for (ties, loses), metrics in sorted(by_verdict.items(), key=lambda item: (len(item[0][1]), len(item[0][0]))):
        parts = [f"cannot be told from {listed(list(ties))}"] if ties else []
        parts += [f"loses to {listed(list(loses))}"] if loses else []
        said.append(f"in {listed(metrics)} it {' and '.join(parts) or 'beats every baseline'}")
    return f"{table.best} beside the baselines, by paired 95 % intervals: {'; '.join(said)}."


def references(models: Sequence[str], metrics: Sequence[str]) -> list[tuple[str, str]]:
    """What to cite for the models and metrics that were used: name, and the source that it gives."""
    found = [(name, reference(name)) for name in models if name in MODELS]
    found += [(name, METRICS[name].source) for name in metrics if name in METRICS]
    return [(name, source) for name, source in found if source]


def cannot_tell(result: BenchmarkResult, kind: str, table: Headline) -> list[str]:
    """What these data and this benchmark leave open, in sentences."""
    rows = result.summary[(result.summary["split"] == kind) & is_model(result.summary["model"])]
    tested = [split for split in result.record["splits"] if split["kind"] == kind]
    conditions = {tuple(c) for split in tested for c in split["test"]}
    contexts = sorted({context for context, _ in conditions})
    said = []
    if len(contexts) <= 2:
        said.append(
            f"Only {counted(len(contexts), 'context')} ({listed(contexts)}) {_is(contexts)} tested: "
            "nothing is known of further contexts."
        )
    if len(conditions) < 6:
        said.append(f"The intervals rest on {counted(len(conditions), 'test condition')}: they are rough.")
    said += [
        f"{column.metric} has no score on these data: the ceiling is undefined."
        if column.no_ceiling
        else f"{column.metric} cannot tell models apart on these data: "
        "the ceiling is not better than the negative control beyond their spread."
        for column in table.columns
        if column.cannot_tell or column.no_ceiling
    ]
    said += [f"{metric} is undefined for every condition{_why(metric)}." for metric in table.undefined]
    partly = rows[(rows["n_undefined"] > 0) & rows["mean"].notna()].groupby("metric")["n_undefined"].max()
    if len(partly):
        said.append(
            "Undefined in some conditions, and left out of their means: "
            + listed([f"{metric} (in {int(n)} of {len(conditions)})" for metric, n in partly.items()], shown=12)
            + "."
        )
    asked: dict[str, Any] = result.record["asked"]
    if asked["seeds"] < 3:
        said.append(
            f"{counted(asked['seeds'], 'seed')}: how much the results vary between fits is not known; take at least 3."
        )
    return said


def not_applicable(result: BenchmarkResult, kind: str) -> list[tuple[str, str, str]]:
    """Models that do not apply: model, on which splits, why."""
    names = [split["name"] for split in result.record["splits"] if split["kind"] == kind]
    rows = result.skipped[result.skipped["split"].isin(names)]
    found = []
    for model, part in rows.groupby("model", sort=False):
        where = "all splits" if part["split"].nunique() == len(names) else listed(list(dict.fromkeys(part["split"])))
        found.append((str(model), where, str(part["reason"].iloc[0])))
    return found


def methods(result: BenchmarkResult, kind: str) -> str:
    """A paragraph to paste into a methods section."""
    record, asked = result.record, result.record["asked"]
    data = record["data"]
    n_splits = sum(split["kind"] == kind for split in record["splits"])
    kept = asked["evaluation"]["keep_target"]
    targets = "scored too" if kept else "left out of its scores"
    return (
        f"{counted(len(record['models']), 'model')} ({listed(record['models'], 12)}) were compared with CycSeq "
        f"{record['versions']['cycseq']} on {counted(data['cells'], 'cell')} x {counted(data['genes'], 'gene')} "
        f"(log1p of counts per 10,000) in {counted(len(data['contexts']), 'context')} with "
        f"{counted(len(data['perturbations']), 'perturbation')}. Splits were of the kind {kind} "
        f"({counted(n_splits, 'split')}; held out: {held_out(kind) or 'what the split file says'}), with {counted(asked['seeds'], 'seed')} each; "
        f"{controls(kind)}. Deltas are perturbed minus control means of a context; genes that a "
        f"condition perturbs were {targets}. The ceiling is the score that a random half of the real cells "
        "gets for predicting the other half (10 repeats); scores are (value - negative control) / (ceiling - negative "
        "control), not clipped. Intervals are 95 % percentile intervals of a paired bootstrap over test conditions, "
        "stratified by context (2,000 draws); a model is said to beat another only where the paired interval excludes zero, "
        f"over {FEWEST} conditions or more."
    )


def held_out(kind: str) -> str:
    """What splits of this kind hold out; empty for a kind of another's making."""
    return next((words for name, words in KINDS.items() if name == kind), "")


def controls(kind: str) -> str:
    """Which control cells the models learn from."""
    if kind == "random-cells":
        return "control cells were cut like all others, and those of the training part stayed in training"
    return "control cells of every context stayed in training"


def sources(metrics: Sequence[str]) -> list[tuple[str, str, str, str, str]]:
    """Metric, formula, source, direction's best value, caution."""
    known = [METRICS[name] for name in metrics if name in METRICS]
    return [(m.name, m.formula, m.source, short(m.best), m.caution) for m in known]


def _is(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _why(metric: str) -> str:
    return {
        "pearson_delta_specific": ": it needs other training perturbations of the same context",
        "retrieval_cosine": ": it needs several perturbations in a context",
        "r2_delta_top50": ": it needs 50 differentially expressed genes",
    }.get(metric, "")
