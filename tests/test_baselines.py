"""The baselines' formulas against a few lines of NumPy, and their values on real data."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.errors import ModelError, SettingsError
from cycseq.models import build_model
from cycseq.models.baselines.bilinear import Bilinear
from cycseq.models.baselines.ridge import Ridge
from cycseq.models.cells import draw, rescaled, shifted_cells
from cycseq.models.parts_ridge import RELATIVE_PENALTIES, PartsRidge
from cycseq.preparation.pseudobulk import Responses

GENES = [f"G{i}" for i in range(1, 31)]


def made(n_contexts=4, perturbations=("G1", "G2", "G3", "G4", "G5", "G1+G2"), seed=0, spread=0.2) -> Responses:
    """Responses without cells: each perturbation has an effect of its own, each context an amplitude."""
    rng = np.random.default_rng(seed)
    effect = {p: rng.normal(size=len(GENES)) for p in perturbations}
    conditions, delta = [], []
    for c in range(n_contexts):
        for p in perturbations:
            conditions.append(Condition(f"c{c}", p))
            delta.append(effect[p] * (1 + 0.3 * c) + spread * rng.normal(size=len(GENES)))
    controls = {f"c{c}": rng.uniform(1, 3, len(GENES)).astype(np.float32) for c in range(n_contexts)}
    delta = np.array(delta, dtype=np.float32)
    return Responses(tuple(conditions), delta, np.full_like(delta, 0.01), rng.integers(20, 90, len(delta)), controls)


def taught(train: Responses) -> tuple[Effects, dict[str, np.ndarray]]:
    """What a model's `learn` is given."""
    effects = Effects.from_arrays(
        train.delta, train.conditions, GENES, scale="log1p", n_cells=[float(n) for n in train.n_cells]
    )
    return effects, train.control_mean


def without(train: Responses, left_out) -> Responses:
    """The responses less the conditions for which `left_out` is true."""
    kept = np.array([not left_out(c) for c in train.conditions])
    conditions = tuple(c for c, k in zip(train.conditions, kept, strict=True) if k)
    return Responses(conditions, train.delta[kept], train.noise[kept], train.n_cells[kept], train.control_mean)


def of(train: Responses, context: str, perturbation: str) -> np.ndarray:
    return train.delta[train.conditions.index(Condition(context, perturbation))]


def fit(name: str, train: Responses, **chosen):
    """A model fitted on responses: cells whose means are exactly those."""
    profiles = [train.control_mean[c] for c in train.control_mean]
    labels = [(c, "control") for c in train.control_mean]
    for i, c in enumerate(train.conditions):
        profiles += [train.control_mean[c.context] + train.delta[i]] * 2
        labels += [tuple(c)] * 2
    obs = pd.DataFrame(
        [(*label, "b") for label in labels], columns=["context", "perturbation", "batch"], dtype="category"
    )
    obs.index = [f"cell{i}" for i in range(len(obs))]
    cells = ad.AnnData(np.array(profiles, dtype=np.float32), obs, pd.DataFrame(index=GENES))
    return build_model(name, chosen).fit(PerturbationData(cells, scale="log1p"))


def shift(model, train: Responses, context: str, perturbation: str) -> np.ndarray:
    return model.shift(Condition(context, perturbation), train.control_mean[context])


def test_perturbed_mean_is_the_plain_mean_of_the_context_or_of_all():
    train = without(made(), lambda c: c.context == "c3" or c == ("c1", "G2"))
    model = fit("PerturbedMean", train)
    own = np.mean([of(train, *c) for c in train.conditions if c.context == "c1"], axis=0)
    np.testing.assert_allclose(shift(model, train, "c1", "G2"), own, atol=1e-5)
    np.testing.assert_allclose(shift(model, train, "c3", "any"), train.delta.mean(axis=0), atol=1e-5)


