"""CycleTransport: pseudo-pairs, the transport, and the model made of them; its counts: `test_depth.py`."""

import sys
from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")

import cycseq  # noqa: E402
from conftest import make_counts  # noqa: E402
from cycseq.data.dataset import Condition, PerturbationData  # noqa: E402
from cycseq.errors import MissingPackageError, SettingsError  # noqa: E402
from cycseq.models import build_model, load_model  # noqa: E402
from cycseq.models.counts.transport.learning import Learner, TransportSettings, learn_transport  # noqa: E402
from cycseq.models.counts.transport.pairs import Pairs  # noqa: E402
from cycseq.models.networks.blocks.batch import Batch, Sizes  # noqa: E402
from cycseq.models.networks.blocks.transport import TransportNet, energy_distance, mean_discrepancy  # noqa: E402

QUICK = {"num_epochs": 2, "width": 8, "n_components": 5}
ADDITIVE = {"mean": "ContextAdditive", "mean_settings": {"amplitude": 1.0}}
"""A mean that is known at once."""
UNSEEN = Condition("RPE1", "G1")


# --- pairs and transport --------------------------------------------------------------------------------------------


def pairs_of(n: int, bend: float, rng: np.random.Generator, n_conditions: int = 5) -> Pairs:
    """Points whose second coordinate tells how far the first one moves beside the mean response of 2."""
    conditions = tuple(Condition("K562", f"G{i}") for i in range(n_conditions))
    condition = np.repeat(np.arange(n_conditions), n)
    control, other = (rng.normal(size=(len(condition), 2)).astype(np.float32) for _ in range(2))
    response = np.array([2.0, 0.0], dtype=np.float32)
    real = other + response
    real[:, 0] += bend * np.tanh(2 * other[:, 1])
    batch = np.tile(np.arange(2), len(condition) // 2)
    return Pairs(conditions, control, control + response, real, condition, batch)


def settings(**changes: float) -> TransportSettings:
    chosen = {"lambda_pair": 1.0, "lambda_cycle": 1.0, "lambda_mmd": 10.0, "lambda_mean": 10.0, "width": 16}
    chosen |= {"num_epochs": 15, "batch_size": 250, "learning_rate": 1e-2, "patience": 15, "held_out": 0.2}
    return TransportSettings(**{**chosen, **changes})


def test_partners_lie_nearest_in_sum_and_within_condition_and_batch():
    rng = np.random.default_rng(0)
    pairs = pairs_of(40, 0.5, rng)
    partner = pairs.partners(pairs.base)
    assert sorted(partner) == list(range(len(partner)))
    assert (pairs.condition[partner] == pairs.condition).all()
    assert (pairs.batch[partner] == pairs.batch).all()
    rows = np.flatnonzero((pairs.condition == 2) & (pairs.batch == 1))
    cost = cdist(pairs.base[rows], pairs.real[rows], "sqeuclidean")
    best = cost[linear_sum_assignment(cost)].sum()
    np.testing.assert_allclose(((pairs.base[rows] - pairs.real[partner[rows]]) ** 2).sum(), best, rtol=1e-5)


def test_distances_are_those_of_their_formulas_over_pairs_of_one_condition():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 9, 3)).astype(np.float32)
    codes = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
    pairs = [(i, j) for i in range(9) for j in range(9) if i != j and codes[i] == codes[j]]
    d = [cdist(a, b) for a, b in ((x, y), (x, x), (y, y))]
    expected = np.mean([2 * d[0][p] - d[1][p] - d[2][p] for p in pairs])
    made, real, labels = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(codes)
    np.testing.assert_allclose(float(energy_distance(made, real, labels)), expected, rtol=1e-4)
    unit = np.mean([d[2][p] ** 2 for p in pairs])
    kernels = [np.mean([np.exp(-(a**2) / (2 * s**2 * unit)) for s in (0.5, 1.0, 2.0)], axis=0) for a in d]
    expected = np.mean([kernels[1][p] + kernels[2][p] - 2 * kernels[0][p] for p in pairs])
    np.testing.assert_allclose(float(mean_discrepancy(made, real, labels)), expected, rtol=1e-3, atol=1e-6)


def test_the_transport_begins_as_no_change_so_that_its_cycle_is_closed():
    pairs = pairs_of(10, 1.0, np.random.default_rng(2))
    net = TransportNet(Sizes(2, 6, 2, 1), width=8)
    batch = Batch(
        torch.zeros(4, 2), torch.ones(4, 1).long(), torch.ones(4).long(), torch.zeros(4).long(), torch.ones(4)
    )
    for way in ("perturb", "restore"):
        assert not net(way, torch.from_numpy(pairs.control[:4]), batch).any()


