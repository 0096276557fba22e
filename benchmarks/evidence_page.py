"""The page of the evidence, from the tidy table alone: tables, and sentences that follow the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cycseq.benchmarking.choices import BASELINES
from cycseq.io.files import write_text
from cycseq.models import MODELS
from cycseq.score.ceiling import POSITIVE_CONTROLS
from cycseq.score.intervals import ENOUGH
from cycseq.score.metrics import HEADLINE, HEADLINE_OF_EFFECTS, METRICS, headline_of
from cycseq.score.summary import FEWEST, paired_differences, summarize_scores
from cycseq.score.verdicts import Judgement, Verdict, judge
from cycseq.show.report.certainty import Certainty
from cycseq.show.report.sentences import BARS, SCOPES
from evidence_certainty import certainty_of, certainty_tables, first_lines
from evidence_claims import LESS_DATA, claims, interval, number
from evidence_data import SOURCES

FEW = "too few conditions"
OF_CELLS = ("mse_ratio", "pearson_delta", "retrieval_cosine", "edistance")
"""Metrics of the ablations on cells."""
MAIN, WRONG_TARGET, CEILING = "ConditionKriging", " (wrong target)", "SplitHalf"


@dataclass(frozen=True)
class Group:
    """One data set under one kind of split."""

    summary: pd.DataFrame
    differences: pd.DataFrame
    certainty: Certainty | None
    """Of the intervals and probabilities of `ConditionKriging`; None where they were not run."""
    values: pd.DataFrame
    """Context, perturbation, model, metric, value: seeds averaged."""
    seeds: int
    """Of the baselines."""
    judgement: Judgement

    @property
    def headline(self) -> tuple[str, ...]:
        """What a table shows."""
        return headline_of(self.summary["metric"].unique())

    def mean(self, model: str, metric: str) -> float:
        """Over test conditions."""
        return self._one(self.summary, model=model, metric=metric)["mean"]

    def difference(self, model: str, baseline: str, metric: str) -> pd.Series | None:
        """Model minus baseline with its interval and verdict; None where they have no condition in common."""
        rows = self.differences
        rows = rows[(rows["model"] == model) & (rows["baseline"] == baseline) & (rows["metric"] == metric)]
        return rows.iloc[0] if len(rows) else None

    def verdict(self, model: str, baseline: str, metric: str) -> Verdict | None:
        """What may be said of a model beside a baseline; None where they have no condition in common."""
        return next((v for v in self.judgement.of(model, metric) if v.other == baseline and v.n_conditions), None)

    def baselines(self, metric: str) -> list[str]:
        """Those that the metric is defined for, the best first."""
        rows = self.summary[self.summary["model"].isin(BASELINES) & (self.summary["metric"] == metric)]
        return rows.dropna(subset=["rank"]).sort_values("rank", kind="stable")["model"].tolist()

    @staticmethod
    def _one(rows: pd.DataFrame, **said: str) -> pd.Series:
        for name, value in said.items():
            rows = rows[rows[name] == value]
        return rows.iloc[0] if len(rows) else pd.Series({"mean": np.nan, "low": np.nan, "high": np.nan})


def write_page(
    table: pd.DataFrame,
    page: Path,
    *,
    quick: bool,
    network_rule: str,
    remark: str = "",
    warnings: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> None:
    """The page, and beside it in a folder of its name the summary as CSV."""
    groups = {key: grouped(rows) for key, rows in table.groupby(["data", "split"], sort=False)}
    sure = {key: group.certainty for key, group in groups.items() if group.certainty is not None}
    lines = [
        *opening(
            table, network_rule, quick=quick, first=[*([f"**{remark}**", ""] if remark else []), *first_lines(sure)]
        ),
        *claims(groups),
    ]
    for name, source in SOURCES.items():
        kinds = [split for split in source.splits if (name, split) in groups]
        if kinds:
            lines += ["", f"## {source.title}", "", f"{source.about[0].upper()}{source.about[1:]}."]
        for split in kinds:
            lines += ["", f"### {split}", "", *(warnings or {}).get((name, split), ())]
            lines += section(groups[name, split])
    lines += ["", "## Coverage and reliability", "", *certainty_tables(sure)]
    lines += ["", "## Ablations", "", *ablation_table(groups)]
    write_text(page, "\n".join(lines) + "\n", overwrite=True)
    summaries = [group.summary.assign(data=data) for (data, _), group in groups.items()]
    kept = ["data", "split", "model", "metric", "mean", "low", "high", "n_conditions"]
    summary = pd.concat(summaries)[kept]
    wrong = summary["model"].str.endswith(WRONG_TARGET) & ~summary["model"].str.startswith(MAIN)
    shown = summary["metric"].isin(["mse", *HEADLINE, *HEADLINE_OF_EFFECTS])
    text = summary[shown & ~wrong].to_csv(index=False, float_format="%.4g")
    write_text(page.with_suffix("") / "summary.csv", text, overwrite=True)


def grouped(rows: pd.DataFrame) -> Group:
    """Means, intervals and all paired differences that the page needs."""
    known = rows[rows["metric"].isin(METRICS)].drop(columns="data")
    models = [
        name for name in known["model"].unique() if not name.endswith(WRONG_TARGET) and name not in POSITIVE_CONTROLS
    ]
    others = [name for name in models if name not in BASELINES]
    others += [f"{MAIN}{WRONG_TARGET}"] if MAIN in models else []
    summary = summarize_scores(known, baselines=[])
    differences = paired_differences(known[known["model"].isin({*models, *others})], baselines=[*BASELINES, *others])
    return Group(
        summary,
        differences,
        certainty_of(rows),
        known.groupby(["context", "perturbation", "model", "metric"], as_index=False)["value"].mean(),
        int(known[known["model"] == "NoChange"]["seed"].nunique()),
        judge(summary, differences),
    )


def opening(table: pd.DataFrame, network_rule: str, *, quick: bool, first: Sequence[str]) -> list[str]:
    n = table.groupby(["data", "split"]).ngroups
    return [
        "# Evidence",
        "",
        f"Made by one command, `python benchmarks/evidence.py --out DIR`: {n} pairs of data set and split, every number "
        "from its table of results. Do not edit by hand."
        + (
            " **This is a quick run on tiny worlds: it shows that the command works, and nothing else.**"
            if quick
            else ""
        ),
        "",
        *first,
        "How to read it. A mean is over test conditions, seeds averaged. *Better* and *worse* are said only where the "
        "95 % interval of the paired differences excludes zero, against every baseline, and neither the ceiling nor the wrong target "
        "contradicts it; otherwise the model is *indistinguishable*. Contexts are the unit of an interval, corrected for being few; with "
        f"fewer than {ENOUGH}, it holds for these contexts only. With fewer than {FEWEST} conditions nothing is said. `SplitHalf` is one half of the real cells predicting the other: "
        "a ceiling for half the cells, which a good model can pass where cells are few. `mse_ratio` is a mean of ratios: conditions "
        "that hardly respond count as much as the others, so read `mse` beside it. *Wrong target* is the model's own "
        "prediction for another perturbation, *wrong context* its prediction for another context. *Response alone* predicts from the control "
        "means as measured: what the model does beyond `SmoothedControls`. No interval tells of further studies.",
        "",
        "Seeds. Simulated: up to three worlds (each table says how many seeds were run), one seed each for world, split and model; its six lines are held out in turn. "
        "Foreign worlds follow laws that are not our simulator's ([worlds](worlds.md)). Real data: three seeds of the model where the split is "
        "fixed, else three draws of the split (Kang, few-shot: one). " + network_rule,
        "",
        *not_yet(table, quick=quick),
        "Not here: `random-cells`, which supports reconstruction alone (see the networks' own pages).",
    ]


def not_yet(table: pd.DataFrame, *, quick: bool) -> list[str]:
    """What the table lacks, where the run has not ended or was asked for less."""
    has = set(table[["data", "split"]].itertuples(index=False, name=None))
    lacking = [f"{s.title}, {split}" for name, s in SOURCES.items() for split in s.splits if (name, split) not in has]
    models = [name for name in MODELS if name not in set(table["model"])]
    return [f"Not run yet: {'; '.join([*lacking, *models])}.", ""] if (lacking or models) and not quick else []


def section(group: Group) -> list[str]:
    """A table of all models and what follows from it."""
    shown = [name for name in MODELS if (group.summary["model"] == name).any()]
    if not shown:
        return ["Nothing was run."]
    conditions = group.values[["context", "perturbation"]].drop_duplicates()
    n_contexts = conditions["context"].nunique()
    said = f"{len(conditions)} test conditions in {n_contexts} context{'s' if n_contexts > 1 else ''}; seeds: {group.seeds}."
    lines = [said, "", *table_of(group, shown), ""]
    absent = [name for name in BASELINES if name not in shown]
    if absent:
        lines += [f"Refuse these conditions by name, or were not asked: {', '.join(absent)}.", ""]
    void = untellable(group)
    if void:
        lines += [
            f"Half of the real cells predict the other half no better than the nulls do by {', '.join(void)}: too few cells, or "
            "too small a response.",
            "",
        ]
    if not any(_beats(group, model, "NoChange", metric) for model in shown for metric in ("mse", "mse_ratio")):
        lines += [
            "No model is better than `NoChange` by mse or mse_ratio: of transfer, **nothing can be told** here.",
            "",
        ]
    wrong = group.difference(MAIN, f"{MAIN}{WRONG_TARGET}", "mse_ratio")
    if wrong is not None and wrong["verdict"] in ("ties", "loses"):
        lines += [
            f"`{MAIN}` does no better than its own prediction for another perturbation (mse_ratio {interval(wrong)}): nothing "
            "that is specific to a perturbation can be told here.",
            "",
        ]
    lines += [f"- {sentence(group, model)}" for model in shown if model not in BASELINES]
    return lines


def _beats(group: Group, model: str, baseline: str, metric: str) -> bool:
    verdict = group.verdict(model, baseline, metric)
    return verdict is not None and verdict.word == "better"


def untellable(group: Group) -> list[str]:
    rows = group.summary[group.summary["cannot_tell"].astype(bool) & group.summary["metric"].isin(group.headline)]
    return [metric for metric in group.headline if metric in set(rows["metric"])]


def table_of(group: Group, models: list[str]) -> list[str]:
    """Headline metrics of the ceiling, the models and the controls; the best of the models with all conditions is bold."""
    wide = group.summary.pivot_table(index="model", columns="metric", values="mean", aggfunc="first", sort=False)
    metrics = [name for name in ("mse", *group.headline) if name in wide and wide.loc[models, name].notna().any()]
    n = group.summary.groupby("model")["n_conditions"].max()
    whole = [model for model in models if n[model] == n[models].max()]
    ranks = group.summary[group.summary["model"].isin(whole)].pivot_table(
        index="model", columns="metric", values="rank"
    )
    best = {metric: ranks.index[ranks[metric] == ranks[metric].min()].tolist() for metric in metrics}
    controls = [
        name
        for name in (f"{MAIN}{WRONG_TARGET}", f"{MAIN} (wrong context)")
        if name in wide.index and wide.loc[name, metrics].notna().any()
    ]
    lines = [f"| model | {' | '.join(metrics)} |", f"|{'---|' * (len(metrics) + 1)}"]
    for model in [*([CEILING] if CEILING in wide.index else []), *models, *controls]:
        few = "" if n[model] == n[models].max() else f" ({n[model]} of {n[models].max()} conditions)"
        cells = [number(wide.loc[model, metric], bold=model in best[metric]) for metric in metrics]
        lines.append(f"| {model}{few} | {' | '.join(cells)} |")
    return lines


def sentence(group: Group, model: str) -> str:
    """Better than all baselines, indistinguishable, worse, or no claim, metric by metric."""
    said: dict[str, list[str]] = {"better": [], "tied": [], "worse": [], "no claim": []}
    metrics = [name for name in group.headline if not np.isnan(group.mean(model, name))]
    n = group.summary[group.summary["model"] == model]["n_conditions"].max()
    if n < FEWEST:
        first = [
            difference_text(group, model, metric) for metric in ("mse_ratio", "pearson_delta") if metric in metrics
        ]
        return f"`{model}`: {n} test condition{'s are' if n > 1 else ' is'} too few for a verdict. Against the best baseline: {'; '.join(first)}."
    for metric in metrics:
        verdicts = [v for b in group.baselines(metric) if (v := group.verdict(model, b, metric)) and v.word != FEW]
        losing, tied, list_barred_metrics = (
            [v.other for v in verdicts if v.word == word] for word in ("worse", "indistinguishable", "no claim")
        )
        if losing:
            said["worse"].append(f"{metric} (than {', '.join(losing)})")
        elif tied:
            said["tied"].append(f"{metric} ({', '.join(tied)})")
        elif list_barred_metrics:
            said["no claim"].append(f"{metric} ({BARS[verdicts[0].bar]})")
        elif verdicts:
            said["better"].append(f"{difference_text(group, model, metric)}, {SCOPES[verdicts[0].scope]}")
    heads = {
        "better": "better than all baselines in",
        "tied": "indistinguishable from some baseline in",
        "worse": "worse in",
        "no claim": "no claim in",
    }
    words = [f"{head} {'; '.join(said[key])}" for key, head in heads.items() if said[key]]
    if not words:
        return f"`{model}`: no baseline stands beside it."
    return f"`{model}`: {'. '.join(word[0].upper() + word[1:] if i else word for i, word in enumerate(words))}."


def difference_text(group: Group, model: str, metric: str) -> str:
    """The difference from the best baseline with its interval."""
    for baseline in group.baselines(metric):
        row = group.difference(model, baseline, metric)
        if row is not None:
            return f"{metric} {interval(row)} against {baseline}"
    return f"{metric} has no baseline"


def ablation_table(groups: dict[tuple[str, str], Group]) -> list[str]:
    """Every form of a model that was run, against the model itself."""
    lines = [
        "Each form against the model itself, paired: with the difference and its 95 % interval, form minus model. An "
        "increase of mse_ratio means that the part that was taken out helps. Kernels are left out one at a time, of effects, in the first split.",
    ]
    for metrics in (OF_CELLS, HEADLINE_OF_EFFECTS):
        lines += [
            "",
            f"| data | split | form | conditions | {' | '.join(metrics)} |",
            f"|{'---|' * (len(metrics) + 4)}",
        ]
        for (data, split), group in groups.items():
            if (group.headline == HEADLINE_OF_EFFECTS) is not (metrics == HEADLINE_OF_EFFECTS):
                continue
            names = [name for name in group.summary["model"].unique() if " (" in name and WRONG_TARGET not in name]
            for name in [name for name in names if name not in LESS_DATA.values()]:
                differences = [group.difference(name, name.split(" (")[0], metric) for metric in metrics]
                if differences[0] is None:
                    continue
                texts = ["" if row is None or np.isnan(row["difference"]) else interval(row) for row in differences]
                n = int(differences[0]["n_conditions"])
                lines.append(f"| {SOURCES[data].title} | {split} | {name} | {n} | {' | '.join(texts)} |")
    return lines
