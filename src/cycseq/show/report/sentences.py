"""The sentences that say what a verdict says: pages, tables and the command line take theirs from here."""

import math
from collections.abc import Sequence

from cycseq.errors import count_of
from cycseq.score.contexts import ContextVerdict
from cycseq.score.intervals import FURTHER, THESE, Scope
from cycseq.score.metrics import METRICS
from cycseq.score.summary import FEWEST
from cycseq.score.verdicts import OF_METRIC, Bar, Judgement, Standing, Verdict
from cycseq.show.report.numbers import interval, listed, short
from cycseq.show.report.table import Headline

SCOPES: dict[Scope, str] = {
    FURTHER: "for further contexts too",
    THESE: "for these contexts only",
    "": "without an interval",
}
BARS: dict[Bar, str] = {
    "cannot tell": "no positive control is above the negative control",
    "no scale": "its ceiling or its negative control is undefined",
    "describes": "the metric describes a prediction but does not measure how close it is to the real cells",
    "wrong target as good": "predictions for the wrong perturbation score as well",
    "wrong target not scored": "predictions for the wrong perturbation are not scored in it",
    "negative control": "the scores are those of a negative control",
}


def about(table: Headline) -> str:
    """What the intervals of a table are about."""
    of: dict[Scope, list[str]] = {}
    for column in table.columns:
        of.setdefault(column.scope, []).append(column.metric)
    if len(of) < 2:
        return SCOPES[next(iter(of), "")]
    return ", ".join(f"{SCOPES[scope]} ({listed(metrics)})" for scope, metrics in of.items())


def clause(verdict: Verdict) -> str:
    """How a model compares with another one: the part of a sentence after "it"."""
    if verdict.word == "too few conditions":
        return f"cannot be compared with {verdict.other}: fewer than {FEWEST} conditions"
    if verdict.word == "no claim":
        return f"supports no claim against {verdict.other}: {BARS[verdict.bar]}"
    word = {"better": "is better than", "worse": "is worse than"}.get(verdict.word, "is indistinguishable from")
    limits = f"difference {short(verdict.difference)}, 95 % interval {interval(verdict.low, verdict.high)}"
    return f"{word} {verdict.other} ({limits}, {SCOPES[verdict.scope]})"


def in_short(table: Headline, judgement: Judgement, contexts: Sequence[ContextVerdict]) -> list[str]:
    """The result in a few sentences: how good the best model is, in how many contexts, against which baselines."""
    if not table.rows:
        return ["No model applies to this split: there is no result."]
    sentences = say_doubles(judgement)
    if table.best in judgement.controls:
        return [*sentences, "Only negative controls were tested: nothing can be claimed of a model."]
    metrics = [column.metric for column in table.columns]
    sentences = [say_reached(table, judgement), *sentences]
    for paired in (True, False):
        alike = [verdict for verdict in contexts if verdict.paired == paired]
        if alike:
            sentences.append(say_contexts(alike))
    sentences += filter(None, [say_baselines(table.best, judgement.standings(table.best, metrics))])
    return [*sentences, *filter(None, [say_ceiling(table)])]


def say_doubles(judgement: Judgement) -> list[str]:
    """Models that are a negative control under another name."""
    by_control: dict[str, list[str]] = {}
    for model, control in judgement.doubles.items():
        by_control.setdefault(control, []).append(model)
    return [
        f"{listed(models)} {'scores' if len(models) == 1 else 'score'} exactly as the negative control {control} here: "
        f"nothing can be claimed for what {'it adds' if len(models) == 1 else 'they add'}."
        for control, models in by_control.items()
    ]


def say_reached(table: Headline, judgement: Judgement) -> str:
    """How much of what can be predicted the best model captures, by the first metric that carries the claim."""
    entries = next(entries for model, _, entries in table.rows if model == table.best)
    for column, entry in zip(table.columns, entries, strict=True):
        verdict = judgement.beside_null(table.best, column.metric)
        if verdict is None or verdict.word != "better":
            continue
        scope = SCOPES[verdict.scope]
        if entry.score is None and column.no_ceiling:
            return f"{table.best} is better than every negative control, {scope} ({column.metric})."
        if entry.score is None:
            continue
        if entry.score >= 1:
            return f"{table.best} predicts the real data as well as one half of them predicts the other, {scope} ({column.metric})."
        return (
            f"{table.best} captures about {100 * entry.score:.0f} % of what can be predicted, {scope} ({column.metric}: 0 % is "
            f"{verdict.other}, the negative control, 100 % the split-half ceiling)."
        )
    return f"Nothing can be claimed for {table.best}, the best model by mean rank, beyond the negative controls."