def test_additive_sums_and_matching_mean_averages_the_parts():
    train = without(made(), lambda c: (c.context == "c3" and c.perturbation != "G1") or c.perturbation == "G1+G2")
    g1 = of(train, "c3", "G1")
    g2 = np.mean([of(train, f"c{i}", "G2") for i in range(3)], axis=0)
    additive, matching = fit("Additive", train), fit("MatchingMean", train)
    np.testing.assert_allclose(shift(additive, train, "c3", "G1+G2"), g1 + g2, atol=1e-5)
    np.testing.assert_allclose(shift(additive, train, "c3", "G2"), g2, atol=1e-5)
    np.testing.assert_allclose(shift(matching, train, "c3", "G1+G2"), (g1 + g2) / 2, atol=1e-5)
    np.testing.assert_allclose(shift(matching, train, "c3", "G1+X"), g1, atol=1e-5)  # c3's mean is G1 alone
    with pytest.raises(ModelError, match="'c3:G1\\+X': 'X' was measured alone in no training context"):
        shift(additive, train, "c3", "G1+X")


@pytest.mark.parametrize("weighting", ["equal", "cells", "nearness"])
def test_context_additive_fits_its_amplitude_by_leaving_contexts_out(weighting):
    full = made()
    train = without(full, lambda c: c.context == "c3")
    model = build_model("ContextAdditive", {"weighting": weighting})
    _, facts = model.learn(*taught(train), seed=0)
    profiles = np.array([train.control_mean[f"c{i}"] for i in range(3)], dtype=float)
    width = np.median([np.linalg.norm(profiles[i] - profiles[j]) for i, j in ((0, 1), (0, 2), (1, 2))])

    def weighted(contexts, profile, p):
        n = [train.n_cells[train.conditions.index(Condition(c, p))] for c in contexts]
        distance = [np.linalg.norm(train.control_mean[c].astype(float) - profile) for c in contexts]
        weights = {
            "equal": np.ones(len(n)),
            "cells": n,
            "nearness": np.exp(-(np.array(distance) ** 2) / (2 * width**2)),
        }
        return np.average([of(train, c, p) for c in contexts], axis=0, weights=weights[weighting])

    x, y = [], []
    for context, p in train.conditions:
        x.append(weighted([f"c{i}" for i in range(3) if f"c{i}" != context], train.control_mean[context], p))
        y.append(of(train, context, p))
    slope = np.vdot(x, y) / np.vdot(x, x)
    assert facts["amplitude"] == pytest.approx(slope, rel=1e-4)
    fitted = fit("ContextAdditive", train, amplitude=1.0, weighting="equal")
    plain = np.mean([of(train, f"c{i}", "G1+G2") for i in range(3)], axis=0)
    np.testing.assert_allclose(shift(fitted, full, "c3", "G1+G2"), plain, atol=1e-5)
    with pytest.raises(ModelError, match="'c3:G2\\+G3': no training context has 'G2\\+G3'"):
        shift(fitted, full, "c3", "G2+G3")


def test_bilinear_is_the_published_formula():
    train = made(n_contexts=1)
    model = Bilinear(n_components=3, penalty=0.1)
    arrays, _ = model.learn(*taught(train), seed=0)
    profiles = np.vstack([train.control_mean["c0"], train.control_mean["c0"] + train.delta]).astype(float)
    centred = (profiles - profiles.mean(axis=1, keepdims=True)).T
    u, s, _ = np.linalg.svd(centred - centred.mean(axis=0), full_matrices=False)
    g = u[:, :3] * s[:3]
    place = {gene: i for i, gene in enumerate(GENES)}
    p = np.array([sum(g[place[part]] for part in c.parts) for c in train.conditions])
    y = train.delta.T.astype(float)
    b = y.mean(axis=1, keepdims=True)
    ridge = 0.1 * np.eye(3)
    k = np.linalg.inv(g.T @ g + ridge) @ g.T @ (y - b) @ p @ np.linalg.inv(p.T @ p + ridge)
    wanted = g @ k @ g[place["G7"]] + b[:, 0]
    got = fit("Bilinear", train, n_components=3, penalty=0.1)
    np.testing.assert_allclose(shift(got, train, "c0", "G7"), wanted, atol=2e-3)
    np.testing.assert_allclose(arrays["map"] @ arrays["features"][place["G7"]] + b[:, 0], wanted, atol=1e-4)


