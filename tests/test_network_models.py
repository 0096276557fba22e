"""What the networks promise beyond the contract of all models, on small data."""

import builtins
import sys

import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
pytest.importorskip("lightning", reason="training needs lightning: pip install 'cycseq[networks]'")

from cycseq.data.dataset import Condition, PerturbationData  # noqa: E402
from cycseq.errors import MissingPackageError, ModelError  # noqa: E402
from cycseq.models import load_model, model_class  # noqa: E402
from cycseq.models.cells import bounded  # noqa: E402
from cycseq.models.networks.autoencoder import Autoencoder  # noqa: E402
from cycseq.models.networks.blocks.likelihood import counts_of  # noqa: E402
from cycseq.models.networks.vae import VAE  # noqa: E402

HELD = Condition("THP1", "G1")
SMALL = {"hidden": (32,), "latent": 8, "num_epochs": 6}


@pytest.fixture
def counted(small_data) -> PerturbationData:
    """The small data with the library sizes that `cycseq prepare` keeps."""
    least = np.array([row[row > 0].min() for row in np.expm1(small_data.x.toarray().astype(np.float64))])
    small_data.adata.obs["total_counts"] = np.rint(1e4 / least)  # every cell has a gene with one count
    return small_data


@pytest.fixture
def train(small_data) -> PerturbationData:
    return small_data.subset(c for c in small_data.conditions() if c != HELD)


def delta(data: PerturbationData, real: PerturbationData, condition: Condition) -> np.ndarray:
    return data.cells(condition).mean(axis=0) - real.cells(Condition(condition.context, "control")).mean(axis=0)


def likeness(model, data: PerturbationData, condition: Condition) -> float:
    predicted = model.predict(data.controls(), [condition])
    return float(np.corrcoef(delta(predicted, data, condition), delta(data, data, condition))[0, 1])


@pytest.mark.parametrize("kind", [Autoencoder, VAE])
def test_a_condition_that_was_held_out_is_predicted(kind, train, small_data):
    model = kind(num_epochs=30).fit(train)
    likely = likeness(model, small_data, HELD)
    assert likely > 0.75
    other = delta(model.predict(small_data.controls(), [Condition("THP1", "G2")]), small_data, Condition("THP1", "G2"))
    assert np.corrcoef(other, delta(small_data, small_data, HELD))[0, 1] < likely - 0.3


def test_the_published_form_predicts_too(train, small_data):
    model = VAE(conditional=False, nearness=0.0, residual=False, measured=0.0, num_epochs=50).fit(train)
    assert likeness(model, small_data, HELD) > 0.6


def test_reconstruction_is_no_worse_than_pca_of_the_same_size(small_data):
    from sklearn.decomposition import PCA

    kept = np.arange(small_data.n_cells) % 5 == 0
    real = small_data.x.toarray()
    pca = PCA(8).fit(real[~kept])
    yardstick = np.square(pca.inverse_transform(pca.transform(real[kept])) - real[kept]).mean()
    for model in (
        Autoencoder(hidden=(32,), latent=8),
        VAE(hidden=(32,), latent=8, kl_weight=0.01, shortcut=True, num_epochs=50),
    ):
        made = model.fit(small_data.take(~kept)).reconstruct(small_data.take(kept))
        assert np.square(made.x - real[kept]).mean() < 1.02 * yardstick, model.name


def test_the_posterior_does_not_collapse_and_the_units_in_use_are_said(small_data):
    fixed = VAE(hidden=(32,), latent=8, num_epochs=30, shortcut=True).fit(small_data).learned.facts
    published = VAE(hidden=(32,), latent=8, num_epochs=30, shortcut=False, kl_per_gene=False, kl_weight=20.0)
    assert fixed["active_units"] == fixed["latent_units"] == 8
    assert published.fit(small_data).learned.facts["active_units"] <= 2


def test_the_measured_share_alone_is_the_mean_response_of_the_other_contexts(train, small_data):
    model = VAE(measured=1.0, nearness=0.0, **SMALL).fit(train)
    shifts = []
    for context in ("K562", "RPE1"):
        x, obs = train.x.toarray().astype(np.float64), train.adata.obs
        within = obs["context"] == context
        by_batch = [  # both batches have as many cells
            x[within & (obs["perturbation"] == HELD.perturbation) & (obs["batch"] == batch)].mean(axis=0)
            - x[within & (obs["perturbation"] == "control") & (obs["batch"] == batch)].mean(axis=0)
            for batch in ("b0", "b1")
        ]
        shifts.append(np.mean(by_batch, axis=0))
    moved = np.maximum(small_data.cells(Condition("THP1", "control")) + np.mean(shifts, axis=0), 0.0)
    predicted = model.predict(small_data.controls(), [HELD]).cells(HELD)
    np.testing.assert_allclose(predicted.mean(axis=0), moved.mean(axis=0), atol=2e-4)
    pure, half = (delta_of(VAE(measured=share, **SMALL), train, small_data) for share in (0.0, 0.5))
    whole = delta_of(VAE(measured=1.0, **SMALL), train, small_data)
    assert np.abs(pure - whole).max() > 0.1
    assert np.abs(half - (pure + whole) / 2).mean() < 0.2 * np.abs(pure - whole).mean()


