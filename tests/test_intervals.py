"""Intervals, ranks, wins and calibrated scores against known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cycseq.errors import SettingsError
from cycseq.score.intervals import paired_differences, summarise


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


def test_interval_is_that_of_the_mean(noise: np.ndarray) -> None:
    table = summarise(rows("A", 0.5 + noise, contexts=1), baselines=[], draws=4000)
    row = table.iloc[0]
    expected = stats.bootstrap((0.5 + noise,), np.mean, n_resamples=4000, method="percentile", random_state=1)
    assert row["mean"] == pytest.approx((0.5 + noise).mean())
    np.testing.assert_allclose([row["low"], row["high"]], expected.confidence_interval, atol=0.004)
    assert (row["n_conditions"], row["n_contexts"], row["n_undefined"]) == (60, 1, 0)


def test_conditions_are_resampled_within_their_context() -> None:
    values = np.tile([0.0, 1.0], 10)  # context c0 is always 0, c1 always 1
    row = summarise(rows("A", values), baselines=[]).iloc[0]
    assert row["low"] == row["high"] == 0.5


def test_lone_conditions_of_many_contexts_are_resampled_together() -> None:
    values = np.linspace(0, 1, 8)
    row = summarise(rows("A", values, contexts=8), baselines=[]).iloc[0]
    assert row["low"] < 0.35 < 0.65 < row["high"]


def test_pairing_sees_what_marginal_intervals_hide() -> None:
    hard = np.random.default_rng(1).normal(0, 1, 40)
    table = pd.concat([rows("A", hard + 0.05), rows("B", hard), rows("C", hard[::-1])])
    found = paired_differences(table, baselines=["B", "C", "absent"]).set_index(["model", "baseline"])
    assert found.loc[("A", "B"), "difference"] == pytest.approx(0.05)
    assert found.loc[("A", "B"), "verdict"] == "beats"
    assert found.loc[("B", "C"), "verdict"] == "ties"
    assert ("B", "B") not in found.index
    summary = summarise(table, baselines=["B", "C"]).set_index("model")
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
    assert summarise(table, baselines=["bad"]).set_index("model")["rank"].to_dict() == {"good": 1.0, "bad": 2.0}


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
    summary = summarise(table, baselines=["NoChange", "PerturbedMean"]).set_index("model")
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
    assert summarise(table, baselines=[])["cannot_tell"].all()


def test_seeds_are_averaged_and_undefined_values_counted() -> None:
    first, second = np.array([1.0, np.nan, 3.0, np.nan]), np.array([2.0, 5.0, 3.0, np.nan])
    row = summarise(pd.concat([rows("A", first), rows("A", second, seed=1)]), baselines=[]).iloc[0]
    assert row["mean"] == pytest.approx((1.5 + 5.0 + 3.0) / 3)
    assert (row["n_conditions"], row["n_undefined"]) == (3, 1)


def test_only_conditions_that_both_define_are_compared() -> None:
    a, b = np.array([1.0, np.nan, 1.0, 9.0]), np.array([0.5, 7.0, 0.5, np.nan])
    row = paired_differences(pd.concat([rows("A", a), rows("B", b)]), baselines=["B"]).iloc[0]
    assert (row["difference"], row["n_conditions"]) == (0.5, 2)


def test_splits_of_one_kind_are_one_group_and_the_order_of_rows_does_not_matter(noise: np.ndarray) -> None:
    table = pd.concat(
        [
            rows("A", noise[:8], split="unseen-context:NK"),
            rows("A", noise[8:16], split="unseen-context:B"),
            rows("A", noise[:6], split="few-shot"),
        ]
    )
    summary = summarise(table, baselines=[]).set_index("split")
    assert set(summary.index) == {"unseen-context", "few-shot"}
    assert summary.loc["unseen-context", "n_conditions"] == 16
    again = summarise(table.sample(frac=1, random_state=0), baselines=[]).set_index("split")
    np.testing.assert_allclose(again.loc[summary.index, "mean"], summary["mean"])


def test_one_condition_gives_no_interval_and_no_verdict() -> None:
    table = pd.concat(
        [
            rows("A", np.array([1.0])),
            rows("NoChange", np.array([0.0])),
            *(rows("SplitHalf", np.array([2.0 + i / 10]), seed=i) for i in range(3)),
        ]
    )
    summary = summarise(table, baselines=["NoChange"]).set_index("model")
    assert np.isnan(summary.loc["A", ["low", "high"]].astype(float)).all()
    assert summary.loc["A", ["beats", "ties", "loses_to"]].tolist() == ["", "", ""]
    assert not summary["cannot_tell"].any()
    assert summary.loc["A", "score"] == pytest.approx(1 / 2.1)


def test_intervals_cover() -> None:
    rng = np.random.default_rng(5)
    table = pd.concat([rows(f"A{i}", rng.normal(0.0, 1.0, 30), contexts=1) for i in range(400)])
    summary = summarise(table, baselines=[], draws=500)
    assert 0.90 < ((summary["low"] <= 0) & (summary["high"] >= 0)).mean() < 0.97


def test_unknown_metric_and_no_rows() -> None:
    with pytest.raises(SettingsError, match="no metric 'pearson_dleta': did you mean 'pearson_delta'"):
        summarise(rows("A", np.ones(2), "pearson_dleta"), baselines=[])
    assert summarise(rows("A", np.ones(0)), baselines=["A"]).empty