def test_it_learns_what_cells_do_beside_the_mean_response_and_its_inverse():
    pairs = pairs_of(200, 1.5, np.random.default_rng(3))
    found = learn_transport(pairs, settings(), seed=0, run=None, identity="")
    assert found.facts["helps"]
    assert found.facts["energy_distance"] < 0.2 * found.facts["energy_distance_without"]
    points = np.array([[0.0, -1.5], [0.0, 1.5]], dtype=np.float32)
    moved = found.change("perturb", points, pairs.conditions[0])
    assert moved[1, 0] - moved[0, 0] > 0.6
    assert abs(moved[1, 1] - moved[0, 1]) < 0.3
    arrived = (points + moved + [2.0, 0.0]).astype(np.float32)
    np.testing.assert_allclose(found.change("restore", arrived, pairs.conditions[0]), -moved, atol=0.15)
    assert found.change("perturb", points, Condition("K562", "never")) is None


def test_it_is_validated_on_other_conditions_than_it_is_trained_on():
    pairs = pairs_of(10, 1.0, np.random.default_rng(8))
    assert len(np.unique(pairs.condition[pairs.kept(0.4, seed=0)])) == 2
    assert set(pairs.condition[pairs.kept(0.4, seed=0, given={Condition("K562", "G3")})]) == {3}
    assert len(pairs.kept(0.4, seed=0)) == 20
    everything = pairs.kept(0.4, seed=0, given=set(pairs.conditions))  # which would leave nothing to train on
    assert len(everything) == 20
    assert len(pairs_of(10, 1.0, np.random.default_rng(8), n_conditions=2).kept(0.2, seed=0)) == 4


def test_it_keeps_nothing_where_there_is_nothing_to_learn():
    pairs = pairs_of(60, 0.0, np.random.default_rng(4))
    found = learn_transport(pairs, settings(num_epochs=1, learning_rate=1.0), seed=0, run=None, identity="")
    assert not found.facts["helps"]
    assert found.change("perturb", pairs.control, pairs.conditions[0]) is None


def test_an_interrupted_training_goes_on_to_the_same_transport(tmp_path, monkeypatch):
    pairs, wanted = pairs_of(30, 1.0, np.random.default_rng(5)), settings(num_epochs=4)
    straight = learn_transport(pairs, wanted, seed=0, run=tmp_path / "straight", identity="a").arrays()
    validate, calls = Learner.validate, []

    def broken(self, net, feeder):
        calls.append(0)
        if len(calls) == 4:  # the first is before training
            raise KeyboardInterrupt
        return validate(self, net, feeder)

    monkeypatch.setattr(Learner, "validate", broken)
    with pytest.raises(KeyboardInterrupt):
        learn_transport(pairs, wanted, seed=0, run=tmp_path / "run", identity="a")
    monkeypatch.setattr(Learner, "validate", validate)
    resumed = learn_transport(pairs, wanted, seed=0, run=tmp_path / "run", identity="a").arrays()
    for name, array in straight.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)


# --- the model ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> PerturbationData:
    counts = PerturbationData.from_anndata(make_counts(cells=60))
    return cycseq.prepare([counts], cycseq.PrepareSettings(genes="all", min_genes=0, min_cells=0))


@pytest.fixture(scope="module")
def train(data) -> PerturbationData:
    return data.subset(c for c in data.conditions() if c != UNSEEN)


@pytest.fixture(scope="module")
def fitted(train):
    return build_model("CycleTransport", QUICK).fit(train, seed=0)


def test_cells_have_the_mean_and_the_posterior_of_the_model_of_means(fitted, train, data):
    kriging = build_model("ConditionKriging").fit(train).predict(data.controls(), [UNSEEN])
    predicted = fitted.predict(data.controls(), [UNSEEN], n_cells=100)
    mean = np.asarray(predicted.x.mean(axis=0, dtype=np.float64)).ravel()
    np.testing.assert_allclose(mean, kriging.cells(UNSEEN).mean(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-6)
    for name in ("posterior_mean", "posterior_sd", "posterior_mean_sd", "posterior_weights", "informative"):
        np.testing.assert_array_equal(predicted.adata.varm[name], kriging.adata.varm[name])
    assert cycseq.data.posterior.changes(predicted, UNSEEN)["sd"].gt(0).all()


def test_cells_have_the_depth_of_their_control_cells_and_few_zeros_are_filled(fitted, data):
    predicted = fitted.predict(data.controls(), [UNSEEN])
    assert sp.issparse(predicted.x)
    assert predicted.provenance()["cells"] == "kept"
    obs, source = predicted.adata.obs, data.adata.obs.loc[predicted.adata.obs["source_cell"]]
    np.testing.assert_array_equal(obs["total_counts"].to_numpy(), source["total_counts"].to_numpy())
    real = data.cells(UNSEEN)
    error = ((predicted.cells(UNSEEN) == 0).mean(axis=0) - (real == 0).mean(axis=0)) ** 2
    assert np.sqrt(error.mean()) < 0.12


def test_control_cells_stay_as_they_are(fitted, data):
    control = Condition("RPE1", "control")
    predicted = fitted.predict(data.controls(), [control])
    np.testing.assert_allclose(predicted.cells(control), data.cells(control), atol=1e-5)


def test_without_counts_cells_are_shifted_and_say_so(train, data):
    def uncounted(d: PerturbationData) -> PerturbationData:
        return PerturbationData(ad.AnnData(d.x, d.adata.obs.drop(columns="total_counts"), d.adata.var), scale=d.scale)

    fitted = build_model("CycleTransport", {**QUICK, **ADDITIVE, "transport": False}).fit(uncounted(train))
    predicted = fitted.predict(data.controls(), [UNSEEN])
    assert predicted.provenance()["cells"] == "shifted"
    assert "prepare the data from counts" in predicted.notes[0]
    assert fitted.learned.facts["transport"] is None


def test_perturbed_cells_go_back_to_the_control_mean(fitted, data):
    perturbed = data.subset([UNSEEN])
    restored = fitted.restored(perturbed, data.controls())
    assert restored.conditions() == (Condition("RPE1", "control"),)
    assert list(restored.adata.obs["source_cell"]) == list(perturbed.adata.obs_names)
    predicted = fitted.predict(data.controls(), [UNSEEN], n_cells=1).cells(UNSEEN)[0]
    change = predicted - data.cells(Condition("RPE1", "control")).mean(axis=0)
    expected = np.maximum(perturbed.moments.mean[0] - change, 0.0)
    mean = np.asarray(restored.x.mean(axis=0)).ravel()
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-4)


