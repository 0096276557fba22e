"""What the numbers say, in sentences, and what they cannot say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cycseq.benchmarking.tables import BenchmarkResult
from cycseq.models import MODELS, reference
from cycseq.score.intervals import ENOUGH
from cycseq.score.metrics import METRICS
from cycseq.score.summary import FEWEST
from cycseq.score.verdicts import Judgement
from cycseq.show.report import sentences
from cycseq.show.report.numbers import counted, listed, short
from cycseq.show.report.table import Headline, is_model
from cycseq.split.leakage import condense_warnings
from cycseq.split.settings import KINDS


def references(models: Sequence[str], metrics: Sequence[str]) -> list[tuple[str, str]]:
    """What to cite for the models and metrics that were used: name, and the source that it gives."""
    found = [(name, reference(name)) for name in models if name in MODELS]
    found += [(name, METRICS[name].source) for name in metrics if name in METRICS]
    return [(name, source) for name, source in found if source]


def cannot_tell(result: BenchmarkResult, kind: str, table: Headline, judgement: Judgement) -> list[str]:
    """What these data and this benchmark leave open, in sentences."""
    rows = result.summary[(result.summary["split"] == kind) & is_model(result.summary["model"])]
    tested = [split for split in result.record["splits"] if split["kind"] == kind]
    conditions = {tuple(c) for split in tested for c in split["test"]}
    contexts, perturbations = ({str(condition[k]) for condition in conditions} for k in (0, 1))
    said = condense_warnings([split.get("warnings", []) for split in tested])
    if len(contexts) < ENOUGH:
        said.append(
            f"Only {counted(len(contexts), 'context')} ({listed(sorted(contexts))}) {_is(contexts)} tested: what is said holds "
            "for these contexts only, nothing is known of further contexts."
        )
    if len(perturbations) < ENOUGH:
        said.append(
            f"Only {counted(len(perturbations), 'perturbation')} {_is(perturbations)} tested: nothing is known of further "
            "perturbations."
        )
    if len(conditions) < FEWEST:
        said.append(
            f"{counted(len(conditions), 'test condition')} {_is(conditions)} too few to say that one model is better than another."
        )
    said += sentences.barred(table.best, judgement.standings(table.best, [column.metric for column in table.columns]))
    said += sentences.untelling(table, of_effects=result.of_effects)
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


NO_CEILING = "There is no ceiling, as effects without standard errors cannot be halved. "
HALVED_EFFECTS = (
    "The ceiling is the score that half of a measurement gets for predicting the other half, both drawn from the real effects "
    "and their standard errors (10 repeats); scores are (value - negative control) / (ceiling - negative control), not clipped. "
)
CEILING = (
    "The ceiling is the score that a random half of the real cells gets for predicting the other half (10 repeats); scores are "
    "(value - negative control) / (ceiling - negative control), not clipped. "
)


def _extent(data: Mapping[str, Any]) -> str:
    """How much the data are, and on which scale."""
    if data.get("kind") == "effects":
        return f"effects of {counted(len(data['conditions']), 'condition')} x {counted(data['genes'], 'gene')} ({data['scale']} values)"
    return f"{counted(data['cells'], 'cell')} x {counted(data['genes'], 'gene')} (log1p of counts per 10,000)"


def methods(result: BenchmarkResult, kind: str) -> str:
    """A paragraph to paste into a methods section."""
    record, asked = result.record, result.record["asked"]
    data = record["data"]
    splits = [split for split in record["splits"] if split["kind"] == kind]
    ceiling = CEILING
    if data.get("kind") == "effects":
        ceiling = HALVED_EFFECTS if result.summary["ceiling"].notna().any() else NO_CEILING
    kept = asked["evaluation"]["keep_target"]
    targets = "scored too" if kept else "left out of its scores"
    return (
        f"{counted(len(record['models']), 'model')} ({listed(record['models'], 12)}) were compared with CycSeq "
        f"{record['versions']['cycseq']} on {_extent(data)} in {counted(len(data['contexts']), 'context')} with "
        f"{counted(len(data['perturbations']), 'perturbation')}. Splits were of the kind {kind} "
        f"({counted(len(splits), 'split')}; held out: {held_out(kind) or 'what the split file says'}), with {counted(asked['seeds'], 'seed')} each; "
        f"{controls(splits, kind)}. Deltas are perturbed minus control means of a context; genes that a "
        f"condition perturbs were {targets}. {ceiling}Intervals are 95 % intervals of means over test conditions, seeds averaged. With "
        f"{ENOUGH} contexts or more, contexts are clusters (CR2 variance, Satterthwaite degrees of freedom; Bell and McCaffrey 2002), "
        "with perturbations as a second way of clustering; with fewer, the interval is about these contexts only, and perturbations are "
        "the clusters. It is widened for skewness (Hall 1992). A model is called better only where the paired interval excludes "
        f"zero over {FEWEST} conditions or more, a positive control is above the negative control, and its own predictions for the wrong "
        "perturbation score worse."
    )


def held_out(kind: str) -> str:
    """What splits of this kind hold out; empty for a kind of another's making."""
    return next((words for name, words in KINDS.items() if name == kind), "")


def controls(splits: Sequence[Mapping[str, Any]], kind: str) -> str:
    """Which control cells the models of some splits of one kind are given, and what real responses are taken against."""
    tested = {context for split in splits for context, _ in split["test"]}
    shared = {context for split in splits for context in split.get("shared_controls", tested)}  # older ones shared all
    cut = (
        "control cells were cut like all others, and real responses are taken against those of the test part"
        if kind == "random-cells"
        else "half of the control cells of every tested context was held back from the models: real responses are taken "
        "against these"
    )
    if not shared or not tested:
        return cut
    noisy = "so that noise of their mean counts as response"
    if shared == tested:
        return f"real responses are taken against control cells that the models were given too, {noisy}"
    return f"{cut}; but in {', '.join(sorted(shared))} controls are shared, {noisy}"


def sources(metrics: Sequence[str]) -> list[tuple[str, str, str, str, str]]:
    """Metric, formula, source, direction's best value, caution."""
    known = [METRICS[name] for name in metrics if name in METRICS]
    return [(m.name, m.formula, m.source, short(m.best), m.caution) for m in known]


def _is(things: Collection[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _why(metric: str) -> str:
    return {
        "pearson_delta_specific": ": it needs other training perturbations of the same context",
        "retrieval_cosine": ": it needs several perturbations in a context",
        "r2_delta_top50": ": it needs 50 differentially expressed genes",
    }.get(metric, "")