def test_features_recover_a_response_that_is_linear_in_them(tmp_path):
    rng = np.random.default_rng(1)
    names = [f"G{i}" for i in range(1, 25)]
    features = rng.normal(size=(24, 3))
    direction = rng.normal(size=(3, len(GENES)))
    np.savez(tmp_path / "f.npz", genes=np.array(names), features=features)
    base = rng.uniform(5, 6, len(GENES)).astype(np.float32)
    delta = (features[:20] @ direction).astype(np.float32)
    train = Responses(tuple(Condition("c", n) for n in names[:20]), delta, delta * 0, np.full(20, 9), {"c": base})
    truth = features[20:] @ direction
    for name, chosen in (("Ridge", {}), ("Ridge", {"encoding": "features"}), ("Bilinear", {"n_components": 20})):
        model = fit(name, train, features=tmp_path / "f.npz", **chosen)
        got = np.array([shift(model, train, "c", n) for n in names[20:]])
        assert np.corrcoef(got.ravel(), truth.ravel())[0, 1] > 0.9, name
        with pytest.raises(ModelError, match=r"'G29' has no row in the features of f\.npz"):
            shift(model, train, "c", "G29")


def test_nearest_perturbation_averages_its_neighbours(tmp_path):
    names = [f"G{i}" for i in range(1, 7)]
    np.savez(tmp_path / "f.npz", genes=np.array(names), features=np.array([[0.0], [1], [2], [10], [11], [2.4]]))
    train = made(n_contexts=2, perturbations=names[:5])
    model = fit("NearestPerturbation", train, features=tmp_path / "f.npz", k=2)
    np.testing.assert_allclose(
        shift(model, train, "c1", "G6"), (of(train, "c1", "G3") + of(train, "c1", "G2")) / 2, atol=1e-5
    )
    with pytest.raises(ModelError, match="'G7' has no row"):
        shift(model, train, "c1", "G7")
    with pytest.raises(SettingsError, match=r"--model\.k is 0.*1 or more"):
        fit("NearestPerturbation", train, features=tmp_path / "f.npz", k=0)


def test_nearest_perturbation_chooses_the_number_that_errs_least_on_those_left_out(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"P{i}" for i in range(12)]
    group = np.arange(12) // 3  # three of a kind: two neighbours say all
    np.savez(tmp_path / "f.npz", genes=np.array(names), features=group[:, None] * 10.0 + rng.normal(size=(12, 1)))
    kind = rng.normal(size=(4, len(GENES))) * 3
    delta = (kind[group] + rng.normal(size=(12, len(GENES)))).astype(np.float32)
    base = {"c": np.full(len(GENES), 20, dtype=np.float32)}
    train = Responses(tuple(Condition("c", n) for n in names), delta, delta * 0, np.full(12, 9), base)
    assert fit("NearestPerturbation", train, features=tmp_path / "f.npz").learned.facts["k"] == 2