def test_the_mean_may_come_from_any_model_but_itself(train, data, tmp_path):
    wanted = {**QUICK, **ADDITIVE, "transport": False}
    fitted = build_model("CycleTransport", wanted).fit(train)
    additive = build_model("ContextAdditive", {"amplitude": 1.0}).fit(train).predict(data.controls(), [UNSEEN])
    fitted.save(tmp_path / "model")
    predicted = load_model(tmp_path / "model").predict(data.controls(), [UNSEEN])
    mean = np.asarray(predicted.x.mean(axis=0, dtype=np.float64)).ravel()
    np.testing.assert_allclose(mean, additive.cells(UNSEEN).mean(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-6)
    with pytest.raises(SettingsError, match="cannot take its means from itself"):
        build_model("CycleTransport", {"mean": "CycleTransport"}).fit(train)


@pytest.mark.parametrize("name", ["n_components", "batch_size", "width"])
def test_settings_that_make_no_sense_are_refused(train, name):
    with pytest.raises(SettingsError, match=f"--model.{name} is 0"):
        build_model("CycleTransport", {name: 0}).fit(train)


def test_without_torch_it_says_how_to_do_without(train, monkeypatch):
    monkeypatch.setitem(sys.modules, "cycseq.models.counts.transport.learning", None)
    with pytest.raises(MissingPackageError, match=r"--model\.transport false"):
        build_model("CycleTransport", {**QUICK, **ADDITIVE}).fit(train)


@pytest.mark.parametrize("n_cells", [1, 2, 3])
def test_a_few_cells_of_one_condition_are_enough(data, n_cells):
    condition = Condition("K562", "G1")
    rows = [*data.rows(Condition("K562", "control")), *data.rows(condition)[:n_cells]]
    few = data.take(np.isin(np.arange(data.n_cells), rows))
    fitted = build_model("CycleTransport", {**QUICK, **ADDITIVE}).fit(few)
    assert not fitted.learned.facts["transport"]["helps"]  # nobody can tell
    mean = np.asarray(fitted.predict(few.controls(), [condition]).x.mean(axis=0, dtype=np.float64)).ravel()
    expected = build_model("ContextAdditive", ADDITIVE["mean_settings"]).fit(few).predict(few.controls(), [condition])
    np.testing.assert_allclose(mean, expected.cells(condition).mean(axis=0, dtype=np.float64), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cells", ["drawn", "kept"])
def test_empty_control_cells_break_nothing(fitted, data, cells):
    controls = data.controls(["RPE1"]).adata.copy()
    controls.X = sp.csr_matrix(controls.shape, dtype=np.float32)
    controls.obs["total_counts"] = 0.0
    predicted = replace(fitted, cells=cells)
    predicted.fitted_ = fitted.learned
    made = predicted.predict(PerturbationData(controls, scale="log1p"), [UNSEEN])
    assert made.provenance()["cells"] == cells
    assert np.isfinite(made.x.data).all()


def test_what_is_loaded_draws_the_same_counts(fitted, data, tmp_path):
    fitted.save(tmp_path / "model")
    first, second = (m.predict(data.controls(), [UNSEEN], seed=3) for m in (fitted, load_model(tmp_path / "model")))
    assert (first.x != second.x).nnz == 0
    np.testing.assert_array_equal(fitted.embed(data), load_model(tmp_path / "model").embed(data))
