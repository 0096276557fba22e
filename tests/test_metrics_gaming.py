"""What simple tricks score, and what metrics must not be moved by."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.models.baselines.no_change import NoChange
from cycseq.models.baselines.perturbed_mean import PerturbedMean
from cycseq.preparation.pseudobulk import responses
from cycseq.score.evaluate import evaluate
from cycseq.score.metrics import GROUPS, METRICS
from cycseq.score.metrics.base import Axes, Comparison, RealContext
from cycseq.score.metrics.population import Population
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings

MEANS = ("retrieval_cosine", "retrieval_l1", "pearson_delta", "cosine_delta", "amplitude", "pearson2_mean", "mse_ratio")
P, G = 4, 12
profiles = arrays(np.float64, (P, G), elements=st.floats(0.0, 5.0, width=32)).filter(
    lambda a: np.ptp(a, axis=1).min() > 0.1
)


def of_means(predicted: np.ndarray, real: np.ndarray, control: np.ndarray) -> Comparison:
    """A comparison of given means, without cells."""

    def population(mean: np.ndarray) -> Population:
        n = len(mean)
        return Population(mean, (np.arange(1),) * n, np.full(n, 9), mean, np.full_like(mean, 0.1), np.ones_like(mean))

    names = tuple(f"P{i}" for i in range(len(real)))
    axes = Axes(np.zeros(G), np.zeros((G, 0)))
    context = RealContext(
        "c",
        names,
        tuple(map(str, range(G))),
        population(real),
        population(control[None]),
        np.ones(real.shape, bool),
        None,
        axes,
    )
    return Comparison(context, np.arange(len(real)), population(predicted))


def values(predicted: np.ndarray, real: np.ndarray, control: np.ndarray) -> dict[str, np.ndarray]:
    comparison = of_means(predicted, real, control)
    return {name: METRICS[name].compute(comparison) for name in MEANS}


@given(profiles, profiles, st.floats(0.25, 4.0))
@settings(max_examples=25, deadline=None)
def test_scaling_a_response_moves_its_amplitude_alone(real: np.ndarray, delta: np.ndarray, factor: float) -> None:
    control = np.linspace(0.5, 2.0, G)
    before, after = values(control + delta, real, control), values(control + factor * delta, real, control)
    np.testing.assert_allclose(after["cosine_delta"], before["cosine_delta"], atol=1e-9)
    np.testing.assert_allclose(after["pearson_delta"], before["pearson_delta"], atol=1e-9)
    np.testing.assert_allclose(after["amplitude"], before["amplitude"] / factor, rtol=1e-9, atol=1e-12)
    apart = _gaps(control + delta, real, control) > 1e-9
    np.testing.assert_array_equal(after["retrieval_cosine"][apart], before["retrieval_cosine"][apart])


def _gaps(predicted: np.ndarray, real: np.ndarray, control: np.ndarray) -> np.ndarray:
    """The smallest difference between the cosines of a prediction with any two real responses."""
    a, b = (
        (m - control) / np.maximum(np.linalg.norm(m - control, axis=1, keepdims=True), 1e-12) for m in (predicted, real)
    )
    return np.diff(np.sort(a @ b.T, axis=1), axis=1).min(axis=1)


@given(profiles, profiles)
@settings(max_examples=25, deadline=None)
def test_squared_pearson_is_blind_to_sign(real: np.ndarray, predicted: np.ndarray) -> None:
    control = np.ones(G)
    mirrored = 10.0 - predicted
    np.testing.assert_allclose(
        values(mirrored, real, control)["pearson2_mean"], values(predicted, real, control)["pearson2_mean"], atol=1e-8
    )


@given(profiles, st.permutations(range(G)), st.permutations(range(P)))
@settings(max_examples=25, deadline=None)
def test_the_order_of_genes_and_conditions_does_not_matter(real: np.ndarray, genes: list[int], rows: list[int]) -> None:
    rng = np.random.default_rng(0)
    control, predicted = rng.random(G), rng.random((P, G))
    before, after = (
        values(predicted, real, control),
        values(predicted[rows][:, genes], real[rows][:, genes], control[genes]),
    )
    for name in set(MEANS) - {"retrieval_cosine", "retrieval_l1"}:
        np.testing.assert_allclose(after[name], before[name][rows], rtol=1e-6, atol=1e-9)


@given(profiles)
@settings(max_examples=25, deadline=None)
def test_the_truth_scores_best(real: np.ndarray) -> None:
    control = np.full(G, 6.0)
    got = values(real, real, control)
    for name in ("pearson_delta", "cosine_delta", "amplitude", "pearson2_mean"):
        np.testing.assert_allclose(got[name], 1.0, atol=1e-9)
    np.testing.assert_allclose(got["mse_ratio"], 0.0, atol=1e-12)


@given(st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_distances_of_one_distribution_are_about_zero_and_grow_with_a_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 80, 6)).astype(np.float32) + 5.0
    means = [
        Population.of(np.concatenate([a, b]), [np.arange(80), np.arange(80, 160)], 80, [[0], [1]])
        for a, b in ((x, y), (y, x + 1))
    ]
    axes = Axes(np.zeros(6), np.eye(6))
    control = Population.of(x, [np.arange(80)], 80, [[2]])

    def compare(shift: float) -> Comparison:
        context = RealContext(
            "c", ("A",), tuple("abcdef"), means[0].take(np.array([0])), control, np.ones((1, 6), bool), None, axes
        )
        shifted = Population.of(y + np.float32(shift), [np.arange(80)], 80, [[3]])
        return Comparison(context, np.array([0]), shifted)

    for name, tolerance in (("edistance", 0.15), ("edistance_genes", 0.15), ("mmd", 0.02)):
        same, near, far = (METRICS[name].compute(compare(shift))[0] for shift in (0.0, 1.0, 2.0))
        assert abs(same) < tolerance
        assert same < near < far


def test_errors_without_noise_are_right_on_average() -> None:
    """Predictions of every size of the true response, with 12 real and 30 control cells: mse is far off, this is not."""
    rng = np.random.default_rng(3)
    n_real, n_control, n_genes, spread = 12, 30, 300, 0.8
    truth = rng.normal(0.0, 0.3, (40, n_genes))
    real = Population(
        np.zeros((1, n_genes)),
        (np.arange(1),) * 40,
        np.full(40, n_real),
        truth + rng.normal(0.0, spread / np.sqrt(n_real), truth.shape),
        np.full(truth.shape, spread**2),
        np.ones(truth.shape),
    )
    for size in (0.0, 0.5, 1.0):
        control_mean = rng.normal(0.0, spread / np.sqrt(n_control), (1, n_genes))
        control = Population(
            np.zeros((1, n_genes)),
            (np.arange(1),),
            np.array([n_control]),
            control_mean,
            np.full((1, n_genes), spread**2),
            np.ones((1, n_genes)),
        )
        context = RealContext(
            "c",
            tuple(f"P{i}" for i in range(40)),
            tuple(map(str, range(n_genes))),
            real,
            control,
            np.ones(truth.shape, bool),
            None,
            Axes(np.zeros(n_genes), np.zeros((n_genes, 0))),
        )
        comparison = Comparison(context, np.arange(40), replace(real, mean=size * truth))
        true_error = ((1 - size) ** 2 * truth**2).mean()
        assert METRICS["mse_unbiased"].compute(comparison).mean() == pytest.approx(true_error, abs=0.003)
        assert METRICS["mse"].compute(comparison).mean() == pytest.approx(true_error + spread**2 / n_real, abs=0.003)
        ratio = METRICS["mse_unbiased_norm"].compute(comparison)
        assert np.nanmean(ratio) == pytest.approx((1 - size) ** 2, abs=0.06)


def test_a_response_within_its_noise_has_no_ratio() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(0.0, np.sqrt(2 * 0.1 / 9), (400, G))
    comparison = of_means(np.zeros((400, G)), noise, np.zeros(G))
    undefined = np.isnan(METRICS["mse_unbiased_norm"].compute(comparison))
    assert undefined.mean() > 0.9
    assert np.isfinite(METRICS["mse_unbiased"].compute(comparison)).all()


def test_constant_and_undefined() -> None:
    control = np.linspace(0.0, 1.0, G)
    real = control + np.random.default_rng(0).random((P, G))
    comparison = of_means(np.tile(control, (P, 1)), real, control)
    got = {
        name: METRICS[name].compute(comparison)
        for name in GROUPS["all"]
        if not METRICS[name].costly and name[:3] not in ("deg", "r2_")
    }
    for name in ("pearson_delta", "cosine_delta", "amplitude_ratio"):
        np.testing.assert_array_equal(got[name], 0.0)
    np.testing.assert_array_equal(got["constant_delta"], 1.0)
    np.testing.assert_array_equal(got["retrieval_cosine"], 0.5)
    np.testing.assert_array_equal(got["mse_ratio"], 1.0)
    assert np.isnan(got["amplitude"]).all()
    assert np.isnan(got["pearson_delta_specific"]).all()
    still = of_means(real, np.tile(control, (P, 1)), control)
    for name in ("pearson_delta", "cosine_delta", "mse_ratio", "amplitude_ratio", "r2_delta"):
        assert np.isnan(METRICS[name].compute(still)).all(), name
    alone = of_means(real[:1], real[:1], control)
    for name in ("retrieval_cosine", "retrieval_l1", "centroid_accuracy"):
        assert np.isnan(METRICS[name].compute(alone)).all(), name


@pytest.fixture
def held_out(small_data: PerturbationData) -> tuple[Reference, PerturbationData, list[Condition]]:
    test = [Condition("K562", p) for p in ("G1", "G1+G2")]
    train = small_data.subset(c for c in small_data.conditions() if c not in test)
    side = Reference.of(small_data.subset(test), train.controls(), training=responses(train))
    return side, train, test


def _scores(model: object, held_out: tuple[Reference, PerturbationData, list[Condition]]) -> pd.DataFrame:
    side, train, test = held_out
    predicted = model.fit(train).predict(train.controls(), test)  # type: ignore[attr-defined]
    return evaluate(predicted, side).pivot(index="perturbation", columns="metric", values="value")


def test_no_change_has_high_r2_of_means_and_nothing_else(
    held_out: tuple[Reference, PerturbationData, list[Condition]],
) -> None:
    got = _scores(NoChange(), held_out)
    np.testing.assert_allclose(got["mse_ratio"], 1.0, atol=1e-4)
    assert (got[["pearson_delta", "cosine_delta", "amplitude_ratio", "deg_direction"]] == 0).all(axis=None)
    assert (got["constant_delta"] == 1).all()
    assert (got["r2_delta"] <= 0).all()


@pytest.mark.parametrize("unseen_context", [False, True])
def test_perturbed_mean_has_nothing_specific(small_data: PerturbationData, *, unseen_context: bool) -> None:
    test = [
        c
        for c in small_data.conditions()
        if c.context == "K562" and not c.is_control and (unseen_context or c.perturbation == "G1")
    ]
    train = small_data.subset(c for c in small_data.conditions() if c not in test)
    side = Reference.of(small_data.subset(test), train.controls(), training=responses(train))
    got = _scores(PerturbedMean(), (side, train, test))
    np.testing.assert_array_equal(got["pearson_delta_specific"], 0.0)
    assert (got["pearson_delta"] > 0.05).all()


def test_no_change_scores_above_095_on_real_data(shared_data) -> None:  # type: ignore[no-untyped-def]
    adata = ad.read_h5ad(shared_data("papalexi2021_thp1_eccite.h5ad"))
    x = adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X
    adata = ad.AnnData(
        np.log1p(x / np.maximum(x.sum(1, keepdims=True), 1) * 1e4).astype(np.float32), adata.obs, adata.var
    )
    adata = adata[adata.obs["perturbation"].isin(["control", "SMAD4", "CAV1", "ATF2"]) & (np.asarray(x.sum(1)) > 0)]
    data = PerturbationData.from_anndata(adata, scale="log1p")
    test = [c for c in data.conditions() if not c.is_control]
    predicted = NoChange().fit(data).predict(data.controls(), test)
    got = evaluate(predicted, data, settings=EvaluateSettings(metrics="r2_mean,mse_ratio"))
    got = got.pivot(index="perturbation", columns="metric", values="value")
    assert (got["r2_mean"] > 0.95).all()
    np.testing.assert_allclose(got["mse_ratio"], 1.0, atol=1e-3)
