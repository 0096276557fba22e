"""What every model keeps: one test for each promise, over the whole table of models."""

import dataclasses
import json
import subprocess
import sys
import typing

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from conftest import make_log1p
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import CycseqError, DataError, FileError, ModelError, SettingsError
from cycseq.io.checksums import CHECKSUMS
from cycseq.models import MODELS, build_model, describe, load_model, model_class
from cycseq.models.base import Model
from cycseq.models.card import CARD
from cycseq.models.saved import DESCRIPTION, TENSORS
from cycseq.settings import field_texts

SEEN_ELSEWHERE = [Condition("RPE1", "G1"), Condition("RPE1", "G1+G2")]
FOR_ANYBODY = {"NoChange", "SmoothedControls", "PerturbedMean", "MatchingMean", "ShrunkAdditive"}
"""Models that do not look at which perturbation it is, or have an answer of their own for one never seen."""
QUICK: dict[str, dict[str, object]] = {
    "Autoencoder": {"num_epochs": 2, "hidden": (16,), "latent": 4},
    "VAE": {"num_epochs": 2, "hidden": (16,), "latent": 4},
    "GAN": {"num_epochs": 1, "generator": (32,), "critic": (32,)},
    "CycSeq": {"num_epochs": 1, "hidden": (32,), "latent": 4},
}
"""Settings that train a network in a moment: the promises are kept however good it is."""


@pytest.fixture(scope="module")
def small_data() -> PerturbationData:
    """As of conftest.py, once for all tests here: none of them changes it."""
    return make_log1p()


@pytest.fixture(scope="module")
def train(small_data: PerturbationData) -> PerturbationData:
    """All but two conditions of RPE1."""
    return small_data.subset(c for c in small_data.conditions() if c not in SEEN_ELSEWHERE)


NAMES = [pytest.param(name, marks=[pytest.mark.torch] * (name in QUICK)) for name in MODELS]


@pytest.fixture(scope="module", params=NAMES)
def fitted(request: pytest.FixtureRequest, train: PerturbationData) -> Model:
    """Each model, fitted once for all tests."""
    return build_model(request.param, QUICK.get(request.param)).fit(train, seed=0)


def mean(data: PerturbationData, condition: Condition) -> np.ndarray:
    return data.cells(condition).mean(axis=0, dtype=np.float64)


def test_a_prediction_is_data_like_the_real_ones(fitted, small_data):
    predicted = fitted.predict(small_data.controls(), SEEN_ELSEWHERE, n_cells=30)
    obs = predicted.adata.obs
    assert predicted.scale == "log1p"
    assert predicted.genes == small_data.genes
    assert predicted.conditions() == tuple(sorted(SEEN_ELSEWHERE))
    assert obs["perturbation"].value_counts().to_dict() == {"G1": 30, "G1+G2": 30}
    assert obs.index.is_unique
    real = small_data.adata.obs
    assert set(obs["source_cell"]) <= set(real.index)
    assert (obs["batch"].astype(str).to_numpy() == real.loc[obs["source_cell"], "batch"].astype(str).to_numpy()).all()
    x = predicted.x.toarray() if sp.issparse(predicted.x) else predicted.x
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    assert (x >= 0).all()
    assert PerturbationData.from_anndata(predicted.adata).conditions() == predicted.conditions()


def test_the_seed_fixes_everything(fitted, small_data):
    first, again, other = (
        fitted.predict(small_data.controls(), SEEN_ELSEWHERE, n_cells=20, seed=seed).adata for seed in (3, 3, 4)
    )
    assert list(first.obs["source_cell"]) == list(again.obs["source_cell"])
    assert (first.X != again.X).sum() == 0
    assert set(first.obs["source_cell"]) != set(other.obs["source_cell"])
    assert first.obs["source_cell"].value_counts().max() <= 2  # once for each of the two conditions


def test_fitting_twice_with_a_seed_gives_the_same_model(fitted, train, small_data):
    again = build_model(fitted.name, fitted.settings()).fit(train, seed=0)
    first, second = (m.predict(small_data.controls(), SEEN_ELSEWHERE).x for m in (fitted, again))
    assert (first != second).sum() == 0


@pytest.mark.parametrize("n_cells", [1, 7, 40, 95])
def test_the_predicted_mean_does_not_depend_on_the_number_of_cells(fitted, small_data, n_cells):
    all_cells = fitted.predict(small_data.controls(), SEEN_ELSEWHERE)
    some = fitted.predict(small_data.controls(), SEEN_ELSEWHERE, n_cells=n_cells, seed=1)
    for condition in SEEN_ELSEWHERE:
        assert len(some.rows(condition)) == n_cells
        np.testing.assert_allclose(mean(some, condition), mean(all_cells, condition), rtol=1e-5, atol=1e-6)


def test_genes_in_another_order_are_put_right_and_missing_ones_named(fitted, small_data):
    controls = small_data.controls()
    straight = fitted.predict(controls, SEEN_ELSEWHERE)
    turned = fitted.predict(controls.with_genes(controls.genes[::-1]), SEEN_ELSEWHERE)
    assert turned.genes == straight.genes
    assert (turned.x != straight.x).sum() == 0
    with pytest.raises(DataError, match="1 of 60 genes are missing from the data: G60"):
        fitted.predict(controls.with_genes(controls.genes[:-1]), SEEN_ELSEWHERE)