def delta_of(model, train: PerturbationData, small_data: PerturbationData) -> np.ndarray:
    return delta(model.fit(train).predict(small_data.controls(), [HELD]), small_data, HELD)


def test_a_combination_takes_the_conditions_of_all_its_parts(small_data):
    model = VAE(**SMALL).fit(small_data.subset(c for c in small_data.conditions() if "+" not in c.perturbation))
    known = [Condition(*pair) for pair in model.learned.facts["shifted"]]
    weights = model.context_weights(Condition("RPE1", "G1+G2"), torch.zeros(2, 8))
    for part in ("G1", "G2"):
        assert sum(w for w, c in zip(weights, known, strict=True) if c.perturbation == part) == pytest.approx(1.0)
    assert known[int(weights.argmax())].context == "RPE1"
    assert not weights[[c.perturbation == "G3" for c in known]].any()


def test_counts_are_had_back_exactly():
    counts = np.random.default_rng(0).poisson(np.geomspace(0.05, 5_000.0, 60), size=(50, 60)).astype(np.float32)
    total = counts.sum(axis=1)
    x = np.log1p(counts / total[:, None] * 1e4).astype(np.float32)
    assert np.array_equal(counts_of(torch.from_numpy(x), torch.from_numpy(total)).numpy(), counts)


@pytest.mark.parametrize(
    ("kind", "likelihood"), [(VAE, "nb"), (VAE, "zinb"), (Autoencoder, "nb"), (Autoencoder, "zinb")]
)
def test_count_likelihoods_make_counts(kind, likelihood, counted):
    train = counted.subset(c for c in counted.conditions() if c != HELD)
    model = kind(likelihood=likelihood, num_epochs=30).fit(train)
    assert likeness(model, counted, HELD) > 0.6
    predicted, real = model.predict(counted.controls(), [HELD]).cells(HELD), counted.cells(HELD)
    assert (predicted == 0).mean() == pytest.approx((real == 0).mean(), abs=0.08)


def test_counts_that_cannot_be_had_back_are_an_error(small_data):
    with pytest.raises(
        ModelError, match=r"'nb' needs counts, but total_counts is not in obs: .*--model.likelihood mse"
    ):
        VAE(likelihood="nb").fit(small_data)
    small_data.adata.obs["total_counts"] = 777.7
    with pytest.raises(ModelError, match="does not give whole counts"):
        VAE(likelihood="nb").fit(small_data)


def test_cells_are_embedded_by_what_was_done_to_them(small_data):
    z = Autoencoder(**SMALL).fit(small_data).embed(small_data)
    assert z.shape == (600, 8)
    assert z.dtype == np.float32
    groups = small_data.condition_codes
    between = np.stack([z[groups == g].mean(axis=0) for g in range(15)]).var(axis=0)
    shuffled = np.random.default_rng(0).permutation(groups)
    chance = np.stack([z[shuffled == g].mean(axis=0) for g in range(15)]).var(axis=0)
    assert between.sum() > 3 * chance.sum()


def test_loading_gives_the_same_predictions_and_embedding(train, small_data, tmp_path):
    model = VAE(**SMALL).fit(train)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    first, second = (m.predict(small_data.controls(), [HELD], n_cells=55, seed=4) for m in (model, loaded))
    assert np.array_equal(first.x, second.x)
    assert np.array_equal(model.embed(small_data), loaded.embed(small_data))


def test_a_context_that_training_never_saw_takes_the_open_place(small_data):
    model = VAE(num_epochs=40).fit(small_data.subset(c for c in small_data.conditions() if c.context != "THP1"))
    assert likeness(model, small_data, HELD) > 0.6


def test_a_perturbation_seen_in_combination_only_is_not_added_up(small_data):
    model = VAE(**SMALL).fit(small_data.subset(c for c in small_data.conditions() if c.perturbation != "G2"))
    with pytest.raises(ModelError, match="'G2' was trained in combinations only"):
        model.predict(small_data.controls(), [Condition("THP1", "G2")])
    assert VAE(prediction="decoding", **SMALL).fit(small_data).predict(small_data.controls(), [HELD]).n_cells == 40


def test_without_torch_the_error_names_the_cure(monkeypatch):
    honest = builtins.__import__

    def without_torch(name, *args, **kwargs):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name=name)
        return honest(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    for module in [name for name in sys.modules if name.startswith("cycseq.models.networks.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingPackageError, match=r"pip install 'cycseq\[networks\]'"):
        model_class("VAE")


def test_sparse_and_dense_cells_train_alike(small_data):
    dense = PerturbationData(small_data.adata.copy(), scale="log1p")
    dense.adata.X = small_data.x.toarray()
    first, second = (Autoencoder(**SMALL).fit(data).learned.facts["best_loss"] for data in (small_data, dense))
    assert sp.issparse(small_data.x)
    assert first == second


def test_a_bound_keeps_the_mean_where_there_is_room():
    cells = np.array([[0.0, 1.0], [9.0, 2.0], [0.0, 3.0]], dtype=np.float32)
    made = bounded(cells.copy(), 4.0)
    assert np.array_equal(made, np.array([[4.0, 1.0], [4.0, 2.0], [1.0, 3.0]], dtype=np.float32))
    assert bounded(np.full((2, 1), 9.0, np.float32), 4.0).max() == 4.0