def say_contexts(verdicts: Sequence[ContextVerdict]) -> str:
    """In how many contexts a model is better than its control, or ahead where there are too few conditions for an interval."""
    one = verdicts[0]
    of = {
        word: [v.context for v in verdicts if v.word == word]
        for word in ("not better", "indistinguishable", "cannot tell")
    }
    n, won = count_of(len(verdicts), "context"), sum(v.word in ("better", "ahead") for v in verdicts)
    if one.paired:
        sentence = (
            f"{one.model} is better than {one.other} in {won} of {n} ({one.metric}, paired 95 % interval in each)"
        )
    else:
        direction = {"higher": "higher", "lower": "lower"}.get(METRICS[one.metric].direction, "nearer")
        sentence = f"{one.model} has a {direction} {one.metric} than {one.other} in {won} of {n}"
    parts = [f"not in {listed(of['not better'])}"] if of["not better"] else []
    parts += [f"indistinguishable in {listed(of['indistinguishable'])}"] if of["indistinguishable"] else []
    parts += [f"the metric cannot tell in {listed(of['cannot tell'])}"] if of["cannot tell"] else []
    few = "" if one.paired else f" (Fewer than {FEWEST} conditions in each: no intervals.)"
    return "; ".join([sentence, *parts]) + "." + few


def tag(verdict: ContextVerdict) -> str:
    """The verdict on one context in a few words, for its heading."""
    if verdict.word == "cannot tell":
        return f"{verdict.metric} cannot tell here"
    ends = {"ahead": "ahead of", "indistinguishable": "indistinguishable from"}
    words = f"{verdict.model} {ends.get(verdict.word, verdict.word + ' than')} {verdict.other}"
    return words if verdict.paired else f"{words}, without an interval"


def say_baselines(model: str, standings: Sequence[Standing]) -> str:
    """Which baselines a model is better than, metric by metric, by the paired intervals; empty where none was compared."""
    groups: dict[str, list[str]] = {}
    for standing in sorted(standings, key=lambda s: (bool(s.bar), not s.beats_every_baseline)):
        groups.setdefault(_beside(standing), []).append(standing.metric)
    clauses = [f"in {listed(metrics)} {words}" for words, metrics in groups.items()]
    return f"{model} beside the baselines, by paired 95 % intervals: {'; '.join(clauses)}." if clauses else ""


def _beside(standing: Standing) -> str:
    if standing.beats_every_baseline:
        return f"it is better than every baseline ({SCOPES[standing.scope]})"
    if standing.bar in OF_METRIC:
        return f"nothing can be claimed ({BARS[standing.bar]})"
    groups = (
        ("better than", standing.better),
        ("indistinguishable from", standing.indistinguishable),
        ("worse than", standing.worse),
    )
    parts = [
        f"{word} {listed(list(names))}"
        for word, names in groups
        if names and not (standing.bar and word != "worse than")
    ]
    claim = f"nothing good can be claimed ({BARS[standing.bar]})" if standing.bar else ""
    comparison = f"it is {listed(parts)} ({SCOPES[standing.scope]})" if parts else ""
    return " and ".join(filter(None, [comparison, claim]))


def say_ceiling(table: Headline) -> str:
    """What the best model, half of the real cells and the negative control get, in the first metric that tells."""
    for i, column in enumerate(table.columns):
        entries = next(entries for model, _, entries in table.rows if model == table.best)
        value = entries[i].sort
        if column.cannot_tell or column.no_ceiling or value is None or not math.isfinite(value):
            continue
        return (
            f"Its {column.metric} is {short(value)}, where one half of the real data gets {column.ceiling} for predicting "
            f"the other half, and {column.null_model or 'the negative control'} gets {column.null}."
        )
    return ""


def list_barred_metrics(model: str, standings: Sequence[Standing]) -> list[str]:
    """In which metrics nothing may be claimed of a model though they tell, and why."""
    of: dict[Bar, list[str]] = {}
    for standing in standings:
        if standing.bar not in ("", *OF_METRIC):
            of.setdefault(standing.bar, []).append(standing.metric)
    return [f"Nothing good can be claimed of {model} in {listed(metrics)}: {BARS[bar]}." for bar, metrics in of.items()]


def list_weak_metrics(table: Headline, *, of_effects: bool = False) -> list[str]:
    """Metrics of the table in which nothing may be said of any model, and why."""
    if of_effects and all(column.no_ceiling for column in table.columns):
        return [
            "There is no ceiling for effects, and so no score between it and the negative controls; claims rest on paired "
            "intervals and on predictions for the wrong perturbation."
        ]
    return [
        f"{column.metric} has no score on these data: the ceiling is undefined."
        if column.no_ceiling
        else f"{column.metric} cannot tell models apart on these data: "
        "no positive control is better than the negative control beyond their spread."
        for column in table.columns
        if column.cannot_tell or column.no_ceiling
    ]