def test_it_predicts_from_control_cells_alone(fitted, small_data):
    with pytest.raises(ModelError, match="control cells only, but got 'G1'"):
        fitted.predict(small_data, SEEN_ELSEWHERE)
    with pytest.raises(ModelError, match=r"context 'RPE1'.*control cells of K562, THP1"):
        fitted.predict(small_data.controls(["K562", "THP1"]), SEEN_ELSEWHERE)
    with pytest.raises(ModelError, match="no condition"):
        fitted.predict(small_data.controls(), [])
    with pytest.raises(SettingsError, match="at least one"):
        fitted.predict(small_data.controls(), SEEN_ELSEWHERE, n_cells=0)


def test_an_unknown_perturbation_is_refused_by_name_or_truly_predicted(fitted, small_data):
    unknown = [Condition("RPE1", "nosuchgene")]
    if fitted.name in FOR_ANYBODY:
        assert np.isfinite(mean(fitted.predict(small_data.controls(), unknown), unknown[0])).all()
    else:
        with pytest.raises(ModelError, match="'nosuchgene'"):
            fitted.predict(small_data.controls(), unknown)


def test_the_test_cells_are_not_looked_at(fitted, train, small_data):
    x = small_data.x.toarray()
    for condition in SEEN_ELSEWHERE:
        x[small_data.rows(condition)] = 9.0
    altered = PerturbationData(ad.AnnData(sp.csr_matrix(x), small_data.adata.obs, small_data.adata.var), scale="log1p")
    again = build_model(fitted.name, fitted.settings()).fit(
        altered.take(altered.adata.obs_names.isin(train.adata.obs_names)), seed=0
    )
    first = fitted.predict(small_data.controls(), SEEN_ELSEWHERE)
    second = again.predict(altered.controls(), SEEN_ELSEWHERE)
    assert (first.x != second.x).sum() == 0


def test_a_loaded_model_predicts_bit_by_bit_the_same(fitted, small_data, tmp_path):
    fitted.save(tmp_path / "model", facts={"split": "abc"})
    loaded = load_model(tmp_path / "model")
    assert type(loaded) is type(fitted)
    assert loaded.settings() == fitted.settings()
    assert (loaded.learned.genes, loaded.learned.scale) == (fitted.learned.genes, "log1p")
    assert (loaded.learned.contexts, loaded.learned.perturbations) == (
        ("K562", "RPE1", "THP1"),
        ("G1", "G1+G2", "G2", "G3"),
    )
    assert loaded.learned.facts["split"] == "abc"
    first, second = (m.predict(small_data.controls(), SEEN_ELSEWHERE, n_cells=50) for m in (fitted, loaded))
    assert (first.x != second.x).sum() == 0
    pd.testing.assert_frame_equal(first.adata.obs, second.adata.obs)


def test_a_folder_with_a_pickle_is_refused(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    (tmp_path / "model" / "weights.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(FileError, match=r"weights\.pkl.*can run code"):
        load_model(tmp_path / "model")


def test_a_saved_model_is_tensors_and_text(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    assert {p.name for p in (tmp_path / "model").iterdir()} == {TENSORS, DESCRIPTION, CHECKSUMS, CARD}
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert described["model"] == fitted.name
    assert {"cycseq", "numpy", "python"} <= set(described["versions"])
    assert ("torch" in described["versions"]) == (fitted.name in QUICK)  # the networks
    with pytest.raises(FileError, match="exists already"):
        fitted.save(tmp_path / "model")


@pytest.mark.parametrize("name", NAMES)
def test_before_fit_there_is_nothing_to_use(name, small_data, tmp_path):
    model = build_model(name)
    with pytest.raises(ModelError, match=f"{name} has not been fitted"):
        model.predict(small_data.controls(), SEEN_ELSEWHERE)
    with pytest.raises(ModelError, match="has not been fitted"):
        model.save(tmp_path / "model")


@pytest.mark.parametrize("name", NAMES)
def test_it_cannot_learn_from_controls_or_from_counts(name, small_data, small_counts):
    with pytest.raises(ModelError, match="all controls"):
        build_model(name).fit(small_data.controls())
    counts = PerturbationData(small_data.adata, scale="counts")
    with pytest.raises(CycseqError, match="log1p"):
        build_model(name).fit(counts)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_documented_and_go_through_json(name):
    kind = model_class(name)
    model = build_model(name)
    assert dataclasses.is_dataclass(kind)
    assert build_model(name, json.loads(json.dumps(model.settings()))).settings() == model.settings()
    typing.get_type_hints(kind)  # as the command line reads them
    texts = field_texts(kind)
    assert not [field.name for field in dataclasses.fields(kind) if not texts.get(field.name)]
    assert describe(name) == kind.__doc__.strip().split("\n")[0]
    with pytest.raises(SettingsError, match=f"no setting of {name} 'nosuchthing'"):
        build_model(name, {"nosuchthing": 1})


def test_listing_the_models_imports_none_of_them():
    code = (
        "import sys; from cycseq.models import MODELS, describe; [describe(m) for m in MODELS];"
        "loaded = [m for m in sys.modules if m == 'torch' or m == 'sklearn' or m in MODELS.values()]; assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
