"""Sentences of a benchmark's page: its limits, its methods, its sources."""

from collections.abc import Mapping, Sequence
from typing import Any

from cycseq.benchmarking.tables import BenchmarkResult
from cycseq.errors import count_of, was
from cycseq.models import MODELS, reference
from cycseq.score.intervals import ENOUGH
from cycseq.score.metrics import METRICS
from cycseq.score.summary import FEWEST
from cycseq.score.verdicts import Judgement
from cycseq.show.report import sentences
from cycseq.show.report.numbers import listed, short
from cycseq.show.report.table import Headline, is_model
from cycseq.split.leakage import condense_warnings
from cycseq.split.settings import KINDS


def references(models: Sequence[str], metrics: Sequence[str]) -> list[tuple[str, str]]:
    """What to cite for the models and metrics that were used: name, and the source that it gives."""
    sources_ = [(name, reference(name)) for name in models if name in MODELS]
    sources_ += [(name, METRICS[name].source) for name in metrics if name in METRICS]
    return [(name, source) for name, source in sources_ if source]


def cannot_tell(result: BenchmarkResult, kind: str, table: Headline, judgement: Judgement) -> list[str]:
    """What these data and this benchmark cannot show, in sentences."""
    rows = result.summary[(result.summary["split"] == kind) & is_model(result.summary["model"])]
    tested = [split for split in result.record["splits"] if split["kind"] == kind]
    conditions = {tuple(c) for split in tested for c in split["test"]}
    contexts, perturbations = ({str(condition[k]) for condition in conditions} for k in (0, 1))
    limits = [SIMULATED] if result.record["data"].get("simulated") else []
    limits += condense_warnings([split.get("warnings", []) for split in tested])
    if len(contexts) < ENOUGH:
        limits.append(
            f"Only {count_of(len(contexts), 'context')} ({listed(sorted(contexts))}) {was(len(contexts))} tested: the results hold "
            "for these contexts and say little about others."
        )
    if len(perturbations) < ENOUGH:
        limits.append(
            f"Only {count_of(len(perturbations), 'perturbation')} {was(len(perturbations))} tested: the results say little about "
            "other perturbations."
        )
    if len(conditions) < FEWEST:
        limits.append(
            f"{count_of(len(conditions), 'test condition')} {'is' if len(conditions) == 1 else 'are'} too few to call one model better than another."
        )
    limits += sentences.list_barred_metrics(
        table.best, judgement.standings(table.best, [column.metric for column in table.columns])
    )
    limits += sentences.list_weak_metrics(table, of_effects=result.of_effects)
    limits += [f"{metric} is undefined for every condition{_why(metric)}." for metric in table.undefined]
    partly = rows[(rows["n_undefined"] > 0) & rows["mean"].notna()].groupby("metric")["n_undefined"].max()
    if len(partly):
        limits.append(
            "Undefined in some conditions, and left out of their means: "
            + listed([f"{metric} (in {int(n)} of {len(conditions)})" for metric, n in partly.items()], shown=12)
            + "."
        )
    settings: dict[str, Any] = result.record["asked"]
    if settings["seeds"] < 3:
        limits.append(
            f"{count_of(settings['seeds'], 'seed')}: how much the results vary between fits is unknown; use at least 3."
        )
    return limits


def not_applicable(result: BenchmarkResult, kind: str) -> list[tuple[str, str, str]]:
    """Models that do not apply: model, on which splits, why."""
    names = [split["name"] for split in result.record["splits"] if split["kind"] == kind]
    rows = result.skipped[result.skipped["split"].isin(names)]
    refusals = []
    for model, part in rows.groupby("model", sort=False):
        where = "all splits" if part["split"].nunique() == len(names) else listed(list(dict.fromkeys(part["split"])))
        refusals.append((str(model), where, str(part["reason"].iloc[0])))
    return refusals


SIMULATED = (
    "The data are simulated: the page shows what such a benchmark tells, not how well any model does on real cells."
)
NO_CEILING = "There is no ceiling, as effects without standard errors cannot be halved. "
HALVED_EFFECTS = (
    "The ceiling is the score that half of a measurement gets for predicting the other half, both drawn from the real effects "
    "and their standard errors (10 repeats; fewer, 3 at least, where over 100 conditions are tested); scores are (value - negative control) / (ceiling - negative control), not clipped. "
)
CEILING = (
    "The ceiling is the score that a random half of the real cells gets for predicting the other half (10 repeats; fewer, 3 at least, where over 100 conditions are tested); scores are "
    "(value - negative control) / (ceiling - negative control), not clipped. "
)


