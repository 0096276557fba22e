"""The Python interface: AnnData goes in, words name conditions and paths; every call as the pages show it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import cycseq
from conftest import make_counts
from cycseq.errors import DataError, SettingsError


@pytest.fixture(scope="module")
def adata() -> ad.AnnData:
    """A user's AnnData of counts: three patients, of whom PW034 has no treated cells."""
    cells = make_counts(
        contexts=("PW030", "PW032", "PW034"), perturbations=("ctrl", "panobinostat", "etoposide"), cells=30
    )
    cells.obs = cells.obs.rename(columns={"cell_type": "patient_id", "perturbation": "condition"})
    return cells[(cells.obs["patient_id"] != "PW034") | (cells.obs["condition"] == "ctrl")].copy()


@pytest.fixture(scope="module")
def data(adata: ad.AnnData) -> cycseq.PerturbationData:
    return cycseq.read(adata, perturbation_key="condition", context_key="patient_id", control="ctrl")


@pytest.fixture(scope="module")
def answer(data: cycseq.PerturbationData) -> cycseq.Answer:
    return cycseq.predict(data, "PW034:panobinostat", leave_out=1)


def test_read_takes_an_anndata_and_leaves_it_alone(adata, data):
    assert len(data) == adata.n_obs
    assert data.shape == adata.shape
    assert data.contexts == ("PW030", "PW032", "PW034")
    assert {"context", "perturbation", "batch", "patient_id"} <= set(data.obs)
    assert "context" not in adata.obs
    assert "cycseq" not in adata.uns
    assert repr(data).startswith("PerturbationData: 210 cells x 60 genes, counts; 3 contexts, 2 perturbations")
    assert "<td>30</td>" in data._repr_html_()
    assert repr(cycseq.summarize(data)).startswith("Effects: 7 conditions x 60 genes, log1p, with ")
    assert "1 context, 2 perturbations, 2 perturbed conditions" in repr(
        data.subset(c for c in data.conditions() if c.context == "PW030")
    )


def test_read_of_a_layer(adata):
    doubled = adata.copy()
    doubled.layers["twice"] = doubled.X * 2
    read = cycseq.read(doubled, context_key="patient_id", layer="twice")
    assert read.x.sum() == 2 * adata.X.sum()
    assert doubled.X.sum() == adata.X.sum()


def test_an_unknown_option_is_named():
    with pytest.raises(SettingsError, match="did you mean 'context_key'"):
        cycseq.read(ad.AnnData(np.zeros((1, 1), dtype=np.float32)), contextkey="patient")


def test_an_answer_has_genes_and_cells(answer):
    assert isinstance(answer.genes, pd.DataFrame)
    assert isinstance(answer.cells, ad.AnnData)
    assert {"context", "perturbation", "gene", "effect", "sd", "lower", "upper", "lfsr"} <= set(answer.genes)
    assert {"probability_up", "probability_down"} <= set(answer.genes)
    assert set(answer.genes["context"]) == set(answer.cells.obs["context"]) == {"PW034"}
    assert repr(answer).startswith("Answer of ConditionKriging: PW034:panobinostat; .genes has 60 rows")
    assert "\n" not in repr(answer)


def test_changes_of_predicted_cells(answer):
    table = cycseq.changes(answer.cells)
    pd.testing.assert_frame_equal(table, answer.genes, check_exact=False, rtol=1e-3)
    of_one = cycseq.changes(answer.cells, "PW034:panobinostat")
    assert of_one.index.tolist() == table["gene"].tolist()
    with pytest.raises(DataError, match="did you mean 'PW034:panobinostat'"):
        cycseq.changes(answer.cells, "PW034:Panobinostat")


def test_an_answer_is_written(answer, tmp_path):
    page = cycseq.write_answer(answer, f"{tmp_path}/answer")
    assert page == tmp_path / "answer" / "answer.html"
    assert len(pd.read_csv(tmp_path / "answer" / "genes.csv")) == len(answer.genes)


def test_suggest_after_an_answer(answer):
    assert set(cycseq.suggest(answer.model, 2)["context"]) == {"PW034"}
    named = cycseq.suggest(answer.model, 1, candidates=["PW034:etoposide"])
    assert named["perturbation"].tolist() == ["etoposide"]


def test_a_file_is_as_good_as_its_cells(adata, tmp_path):
    renamed = adata.copy()
    renamed.obs = renamed.obs.rename(columns={"patient_id": "cell_line"})
    renamed.write_h5ad(tmp_path / "screen.h5ad")
    answer = cycseq.predict(str(tmp_path / "screen.h5ad"), "missing", model="ContextAdditive", leave_out=1)
    assert [str(c) for c in answer.conditions] == ["PW034:etoposide", "PW034:panobinostat"]


READING = {"perturbation_key": "arm", "context_key": "patient", "control": "ctrl"}


@pytest.fixture(scope="module")
def unusual(adata) -> ad.AnnData:
    """The same under labels that nobody would find."""
    renamed = adata.copy()
    renamed.obs = renamed.obs.rename(columns={"patient_id": "patient", "condition": "arm"})
    return renamed


