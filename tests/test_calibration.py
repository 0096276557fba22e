"""Split halves and wrong targets."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.score.ceiling import INTERPOLATED, POSITIVE_CONTROLS, SPLIT_HALF, interpolate, split_half, wrong_target
from cycseq.score.evaluate import COLUMNS, evaluate
from cycseq.score.metrics import chosen
from cycseq.score.metrics.population import Population
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.score.summary import summarize_scores

MEANS = EvaluateSettings(metrics="means")


def test_halves_of_the_real_cells_predict_each_other(small_data: PerturbationData) -> None:
    chosen = "pearson_delta,mse_ratio,edistance,c2st_auc,retrieval_cosine,deg_direction"
    two = small_data.subset(c for c in small_data.conditions() if c.context != "THP1")
    side = Reference.of(two, settings=EvaluateSettings(metrics=chosen, components=5))
    table = split_half(side, split="s", repeats=3)
    assert tuple(table.columns) == COLUMNS
    assert set(table["model"]) == set(POSITIVE_CONTROLS)
    assert set(table["seed"]) == {0, 1, 2}
    of_half = table["model"] == SPLIT_HALF
    assert of_half.sum() == 3 * 8 * 6
    assert set(table.loc[~of_half, "metric"]) == {"pearson_delta", "mse_ratio", "retrieval_cosine", "deg_direction"}
    wide = table[of_half].pivot_table(index=["context", "perturbation"], columns="metric", values="value")
    assert (wide["pearson_delta"] > 0.5).all()
    assert (wide["mse_ratio"] < 1.0).all()
    assert (wide["deg_direction"] > 0.9).all()
    assert abs(wide["edistance"].mean()) < 0.2
    assert abs(wide["c2st_auc"].mean() - 0.5) < 0.08
    assert wide["retrieval_cosine"].mean() > 0.9


def test_one_half_is_scored_as_a_prediction_of_the_other(small_data: PerturbationData) -> None:
    condition = Condition("K562", "G2")
    rows = small_data.rows(condition)
    shuffled = np.random.default_rng([4, 0, *str(condition).encode()]).permutation(rows)
    x = small_data.x.toarray()
    first, second = x[shuffled[:20]].mean(0), x[shuffled[20:40]].mean(0)
    kept = np.arange(60) != 1
    side = Reference.of(small_data, settings=EvaluateSettings(metrics="mse,pearson_delta"))
    table = split_half(side, repeats=5, conditions=[condition])
    assert set(zip(table["context"], table["perturbation"], strict=True)) == {tuple(condition)}
    got = table[(table["seed"] == 4) & (table["model"] == SPLIT_HALF)].set_index("metric")["value"]
    control = small_data.controls(["K562"]).x.toarray().mean(0)
    assert np.isclose(got["mse"], ((first - second)[kept] ** 2).mean(), rtol=1e-4)
    assert np.isclose(
        got["pearson_delta"], np.corrcoef((first - control)[kept], (second - control)[kept])[0, 1], rtol=1e-4
    )


def test_too_few_cells_have_no_halves(small_data: PerturbationData) -> None:
    few = small_data.rows(Condition("RPE1", "G3"))[3:]
    data = small_data.take(np.setdiff1d(np.arange(small_data.n_cells), few))
    table = split_half(Reference.of(data, settings=MEANS), repeats=2)
    few_rows = (table["context"] == "RPE1") & (table["perturbation"] == "G3")
    assert table.loc[few_rows, "value"].isna().all()
    assert few_rows.sum() == 2 * 2 * len(chosen(MEANS.metrics))
    assert table.loc[~few_rows & (table["metric"] == "mse"), "value"].notna().all()


def predicted_from(data: PerturbationData) -> PerturbationData:
    obs = data.adata.obs.copy()
    obs.index = [f"predicted/{i}" for i in range(len(obs))]
    x = (data.x.toarray() * 0.95).astype(np.float32)
    return PerturbationData(ad.AnnData(x, obs=obs, var=data.adata.var.copy()), "log1p")


def test_wrong_targets_are_other_perturbations_predictions(small_data: PerturbationData) -> None:
    predicted = predicted_from(small_data)
    side = Reference.of(
        small_data, settings=EvaluateSettings(metrics="mse,retrieval_cosine,edistance,mmd", components=5)
    )
    wrong = wrong_target(predicted, side, model="M", split="s", seed=1)
    right = evaluate(predicted, side, model="M", split="s", seed=1)
    assert set(wrong["model"]) == {"M (wrong target)"}
    assert set(wrong["metric"]) == {"mse", "retrieval_cosine", "edistance"}  # of the headline, edistance too
    keys = ["context", "perturbation", "metric"]
    both = right.merge(wrong, on=keys, suffixes=("", "_wrong"))
    retrieval = both[both["metric"] == "retrieval_cosine"]
    assert (retrieval["value"] > retrieval["value_wrong"]).all()
    mse = both[both["metric"] == "mse"]
    assert (mse["value"] < mse["value_wrong"]).all()
    pd.testing.assert_frame_equal(wrong, wrong_target(predicted, side, model="M", split="s", seed=1))
    costly = wrong_target(predicted, side, model="M", costly=True)
    assert set(costly["metric"]) == {"mse", "retrieval_cosine", "edistance", "mmd"}


def test_a_single_perturbation_has_no_wrong_target(small_data: PerturbationData) -> None:
    one = small_data.subset([Condition("K562", "G1"), Condition("RPE1", "G1"), Condition("RPE1", "G2")])
    side = Reference.of(one, small_data.controls(), settings=MEANS)
    table = wrong_target(predicted_from(one), side, model="M")
    assert table.loc[table["context"] == "K562", "value"].isna().all()
    assert table.loc[(table["context"] == "RPE1") & (table["metric"] == "mse"), "value"].notna().all()


def test_an_interpolated_duplicate_is_as_near_to_the_truth_as_one_weight_brings_it() -> None:
    rng = np.random.default_rng(0)
    n_cells, typical = 10, np.ones((50, 200))
    kept = np.ones(typical.shape, dtype=bool)
    for size in (0.0, 0.2, 1.0):
        truth = typical + rng.normal(0.0, size, typical.shape)
        measured = truth + rng.normal(0.0, 1.0 / np.sqrt(n_cells), typical.shape)
        one = np.ones_like(typical)
        duplicate = Population(typical[:1], (np.arange(1),) * 50, np.full(50, n_cells), measured, one, one)
        found = interpolate(duplicate, typical, kept).mean
        away = measured - typical
        best = ((truth - typical) * away).sum(1, keepdims=True) / (away**2).sum(1, keepdims=True)
        errors = [((mean - truth) ** 2).mean() for mean in (found, typical + best * away, measured, typical)]
        assert errors[0] < 1.05 * errors[1] + 0.001
        assert errors[0] < min(errors[2:]) + 0.001


def test_the_interpolated_duplicate_is_the_better_positive_control(small_data: PerturbationData) -> None:
    few = small_data.take(
        np.concatenate([small_data.rows(c)[: 40 if c.is_control else 12] for c in small_data.conditions()])
    )
    side = Reference.of(few, settings=EvaluateSettings(metrics="mse,mse_ratio,pearson_delta"))
    means = split_half(side, repeats=5).groupby(["metric", "model"])["value"].mean().unstack()
    assert means.loc["mse", INTERPOLATED] < 0.9 * means.loc["mse", SPLIT_HALF]
    assert means.loc["mse_ratio", INTERPOLATED] < means.loc["mse_ratio", SPLIT_HALF]


def test_a_summary_says_in_how_many_conditions_a_metric_tells_the_controls_apart() -> None:
    def rows(model: str, metric: str, values: list[float]) -> pd.DataFrame:
        names = [f"P{i}" for i in range(len(values))]
        told = {"model": model, "split": "s", "seed": 0, "context": "c", "perturbation": names, "metric": metric}
        return pd.DataFrame({**told, "value": values})

    table = pd.concat(
        [
            *(rows("NoChange", metric, [1.0] * 8) for metric in ("mse", "edistance")),
            rows("M", "mse", [0.9] * 8),
            *(rows(SPLIT_HALF, metric, [0.5] * 2 + [2.0] * 6) for metric in ("mse", "edistance")),
            rows(INTERPOLATED, "mse", [0.4] * 6 + [1.1] * 2),
        ]
    )
    summary = summarize_scores(table, baselines=["NoChange"]).set_index(["metric", "model"])
    assert (summary.loc["mse", "discrimination"] == 0.75).all()
    assert (summary.loc["edistance", "discrimination"] == 0.25).all()
    assert np.isnan(summary.loc[("mse", INTERPOLATED), "rank"])
    assert summary.loc[("mse", "M"), "rank"] == 1


def test_half_the_cells_have_no_error_but_noise(small_data: PerturbationData) -> None:
    """Without its noise the ceiling is at 0, with controls that models share or not; the mean squared error is not."""
    controls, settings = small_data.controls(), EvaluateSettings(metrics="mse_ratio,mse_unbiased_norm")

    def means(given: PerturbationData, reference: PerturbationData | None, repeats: int) -> pd.Series:
        side = Reference.of(small_data, given, reference=reference, settings=settings)
        assert all((context.model_control is None) == (reference is None) for context in side.contexts.values())
        table = split_half(side, repeats=repeats)
        return table[table["model"] == SPLIT_HALF].groupby("metric")["value"].mean()

    def parted(seed: int) -> tuple[PerturbationData, PerturbationData, int]:
        shuffled = [np.random.default_rng(seed).permutation(controls.rows(c)) for c in controls.conditions()]
        return *(controls.take(np.sort(np.concatenate([rows[k::2] for rows in shuffled]))) for k in (0, 1)), 1

    for tables in ([means(controls, None, 20)], [means(*parted(seed)) for seed in range(30)]):
        mean = pd.concat(tables, axis=1).mean(axis=1)
        assert abs(mean["mse_unbiased_norm"]) < 0.04
        assert mean["mse_ratio"] > 0.2
