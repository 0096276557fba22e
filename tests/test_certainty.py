"""What a model's intervals and probabilities are worth: pooled, judged, and said first where they fall short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cycseq.benchmarking import predictions, work
from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import open_benchmark
from cycseq.models import build_model
from cycseq.preparation.merge import join
from cycseq.preparation.prepare import prepare
from cycseq.preparation.settings import PrepareSettings
from cycseq.score.certainty import certainty, off_diagonal, off_goal, pooled_coverage, pooled_reliability
from cycseq.score.settings import EvaluateSettings
from cycseq.show.report.certainty import ALL, Certainty
from cycseq.show.report.page import write_report
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings


def coverage(responding: float = 0.6, n: int = 100) -> pd.DataFrame:
    rows = [
        ("M", "unseen-context:A", 0, "A", "all genes", 0.9, 400),
        ("M", "unseen-context:A", 0, "A", "responding genes", responding, n),
        ("M", "unseen-context:B", 0, "B", "all genes", 0.88, 100),
        ("M", "unseen-context:B", 0, "B", "responding genes", 0.9, n),
    ]
    return pd.DataFrame(rows, columns=["model", "split", "seed", "context", "stratum", "observed", "n"])


def bins(observed: float) -> pd.DataFrame:
    rows = [
        ("M", "unseen-context:A", 0, "A", "above 0", 0.72, observed, 40),
        ("M", "unseen-context:B", 0, "B", "above 0", 0.78, observed, 40),
        ("M", "unseen-context:A", 0, "A", "above 0", 0.15, 0.9, 3),
    ]
    return pd.DataFrame(rows, columns=["model", "split", "seed", "context", "event", "stated", "observed", "n"])


def test_pooled_shares_are_those_of_all_genes_together():
    pooled = pooled_coverage(coverage(), ["model"]).set_index("stratum")
    assert pooled.loc["all genes", "observed"] == pytest.approx((0.9 * 400 + 0.88 * 100) / 500)
    assert pooled.loc["all genes", "n"] == 500
    (row,) = pooled_reliability(bins(0.5), []).to_dict("records")  # 3 genes in the other tenth are too few
    assert (row["n"], row["stated"], row["observed"]) == (80, pytest.approx(0.75), pytest.approx(0.5))
    assert len(pooled_reliability(bins(0.5), [], fewest=1)) == 2


def test_what_misses_the_goal_is_named_and_few_genes_are_not_judged():
    assert off_goal(coverage(0.6))[["context", "stratum"]].to_numpy().tolist() == [["A", "responding genes"]]
    assert off_goal(coverage(0.85)).empty
    assert off_goal(coverage(0.97))["observed"].tolist() == [0.97]  # too wide is off as well
    assert off_goal(coverage(0.6, n=49)).empty
    assert off_diagonal(pooled_reliability(bins(0.66), [])).empty
    assert len(off_diagonal(pooled_reliability(bins(0.64), []))) == 1


@pytest.mark.parametrize(
    ("responding", "observed", "sound"), [(0.6, 0.75, False), (0.9, 0.5, False), (0.9, 0.75, True)]
)
def test_sentences_say_no_more_than_the_tables(responding: float, observed: float, sound: bool):
    (one,) = Certainty.of(coverage(responding), bins(observed))
    assert one.sound is sound
    said = " ".join(one.sentences())
    assert ("not 85 to 95 % everywhere" in said) == (responding == 0.6)
    assert ("A (responding genes 60 %)" in said) == (responding == 0.6)
    assert ("off by more than 0.1: of a rise by up to 0.25 (stated 0.75, observed 0.50)" in said) == (observed == 0.5)
    assert [context for context, _ in one.rows] == [ALL, "A", "B"]
    assert "all contexts" not in said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of a simulated world, whose true responses are known."""
    world = SimulateSettings(contexts=3, perturbations=6, genes=100, cells=900, seed=1)
    data = prepare([simulate(world)], PrepareSettings(genes="all"))
    out = tmp_path_factory.mktemp("benchmark") / "b"
    settings = BenchmarkSettings(models=["NoChange", "ConditionKriging"], split=["unseen-context"], seeds=1)
    benchmark(data, settings, out, evaluation=EvaluateSettings(metrics="mse_ratio,mse_unbiased_norm,edistance"))
    return out


def test_a_benchmark_keeps_coverage_and_reliability_of_models_with_a_posterior(folder: Path):
    result = open_benchmark(folder)
    assert set(result.coverage["model"]) == set(result.reliability["model"]) == {"ConditionKriging"}
    assert set(result.coverage["context"]) == {split["test"][0][0] for split in result.record["splits"]}
    assert {"all genes", "true response"} <= set(result.coverage["stratum"])
    assert result.coverage["observed"].between(0, 1).all()
    assert (result.reliability.groupby(["split", "event"])["n"].sum() > 0).all()
    again = pd.read_csv(folder / "coverage.csv")
    np.testing.assert_allclose(again["observed"], result.coverage["observed"].astype(float))


def test_the_page_has_coverage_of_every_context_the_curve_and_what_a_metric_tells(folder: Path, tmp_path: Path):
    result = open_benchmark(folder)
    page = write_report(folder, tmp_path / "page.html").read_text()
    (one,) = Certainty.of(result.coverage, result.reliability)
    short = page[page.index("In short") : page.index("Question</h2>")]
    leads = short.split('<p class="lead">')[1:]
    assert ("intervals of ConditionKriging" in leads[1]) == (
        not one.sound
    )  # right after the finding where they fall short
    assert "intervals of ConditionKriging" not in leads[0]
    assert "intervals of ConditionKriging" in short
    sure = page[page.index("Is the uncertainty calibrated?</h2>") :]
    assert 'aria-label="Reliability of ConditionKriging"' in sure
    for context in result.coverage["context"].unique():
        assert f'<th scope="row">{context}</th>' in sure
    assert '<th scope="row">discrimination</th>' in page
    assert "<small>unbiased " in page


def test_the_wrong_target_is_scored_in_edistance_so_that_something_can_be_claimed(folder: Path):
    metrics = open_benchmark(folder).metrics
    wrong = metrics[metrics["model"] == "ConditionKriging (wrong target)"]
    assert wrong.loc[wrong["metric"] == "edistance", "value"].notna().all()
    assert len(wrong[wrong["metric"] == "edistance"]) == len(wrong[wrong["metric"] == "mse_ratio"])


def test_conditions_that_are_predicted_with_other_numbers_of_cells_are_counted_too(monkeypatch: pytest.MonkeyPatch):
    world = SimulateSettings(contexts=3, perturbations=4, genes=60, cells=700, seed=2)
    data = prepare([simulate(world)], PrepareSettings(genes="all"))
    split = make_splits(data, SplitSettings(kind="unseen-context"))[0]
    parts = split.parts(data)
    (context,) = parts.test.contexts
    controls = parts.train.controls([context])
    model = build_model("ConditionKriging").fit(parts.train, parts.validation)
    test = parts.test.take(np.arange(parts.test.n_cells) >= 5)  # so that conditions differ in number of cells
    real = join(test, work.reference_controls(parts, context))
    once = list(predictions.predict_conditions(model, controls, test, cells=None, seed=0))
    monkeypatch.setattr(predictions, "MAX_VALUES", 1)  # no room: as many cells of each condition as are real
    several = list(predictions.predict_conditions(model, controls, test, cells=None, seed=0))
    assert len(once) < len(several)
    for one, other in zip(certainty(once, real), certainty(several, real), strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert certainty(once, real)[0]["n"].max() > 100
    assert all(table.empty for table in certainty([controls], real))  # cells without a posterior
