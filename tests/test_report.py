"""The page: one file, nothing loaded, nothing executed that a label brought, and what it says is what was measured."""

from __future__ import annotations

import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import BenchmarkResult, open_benchmark
from cycseq.commands.benchmark import configure
from cycseq.commands.parser import parse
from cycseq.data.dataset import PerturbationData
from cycseq.errors import FileError
from cycseq.models import build_model
from cycseq.run.fitting import fit_run
from cycseq.run.scoring import evaluate_prediction
from cycseq.score.contexts import by_context
from cycseq.score.metrics import METRICS
from cycseq.score.settings import EvaluateSettings
from cycseq.score.summary import paired_differences, summarize_scores
from cycseq.score.verdicts import judge
from cycseq.show.report.numbers import interval, listed, short
from cycseq.show.report.page import _in_python, benchmark_page, write_benchmark, write_report
from cycseq.show.report.table import explain, headline
from cycseq.show.report.words import cannot_tell, methods
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

EVIL = '<script>alert("x")</script>'
WORSE = '"><img src=x onerror=alert(1)> $\\frac{'


class Page(HTMLParser):
    """Elements with their attributes, and the text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def finished(data: PerturbationData, out: Path, **settings: object) -> BenchmarkResult:
    said = BenchmarkSettings(**{"models": ["ContextAdditive"], "seeds": 1, **settings})
    return benchmark(data, said, out, evaluation=EvaluateSettings(metrics="means"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished benchmark of 3 contexts x (control, G1, G2, G3) with a response that carries over."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        [(c, p, "b") for c in ("K562", "RPE1", "THP1") for p in ("control", "G1", "G2", "G3") for _ in range(30)],
        columns=["context", "perturbation", "batch"],
    )
    obs.index = [f"cell{i}" for i in range(len(obs))]
    base = rng.normal(1.0, 0.5, (3, 40))[pd.factorize(obs["context"])[0]]
    shift = rng.normal(0.0, 0.8, (4, 40)) * np.array([[0], [1], [1], [1]])
    counts = rng.poisson(np.exp(base + shift[pd.factorize(obs["perturbation"])[0]]))
    x = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    adata = ad.AnnData(X=x, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(1, 41)]))
    return finished(PerturbationData.from_anndata(adata), tmp_path_factory.mktemp("report") / "out").folder


def test_a_page_loads_nothing_and_says_who_is_best(folder: Path):
    result = open_benchmark(folder)
    path = write_report(folder)
    assert path == folder / "report.html"
    assert path.stat().st_size < 5_000_000
    page = Page(path)
    assert not page.named("link")
    assert not page.named("iframe")
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png")), (tag, attributes)
    assert "@import" not in path.read_text()
    assert "url(http" not in path.read_text()
    assert "ContextAdditive has a lower mse_ratio than PerturbedMean in 3 of 3 contexts. (Fewer than 6" in page.text
    assert "_container" not in page.text
    assert len(page.named("button")) > 2
    assert "References, as each model and metric names them" in page.text
    assert "TxPert (2025)" in page.text
    assert "ContextAdditive ahead of PerturbedMean, without an interval" in page.text
    assert "for these contexts only" in page.text
    assert "further contexts too" not in page.text
    assert result.record["data"]["hash"] in page.text
    assert len([a for a in page.named("svg") if "Real and predicted delta" in str(a.get("aria-label"))]) == 3


def test_ids_are_unique_and_links_lead_somewhere(folder: Path):
    written = folder / "report.html"
    page = Page(written if written.exists() else write_report(folder))
    sections = [str(a["id"]) for tag, a in page.elements if "id" in a and tag in {"section", "table", "main"}]
    assert len(sections) == len(set(sections))
    ids = {str(a["id"]) for _, a in page.elements if "id" in a}
    assert {str(a["href"])[1:] for a in page.named("a")} <= ids


def test_labels_are_text_whatever_they_hold(small_data: PerturbationData, tmp_path: Path):
    few = small_data.subset(c for c in small_data.conditions() if c.perturbation in {"control", "G1", "G3"})
    adata = few.adata.copy()
    adata.obs["context"] = adata.obs["context"].astype(str).replace({"K562": EVIL, "THP1": "CD14+ Mono"})
    adata.obs["perturbation"] = adata.obs["perturbation"].astype(str).replace({"G3": WORSE})
    adata.var_names = [WORSE + name if i % 2 else name for i, name in enumerate(adata.var_names)]
    finished(PerturbationData(adata=adata, scale="log1p"), tmp_path / "out")
    page = Page(write_report(tmp_path / "out"))
    assert len(page.named("script")) == 1
    assert not page.named("img")
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]
    assert EVIL in page.text
    assert "CD14+ Mono" in page.text


def test_what_cannot_be_told_is_said(small_data: PerturbationData, tmp_path: Path):
    one = small_data.subset(
        c for c in small_data.conditions() if c.context != "THP1" and (c.is_control or c.perturbation == "G1")
    )
    result = finished(one, tmp_path / "out", models=["Bilinear"])
    page = write_report(tmp_path / "out")
    assert write_benchmark(result, tmp_path / "held.html").read_text() == page.read_text()  # from the tables in memory
    text = Page(page).text
    assert "say little about others" in text
    assert "retrieval_cosine is undefined for every condition" in text
    assert "1 seed: how much the results vary" in text
    assert "Models that do not apply" in text


def test_verdicts_by_context():
    rows = []
    for context, ceiling, spread in (("clear", 0.2, 0.01), ("noisy", 0.95, 0.2)):
        rows += [("NoChange", context, 0, 1.0), ("Good", context, 0, 0.5), ("Bad", context, 0, 1.1)]
        rows += [("SplitHalf", context, i, ceiling + spread * (-1) ** i) for i in range(10)]
    one = pd.DataFrame(rows, columns=["model", "context", "seed", "value"]).assign(metric="mse_ratio", split="s")

    def words(table: pd.DataFrame, model: str) -> list[str]:
        summary = summarize_scores(table, baselines=["NoChange"])
        judgement = judge(summary.assign(cannot_tell=False), paired_differences(table, baselines=["NoChange"]))
        return [verdict.word for verdict in by_context(table, judgement, model, "mse_ratio")]

    few = one.assign(perturbation="G0")
    many = pd.concat([one.assign(perturbation=f"G{i}") for i in range(6)], ignore_index=True)
    assert words(few, "Good") == ["ahead", "cannot tell"]
    assert words(few, "Bad") == ["not better", "cannot tell"]
    assert words(many, "Good") == ["better", "cannot tell"]
    assert words(many, "Bad") == []  # over all contexts it is worse
    # better over all contexts; in one of them by one condition of six alone: the interval holds zero
    lucky = (many["model"] == "Good") & (many["context"] == "clear") & (many["perturbation"] != "G0")
    many.loc[lucky, "value"] = 1.01
    many.loc[(many["model"] == "Good") & (many["context"] == "noisy"), "value"] = 0.1
    assert words(many, "Good") == ["indistinguishable", "cannot tell"]


def test_sentences_follow_the_record(folder: Path):
    result = open_benchmark(folder)
    kind = result.record["splits"][0]["kind"]
    assert "perturbs were left out of its scores" in methods(result, kind)
    assert "that the models were given too, so noise" in methods(result, kind)  # of 30 no half is held back
    assert "those of the test part" in methods(result, "random-cells")
    for split in result.record["splits"]:
        split["shared_controls"] = []
    assert "half of the control cells of every tested context were held back" in methods(result, kind)
    result.record["asked"]["evaluation"]["keep_target"] = True
    assert "perturbs were scored too" in methods(result, kind)
    summary = result.summary.assign(cannot_tell=True)
    judgement = judge(summary, result.differences)
    said = cannot_tell(result, kind, headline(summary), judgement)
    assert "mse_ratio cannot tell models apart on these data" in " ".join(said)
    said = cannot_tell(result, kind, headline(summary.assign(ceiling=np.nan)), judgement)
    assert "mse_ratio has no score on these data: the ceiling is undefined." in said
    assert "cannot tell models apart" not in " ".join(said)


def test_a_call_from_python_is_repeated_by_a_command(folder: Path):
    record = open_benchmark(folder).record
    record["asked"] |= {"model_settings": {"Ridge": {"alpha": 2.0, "file": ["a b.csv", "0" * 16]}}, "cells": 50}
    record["data"]["path"] = "my data.h5ad"
    record["splitting"] |= {"context": "K562", "k": 3}
    words = shlex.split(_in_python(record))
    options = parse("benchmark", "", configure, words[2:])
    assert options is not None
    assert str(options.data) == "my data.h5ad"
    assert (options.split, options.context, options.k) == (["unseen-context"], "K562", 3)
    assert (options.cells, options.metrics) == (50, ["means"])
    assert options.model_settings == {"Ridge": {"alpha": 2.0, "file": "a b.csv"}}


def test_the_page_shows_the_wrong_target_and_the_sources_of_all_splits(small_data: PerturbationData, tmp_path: Path):
    finished(small_data, tmp_path / "out", split=["random-cells", "unseen-context"])
    path = write_report(tmp_path / "out")
    text = Page(path).text
    assert "wrong target" in path.read_text()
    assert "ContextAdditive, shuffled" in text
    assert "equals" not in text
    assert "indistinguishable from" in text
    result = open_benchmark(tmp_path / "out")
    values = benchmark_page(result)
    shown = {metric for section in values["sections"] for metric in section["condition_metrics"]}
    assert {name for name, *_ in values["sources"]} == shown
    for section in values["sections"]:
        rows = result.summary[result.summary["split"] == section["kind"]].set_index(["model", "metric"])["mean"]
        best = f"{section['table'].best} (wrong target)"
        expected = [short(rows.get((best, m))) for m in section["condition_metrics"]]
        assert section["wrong_target"] == expected


def test_the_headline_shows_what_is_specific_where_it_can():
    rows = [
        {"metric": metric, "model": model, "mean": value, "low": value - 0.1, "high": value + 0.1, "rank": rank,
         "ceiling": 0.9, "null": 0.0, "null_model": "NoChange", "score": value / 0.9, "cannot_tell": False,
         "n_conditions": 3 if model == "C" else 8, "scope": "further contexts"}
        for metric in ("pearson_delta_specific", "pearson_delta", "mse_ratio")
        for model, value, rank in (("A", 0.3, 3), ("B", 0.6, 2), ("C", 0.7, 1), ("SplitHalf", 0.9, np.nan), ("A (wrong target)", 0.1, np.nan))
    ]  # fmt: skip
    table = headline(pd.DataFrame(rows))
    assert [column.metric for column in table.columns] == ["pearson_delta_specific", "mse_ratio"]
    assert table.order == ["B", "A", "C"]
    assert table.partial == {"C": 3}
    assert table.rows[0][2][0].score_words == "score 0.667"


def test_a_run_has_a_page_too(small_data: PerturbationData, tmp_path: Path):
    split = make_splits(small_data, SplitSettings(context="K562"))[0]
    run = fit_run(small_data, split, build_model("ContextAdditive"), tmp_path / "run")
    before = Page(write_report(run.folder)).text
    assert split.claim in before
    assert "cycseq evaluate" in before
    pd.DataFrame({"epoch": [0, 1], "loss": [2.0, 1.0]}).to_csv(run.folder / "history.csv", index=False)
    scores = evaluate_prediction(
        run.predict(controls=small_data), small_data, settings=EvaluateSettings(metrics="means")
    )
    scores.to_csv(run.folder / "metrics.csv", index=False)
    after = Page(write_report(run.folder))
    assert "mse_ratio" in after.text
    assert [a for a in after.named("svg") if a.get("aria-label") == "Losses by epoch"]


def test_pages_are_not_replaced_unasked(folder: Path, tmp_path: Path):
    (tmp_path / "page.html").touch()
    with pytest.raises(FileError, match="--overwrite"):
        write_report(folder, tmp_path / "page.html")
    write_report(folder, tmp_path / "page.html", overwrite=True)
    assert Page(tmp_path / "page.html").named("main")
    with pytest.raises(FileError, match="neither a benchmark nor a run"):
        write_report(tmp_path)
    with pytest.raises(FileError, match="does not exist"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (0.9999, "1.00"), (12.345, "12.3"), (1234.5, "1,234"), (-0.5, "\u22120.500"), (0.0, "0.000"),
     (np.nan, "\u2013"), (None, "\u2013"), (0.00012, "1.2e\u22124")],
)  # fmt: skip
def test_numbers_are_short(value: float | None, text: str):
    assert short(value) == text


def test_lists_and_intervals_read_well():
    assert listed(["A"]) == "A"
    assert listed(["A", "B"]) == "A and B"
    assert listed(["A", "B", "C"]) == "A, B and C"
    assert listed(list("ABCDEFGHIJ"), 3) == "A, B, C, ... (10 in all)"
    assert interval(0.1, 0.2) == "0.100 to 0.200"
    assert interval(np.nan, 0.2) == ""


def test_metric_names_say_what_they_are_to_pointer_and_keyboard(folder: Path):
    page = Page(write_report(folder, folder / "tips.html", overwrite=True))
    told = {a["title"] for a in page.named("button") if a.get("class") == "sort" and "title" in a}
    assert explain("mse_ratio") in told
    metric = METRICS["mse_ratio"]
    assert all(words in explain("mse_ratio") for words in (metric.formula, "Lower is better", metric.caution))
    terms = [a for a in page.named("span") if a.get("class") == "term"]
    assert terms
    assert all(a["tabindex"] == "0" and a["title"] for a in terms)
    assert explain("model") == ""


def test_contexts_beyond_the_first_are_folded(folder: Path):
    page = Page(write_report(folder, folder / "folded.html", overwrite=True))
    assert ["open" in a for a in page.named("details") if a.get("class") == "group"] == [True, False, False]


def test_where_no_model_is_better_than_the_negative_control_it_is_said():
    rows = [
        {"metric": "mse_ratio", "model": model, "mean": value, "low": value, "high": value, "rank": 1.0, "ceiling": 0.2, "null": 1.0,
         "null_model": "NoChange", "score": (1 - value) / 0.8, "cannot_tell": False, "n_conditions": 8, "scope": ""}
        for model, value in (("NoChange", 1.0), ("Ridge", 1.2), ("VAE", 1.0))
    ]  # fmt: skip
    (column,) = headline(pd.DataFrame(rows)).columns
    assert column.note == "lower is better; none better than the negative control"
    rows[1] |= {"mean": 0.9, "score": 0.125}
    (column,) = headline(pd.DataFrame(rows)).columns
    assert column.note == "lower is better"


def test_the_bars_of_a_context_say_that_none_is_better_than_the_negative_control(folder: Path):
    result = open_benchmark(folder)
    worse = result.metrics["metric"].eq("mse_ratio") & result.metrics["model"].isin(
        ["ContextAdditive", "PerturbedMean"]
    )
    worse &= result.metrics["context"].eq("RPE1")
    metrics = result.metrics.assign(value=result.metrics["value"].mask(worse, 1.5))
    (section,) = benchmark_page(replace(result, metrics=metrics))["sections"]
    said = {
        group.context: any("none better than the negative" in p.note for p in group.panels)
        for group in section["groups"]
    }
    assert said == {"K562": False, "RPE1": True, "THP1": False}