def test_predict_takes_the_options_of_read(unusual, data):
    how = {"model": "ContextAdditive", "leave_out": 0}
    read = cycseq.predict(data, "PW030:etoposide", **how)
    pd.testing.assert_frame_equal(cycseq.predict(unusual, "PW030:etoposide", **how, **READING).genes, read.genes)
    with pytest.raises(SettingsError, match="did you mean 'context_key'"):
        cycseq.predict(unusual, "PW030:etoposide", contextkey="patient")
    with pytest.raises(SettingsError, match="context_key would do nothing here"):
        cycseq.predict(data, "PW030:etoposide", context_key="patient")
    with pytest.raises(SettingsError, match="context_key would do nothing here"):
        cycseq.summarize(data, context_key="patient")


def test_predict_takes_the_controls_of_a_new_patient_as_an_anndata(unusual):
    known, new = (unusual[(unusual.obs["patient"] == "PW034") == here].copy() for here in (False, True))
    del new.obs["arm"]
    answer = cycseq.predict(
        known,
        "PW034:panobinostat",
        controls=new,
        model="ContextAdditive",
        leave_out=1,
        context_key="patient",
        perturbation_key="arm",
    )
    assert set(answer.cells.obs["context"]) == {"PW034"}
    assert "arm" not in new.obs
    assert "perturbation" not in new.obs


def test_benchmark_takes_the_options_of_read(unusual):
    result = cycseq.benchmark(unusual, split="unseen-pair", models="ContextAdditive", seeds=1, **READING)
    assert ("unseen-pair", "ContextAdditive") in result.table.index


def test_benchmark_of_an_anndata(data):
    result = cycseq.benchmark(data, split="unseen-context", models=["ContextAdditive"], seeds=1)
    assert ("unseen-context", "ContextAdditive") in result.table.index
    assert "ContextAdditive" in result._repr_html_()
    assert repr(result).startswith("BenchmarkResult: 4 models on 2 splits\n")
    with pytest.raises(SettingsError, match="did you mean 'models'"):
        cycseq.benchmark(data, model="ContextAdditive")


def test_evaluate_two_anndatas(adata):
    real = adata[adata.obs["patient_id"] == "PW030"].copy()
    predicted = real[real.obs["condition"] != "ctrl"].copy()
    predicted.X = predicted.X[::-1]
    predicted.obs["condition"] = predicted.obs["condition"].to_numpy()[::-1]
    for cells in (real, predicted):
        cells.obs = cells.obs.rename(columns={"patient_id": "cell_line"})
    scores = cycseq.evaluate(predicted, real, settings=cycseq.EvaluateSettings(metrics="means"))
    assert set(scores["perturbation"]) == {"panobinostat", "etoposide"}
    assert scores.set_index("metric")["value"]["mse_ratio"].max() < 0.01


def test_a_model_by_keywords():
    assert cycseq.build_model("Ridge", penalty=2.0).penalty == 2.0
    assert cycseq.build_model("VAE", num_epochs=3).num_epochs == 3
    with pytest.raises(SettingsError, match="did you mean 'num_epochs'"):
        cycseq.build_model("VAE", max_epochs=3)


def test_models_take_words(data, tmp_path):
    (split,) = cycseq.make_splits(data, cycseq.SplitSettings(context="PW032", validation=0.0))
    split.write(f"{tmp_path}/split.json")
    run = cycseq.fit_run(
        data, cycseq.Split.read(f"{tmp_path}/split.json"), cycseq.build_model("ContextAdditive"), f"{tmp_path}/run"
    )
    assert cycseq.Run.open(str(run.folder)).facts["model"] == "ContextAdditive"
    model = cycseq.load_model(f"{tmp_path}/run/model")
    controls = cycseq.prepare([data], cycseq.PrepareSettings(genes="all", min_counts=0)).controls(["PW034"])
    assert model.predict(controls, "PW034:etoposide", n_cells=5).n_cells == 5
    assert data.subset(["PW030:etoposide"]).n_cells == len(data.rows("PW030:etoposide")) == 30
    assert cycseq.write_report(f"{tmp_path}/run") == tmp_path / "run" / "report.html"


def test_models_are_listed():
    models = cycseq.list_models()
    assert "ConditionKriging" in models.index
    assert models["predicts"].str.len().min() > 10


def test_version_and_figures():
    assert cycseq.__version__ == version("cycseq")
    assert callable(cycseq.pl.volcano)


def test_settings_show_their_fields_in_help():
    text = subprocess.run(
        [sys.executable, "-c", "import cycseq; help(cycseq.BenchmarkSettings)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "How many times each model is fitted" in text


def test_import_is_light():
    code = "import time; t = time.perf_counter(); import cycseq, sys; print(time.perf_counter() - t, 'anndata' in sys.modules)"
    seconds, heavy = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(seconds) < 0.5
    assert heavy == "False"