@pytest.mark.parametrize("n_parts", [0, 3, 4])  # none, some that conditions share, and one of each condition alone
@pytest.mark.parametrize("by", ["context", "perturbation"])
def test_ridge_chooses_its_penalty_as_if_it_were_fitted_again_without_each_group(by, n_parts):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 3) if by == "context" else np.tile(np.arange(3), 4)
    parts = np.eye(4)[np.arange(12) // 3] if n_parts == 4 else (rng.random(size=(12, n_parts)) < 0.5).astype(float)
    z, y = np.hstack([parts, rng.normal(size=(12, 5))]), rng.normal(size=(12, 7))
    y += z @ rng.normal(size=(n_parts + 5, 7))
    unit = np.square(z - z.mean(axis=0)).sum() / len(z)
    penalties = np.eye(n_parts + 5) * unit

    def errors(penalty):
        total = 0.0
        for g in np.unique(groups):
            kept = groups != g
            centre, b = z[kept].mean(axis=0), y[kept].mean(axis=0)
            zc = z[kept] - centre
            w = np.linalg.solve(zc.T @ zc + penalty * penalties, zc.T @ (y[kept] - b))
            total += np.square(y[~kept] - b - (z[~kept] - centre) @ w).sum()
        return total

    regression = PartsRidge.of(z, n_parts)
    penalty = regression.choose_penalty(y, groups)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    expected = [errors(p) for p in RELATIVE_PENALTIES]
    np.testing.assert_allclose(regression._errors(members, y), expected, rtol=1e-8)
    np.testing.assert_allclose(sum(regression._errors_again(group, y) for group in members), expected, rtol=1e-8)
    assert penalty == RELATIVE_PENALTIES[np.argmin(expected)]
    assert 1e-3 < penalty < 1e4
    zc = z - z.mean(axis=0)
    wanted = np.linalg.solve(zc.T @ zc + penalty * penalties, zc.T @ (y - y.mean(axis=0)))
    weights = regression.at(penalty).weights(y)
    np.testing.assert_allclose(np.concatenate(weights)[:-1], wanted, atol=1e-8)
    np.testing.assert_allclose(regression.predict(*weights), y.mean(axis=0) + zc @ wanted, atol=1e-8)


def test_ridge_leaves_out_what_it_is_asked_to_predict():
    full = made()
    conditions = full.conditions
    by_context = [c.context for c in conditions]
    assert (
        Ridge()._groups(conditions, waiting={"new"}).tolist() == np.unique(by_context, return_inverse=True)[1].tolist()
    )
    by_perturbation = [c.perturbation for c in conditions]
    assert (
        Ridge()._groups(conditions, waiting=set()).tolist()
        == np.unique(by_perturbation, return_inverse=True)[1].tolist()
    )
    model = fit("Ridge", without(full, lambda c: c.context == "c3"), encoding="one-hot")
    got = shift(model, full, "c3", "G3")
    plain = np.mean([of(full, f"c{i}", "G3") for i in range(3)], axis=0)
    assert np.corrcoef(got, plain)[0, 1] > 0.95


@pytest.mark.parametrize("name", ["Bilinear", "NearestPerturbation"])
def test_without_features_a_model_says_what_is_missing(name):
    train = made(perturbations=("stim",))
    with pytest.raises(ModelError, match=f"{name} cannot learn: .*without: stim.*--model.features"):
        fit(name, train)


def test_ridge_does_not_answer_from_features_that_taught_it_nothing():
    train = made(perturbations=("stim", "G1"))
    model = fit("Ridge", train)
    assert np.isfinite(shift(model, train, "c0", "stim")).all()
    with pytest.raises(ModelError, match="'G2' has no row"):
        shift(model, train, "c0", "G2")


@given(
    arrays(np.float32, (7, 5), elements=st.floats(0, 5, width=32)),
    arrays(np.float32, 5, elements=st.floats(-6, 6, width=32)),
)
@settings(max_examples=60, deadline=None)
def test_shifted_cells_have_the_mean_they_should_and_none_is_below_zero(cells, delta):
    mean = cells.mean(axis=0)
    out = shifted_cells(cells, mean, delta)
    np.testing.assert_allclose(out.mean(axis=0), np.maximum(mean + delta, 0), rtol=1e-4, atol=1e-5)
    assert out.min() >= 0
    kept = rescaled(sp.csr_matrix(cells[:3]), mean)
    np.testing.assert_allclose(kept.toarray().mean(axis=0), mean, rtol=1e-4, atol=1e-5)


def test_control_cells_that_are_not_shifted_stay_as_they_are(small_data):
    model = build_model("NoChange").fit(small_data)
    predicted = model.predict(small_data.controls(), [Condition("K562", "G1")])
    assert sp.issparse(predicted.x)
    assert (predicted.x != small_data.controls(["K562"]).x).nnz == 0


def test_each_control_cell_is_drawn_equally_often():
    rows = np.array([3, 5, 8])
    drawn = draw(rows, 7, np.random.default_rng(0))
    assert sorted(np.unique(drawn, return_counts=True)[1]) == [2, 2, 3]
    assert draw(rows, None, np.random.default_rng(0)) is rows


def test_validation_conditions_are_learned_from_as_well(small_data):
    held = [Condition("RPE1", "G1")]
    train = small_data.subset(c for c in small_data.conditions() if c not in held)
    model = build_model("Additive").fit(train, small_data.subset(held))
    whole = build_model("Additive").fit(small_data)
    first, second = (m.predict(small_data.controls(), held).x for m in (model, whole))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_responses_of_the_made_cells_are_those_that_were_meant():
    """The tests above stand on this."""
    train = made()
    learned = fit("Additive", train).learned
    order = sorted(range(len(train.conditions)), key=lambda i: train.conditions[i])
    assert learned.facts["conditions"] == [list(train.conditions[i]) for i in order]
    np.testing.assert_allclose(learned.arrays["delta"], train.delta[order], atol=1e-5)