def _extent(data: Mapping[str, Any]) -> str:
    """How much the data are, and on which scale."""
    if data.get("kind") == "effects":
        return f"effects of {count_of(len(data['conditions']), 'condition')} x {count_of(data['genes'], 'gene')} ({data['scale']} values)"
    return f"{count_of(data['cells'], 'cell')} x {count_of(data['genes'], 'gene')} (log1p of counts per 10,000)"


def methods(result: BenchmarkResult, kind: str) -> str:
    """A paragraph to paste into a methods section."""
    record, settings = result.record, result.record["asked"]
    data = record["data"]
    splits = [split for split in record["splits"] if split["kind"] == kind]
    ceiling = CEILING
    if data.get("kind") == "effects":
        ceiling = HALVED_EFFECTS if result.summary["ceiling"].notna().any() else NO_CEILING
    keep_target = settings["evaluation"]["keep_target"]
    targets = "scored too" if keep_target else "left out of its scores"
    return (
        f"{count_of(len(record['models']), 'model')} ({listed(record['models'], 12)}) were compared with CycSeq "
        f"{record['versions']['cycseq']} on {_extent(data)} in {count_of(len(data['contexts']), 'context')} with "
        f"{count_of(len(data['perturbations']), 'perturbation')}. Splits were of the kind {kind} "
        f"({count_of(len(splits), 'split')}; held out: {held_out(kind) or 'what the split file says'}), with {count_of(settings['seeds'], 'seed')} each; "
        f"{controls(splits, kind, of_effects=result.of_effects)}. Deltas are perturbed minus control means of a context; genes that a "
        f"condition perturbs were {targets}. {ceiling}Intervals are 95 % intervals of means over test conditions, seeds averaged. With "
        f"{ENOUGH} contexts or more, contexts are clusters (CR2 variance, Satterthwaite degrees of freedom; Bell and McCaffrey 2002), "
        "with perturbations as a second way of clustering; with fewer, the interval is about these contexts only, and perturbations are "
        "the clusters. It is widened for skewness (Hall 1992). A model is called better only where the paired interval excludes "
        f"zero over {FEWEST} conditions or more, a positive control is above the negative control, and its own predictions for the wrong "
        "perturbation score worse."
    )


def held_out(kind: str) -> str:
    """What splits of this kind hold out; empty for a kind that cycseq does not make."""
    return next((words for name, words in KINDS.items() if name == kind), "")


OF_EFFECTS = "the effects of a context were taken against the same controls before they were split, so the noise of the control mean is in all of them"


def controls(splits: Sequence[Mapping[str, Any]], kind: str, *, of_effects: bool = False) -> str:
    """Which control cells the models of some splits of one kind are given, and what real responses are measured against."""
    if of_effects:
        return OF_EFFECTS
    tested = {context for split in splits for context, _ in split["test"]}
    shared = {context for split in splits for context in split.get("shared_controls", tested)}  # older ones shared all
    cut = (
        "control cells were split like all others, and real responses are measured against those of the test part"
        if kind == "random-cells"
        else "half of the control cells of every tested context were held back from the models, and real responses are "
        "measured against them"
    )
    if not shared or not tested:
        return cut
    noisy = "so noise in their mean counts as response"
    if shared == tested:
        return f"real responses are measured against control cells that the models were given too, {noisy}"
    return f"{cut}; but in {', '.join(sorted(shared))} controls are shared, {noisy}"


def sources(metrics: Sequence[str]) -> list[tuple[str, str, str, str, str]]:
    """Metric, formula, source, direction's best value, caution."""
    used = [METRICS[name] for name in metrics if name in METRICS]
    return [(m.name, m.formula, m.source, short(m.best), m.caution) for m in used]


def _why(metric: str) -> str:
    return {
        "pearson_delta_specific": ": it needs other training perturbations of the same context",
        "retrieval_cosine": ": it needs several perturbations in a context",
        "r2_delta_top50": ": it needs 50 differentially expressed genes",
    }.get(metric, "")
