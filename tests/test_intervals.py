"""Intervals, ranks, wins and calibrated scores against known answers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cycseq.errors import SettingsError
from cycseq.score.intervals import ENOUGH, _clustered, _within_contexts, intervals
from cycseq.score.summary import paired_differences, summarize_scores


def rows(
    model: str, values: np.ndarray, metric: str = "pearson_delta", *, seed: int = 0, contexts: int = 2, split: str = "k"
) -> pd.DataFrame:
    n = len(values)
    return pd.DataFrame(
        {
            "model": model,
            "split": split,
            "seed": seed,
            "context": [f"c{i % contexts}" for i in range(n)],
            "perturbation": [f"p{i}" for i in range(n)],
            "metric": metric,
            "value": values,
        }
    )


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, 60)


def test_one_context_gives_students_interval_of_its_conditions_and_says_so(noise: np.ndarray) -> None:
    values = 0.5 + (noise - noise[::-1]) / 2  # as many to either side: no skewness
    row = summarize_scores(rows("A", values, contexts=1), baselines=[]).iloc[0]
    low, high = stats.t.interval(0.95, 59, values.mean(), stats.sem(values))
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((values.mean(), low, high))
    assert (row["n_conditions"], row["n_contexts"], row["n_undefined"]) == (60, 1, 0)
    assert row["scope"] == "these contexts only"


def test_with_few_contexts_what_differs_between_them_is_left_out() -> None:
    values = np.tile([0.0, 1.0], 10)  # context c0 is always 0, c1 always 1
    row = summarize_scores(rows("A", values), baselines=[]).iloc[0]
    assert row["low"] == row["high"] == 0.5
    assert row["scope"] == "these contexts only"


@pytest.mark.parametrize("conditions", [1, 5])
def test_with_six_contexts_it_is_students_interval_of_their_means(conditions: int) -> None:
    of_context = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    spread = np.linspace(-1, 1, conditions) if conditions > 1 else np.zeros(1)
    values = (of_context[:, None] + spread).T.ravel()
    row = summarize_scores(rows("A", values, contexts=6), baselines=[]).iloc[0]
    low, high = stats.t.interval(0.95, 5, 0.0, stats.sem(of_context))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["scope"] == "further contexts"
    five = summarize_scores(rows("A", values, contexts=5), baselines=[]).iloc[0]
    assert five["scope"] == "these contexts only"


def test_skewness_widens_the_side_of_the_long_tail() -> None:
    values = np.array([0.0, 0.1, 0.2, 0.1, 0.0, 0.2, 0.1, 3.0])
    row = summarize_scores(rows("A", values, contexts=8), baselines=[]).iloc[0]
    low, high = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    assert row["low"] == pytest.approx(low)
    assert row["high"] > high + 0.1


def brute_force(y: np.ndarray, design: np.ndarray, contrast: np.ndarray, cluster: np.ndarray) -> tuple[float, float]:
    """CR2 variance and degrees of freedom with the matrices of Bell and McCaffrey (2002)."""
    left, projection = np.eye(len(y)) - design @ np.linalg.pinv(design), contrast @ np.linalg.pinv(design)
    rows_of = []
    for one in np.unique(cluster):
        at = np.flatnonzero(cluster == one)
        eigenvalues, vectors = np.linalg.eigh(left[np.ix_(at, at)])
        root = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        rows_of.append(left[:, at] @ root @ projection[at])
    a = np.array(rows_of)
    g = a @ a.T
    return float(((a @ y) ** 2).sum()), float(np.trace(g) ** 2 / (g**2).sum())


@pytest.mark.parametrize("n_contexts", [3, 8])
def test_variance_and_degrees_are_those_of_the_matrices(n_contexts: int) -> None:
    rng = np.random.default_rng(n_contexts)
    context = np.repeat(np.arange(n_contexts), rng.integers(2, 12, n_contexts))
    perturbation = np.concatenate([np.arange(n) for n in np.bincount(context)])
    y = rng.exponential(size=len(context))
    each = (context[:, None] == np.arange(n_contexts)).astype(float)
    if n_contexts < ENOUGH:  # around the mean of each context; a perturbation is a cluster
        found = _within_contexts(y[:, None], context, perturbation)
        variance, degrees = brute_force(y, each, each.mean(axis=0), perturbation)
    else:
        found = _clustered(y[:, None], context)
        variance, degrees = brute_force(y, np.ones((len(y), 1)), np.ones(1), context)
    assert (found.variance[0], found.degrees[0]) == pytest.approx((variance, degrees))


def test_lone_conditions_have_an_interval_too() -> None:
    contexts, perturbations = np.array(["a", "a", "a", "b"]), np.array(["p", "q", "r", "p"])
    alone = intervals(np.array([[1.0], [2.0], [3.0], [9.0]]), contexts, perturbations)
    assert alone.low[0] < 3.75 < alone.high[0]
    two = intervals(np.array([[1.0], [2.0]]), np.array(["a", "b"]), np.array(["p", "p"]))
    assert (two.low[0], two.high[0]) == pytest.approx(stats.t.interval(0.95, 1, 1.5, 0.5))


@pytest.fixture(scope="module")
def benchmark_of_nulls() -> object:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "intervals.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_intervals", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nulls_are_excluded_in_3_to_7_of_100(benchmark_of_nulls) -> None:
    """Of every null whose conditions are not strongly skewed, wherever something is claimed beyond its contexts."""
    nulls = [null for null in benchmark_of_nulls.NULLS if "lognormal 1" not in null.name]
    assert len(nulls) >= 18
    for null in nulls:
        rates = benchmark_of_nulls.rates(null, repeats=4000, others=False)
        assert rates.scope == ("further contexts" if len(null.sizes) >= 6 else "these contexts only"), null.name
        assert 0.029 < rates.missed < 0.07, (null.name, rates)
        assert rates.claimed == (rates.missed if len(null.sizes) >= 6 else 0.0)


def test_strong_skewness_is_excluded_less_often_than_by_percentiles(benchmark_of_nulls) -> None:
    for null in (null for null in benchmark_of_nulls.NULLS if "lognormal 1" in null.name):
        rates = benchmark_of_nulls.rates(null, repeats=2000)
        assert rates.missed < 0.14, null.name
        assert rates.missed < 0.65 * rates.percentile, null.name


def test_pairing_sees_what_marginal_intervals_hide() -> None:
    hard = np.random.default_rng(1).normal(0, 1, 40)
    table = pd.concat([rows("A", hard + 0.05), rows("B", hard), rows("C", hard[::-1])])
    found = paired_differences(table, baselines=["B", "C", "absent"]).set_index(["model", "baseline"])
    assert found.loc[("A", "B"), "difference"] == pytest.approx(0.05)
    assert found.loc[("A", "B"), "verdict"] == "beats"
    assert found.loc[("B", "C"), "verdict"] == "ties"
    assert ("B", "B") not in found.index
    summary = summarize_scores(table, baselines=["B", "C"]).set_index("model")
    assert summary.loc["A", "beats"] == "B"
    assert summary.loc["A", "ties"] == "C"
    assert summary.loc["B", "loses_to"] == ""


def test_rounding_wins_nothing() -> None:
    values = np.random.default_rng(2).normal(0, 1, 20)
    found = paired_differences(pd.concat([rows("A", values + 2e-7), rows("B", values)]), baselines=["B"])
    assert found["verdict"].tolist() == ["ties"]


@pytest.mark.parametrize(
    ("metric", "better", "worse"),
    [("mse", 0.1, 0.3), ("pearson_delta", 0.3, 0.1), ("amplitude", 1.1, 0.7), ("amplitude", 0.9, 1.3)],
)
def test_directions(metric: str, better: float, worse: float, noise: np.ndarray) -> None:
    table = pd.concat([rows("good", better + noise / 10, metric), rows("bad", worse + noise / 10, metric)])
    found = paired_differences(table, baselines=["good", "bad"]).set_index("model")["verdict"]
    assert (found["good"], found["bad"]) == ("beats", "loses")
    assert summarize_scores(table, baselines=["bad"]).set_index("model")["rank"].to_dict() == {"good": 1.0, "bad": 2.0}


def test_score_is_unclipped_between_the_better_null_and_the_ceiling(noise: np.ndarray) -> None:
    table = pd.concat(
        [
            rows("NoChange", 0.1 + noise / 50),
            rows("PerturbedMean", 0.3 + noise / 50),
            rows("SplitHalf", 0.8 + noise / 50),
            rows("SplitHalf", 0.8 + noise / 50, seed=1),
            rows("M", 0.9 + noise / 50),
            rows("M (wrong target)", 0.2 + noise / 50),
        ]
    )
    summary = summarize_scores(table, baselines=["NoChange", "PerturbedMean"]).set_index("model")
    assert (summary["null_model"] == "PerturbedMean").all()
    assert summary.loc["M", "score"] == pytest.approx(0.6 / 0.5)
    assert summary.loc["NoChange", "score"] == pytest.approx(-0.2 / 0.5)
    assert summary.loc["M", "ceiling"] == pytest.approx((0.8 + noise / 50).mean())
    assert not summary["cannot_tell"].any()
    assert summary.loc["M", "beats"] == "NoChange, PerturbedMean"
    assert np.isnan(summary.loc[["SplitHalf", "M (wrong target)"], "rank"]).all()
    assert summary.loc["M", "rank"] == 1


def test_a_ceiling_no_higher_than_the_null_tells_nothing(noise: np.ndarray) -> None:
    table = pd.concat([rows("NoChange", 0.5 + noise), rows("SplitHalf", 0.5 + noise[::-1]), rows("M", 0.6 + noise)])
    assert summarize_scores(table, baselines=[])["cannot_tell"].all()


def test_seeds_are_averaged_and_undefined_values_counted() -> None:
    first, second = np.array([1.0, np.nan, 3.0, np.nan]), np.array([2.0, 5.0, 3.0, np.nan])
    row = summarize_scores(pd.concat([rows("A", first), rows("A", second, seed=1)]), baselines=[]).iloc[0]
    assert row["mean"] == pytest.approx((1.5 + 5.0 + 3.0) / 3)
    assert (row["n_conditions"], row["n_undefined"]) == (3, 1)


def test_only_conditions_that_both_define_are_compared() -> None:
    a, b = np.array([1.0, np.nan, 1.0, 9.0]), np.array([0.5, 7.0, 0.5, np.nan])
    row = paired_differences(pd.concat([rows("A", a), rows("B", b)]), baselines=["B"]).iloc[0]
    assert (row["difference"], row["n_conditions"]) == (0.5, 2)


def test_splits_of_one_kind_are_one_group_and_the_order_of_rows_does_not_matter(noise: np.ndarray) -> None:
    table = pd.concat(
        [
            rows("A", noise[:8], split="unseen-context:NK", contexts=1).assign(context="NK"),
            rows("A", noise[8:16], split="unseen-context:B", contexts=1).assign(context="B"),
            rows("A", noise[:6], split="few-shot"),
        ]
    )
    summary = summarize_scores(table, baselines=[]).set_index("split")
    assert set(summary.index) == {"unseen-context", "few-shot"}
    assert summary.loc["unseen-context", "n_conditions"] == 16
    again = summarize_scores(table.sample(frac=1, random_state=0), baselines=[]).set_index("split")
    np.testing.assert_allclose(again.loc[summary.index, "mean"], summary["mean"])


def test_one_condition_gives_no_interval_and_no_verdict() -> None:
    table = pd.concat(
        [
            rows("A", np.array([1.0])),
            rows("NoChange", np.array([0.0])),
            *(rows("SplitHalf", np.array([2.0 + i / 10]), seed=i) for i in range(3)),
        ]
    )
    summary = summarize_scores(table, baselines=["NoChange"]).set_index("model")
    assert np.isnan(summary.loc["A", ["low", "high"]].astype(float)).all()
    assert summary.loc["A", ["beats", "ties", "loses_to"]].tolist() == ["", "", ""]
    assert not summary["cannot_tell"].any()
    assert summary.loc["A", "score"] == pytest.approx(1 / 2.1)


def test_intervals_cover() -> None:
    rng = np.random.default_rng(5)
    table = pd.concat([rows(f"A{i}", rng.normal(0.0, 1.0, 30), contexts=1) for i in range(400)])
    summary = summarize_scores(table, baselines=[])
    assert 0.90 < ((summary["low"] <= 0) & (summary["high"] >= 0)).mean() < 0.97


def test_unknown_metric_and_no_rows() -> None:
    with pytest.raises(SettingsError, match="no metric 'pearson_dleta': did you mean 'pearson_delta'"):
        summarize_scores(rows("A", np.ones(2), "pearson_dleta"), baselines=[])
    assert summarize_scores(rows("A", np.ones(0)), baselines=["A"]).empty
