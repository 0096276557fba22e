"""`cycseq compare`: what is scored, beside what, and what the folder and the page say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from cycseq.benchmarking.compare import ComparisonResult, compare
from cycseq.benchmarking.families import ALL, FAMILIES, HIGHEST, summary
from cycseq.benchmarking.published import published_data
from cycseq.benchmarking.settings import CompareSettings
from cycseq.cli import main
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError, FileError, SettingsError
from cycseq.matrix.arrays import to_dense
from cycseq.preparation.prepare import prepare
from cycseq.preparation.settings import PrepareSettings
from cycseq.score.evaluate import COLUMNS
from cycseq.show.report import comparison_page
from cycseq.show.report.comparison_page import sentences, write_comparison
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings

SETTINGS = {"latent": 6, "epochs": 2, "model_settings": {"GAN": {"generator": (32,), "critic": (32,)}}}
MODELS = ["Autoencoder", "VAE", "GAN"]


@pytest.fixture(scope="module")
def counts() -> PerturbationData:
    return simulate(SimulateSettings(contexts=2, perturbations=4, doubles=1, cells=500, genes=60, seed=3))


@pytest.fixture(scope="module")
def data(counts: PerturbationData) -> PerturbationData:
    return prepare([counts], PrepareSettings(genes="all"))


@pytest.fixture(scope="module")
def finished(data: PerturbationData, tmp_path_factory: pytest.TempPathFactory) -> ComparisonResult:
    out = tmp_path_factory.mktemp("comparison") / "out"
    result = compare(data, CompareSettings(**SETTINGS), out, command="cycseq compare --data D.h5ad --out OUT")
    write_comparison(result)
    return result


def pooled(result: ComparisonResult) -> pd.Series:
    rows = result.metrics
    return rows[rows["context"] == ALL].set_index(["model", "metric"])["value"]


def test_reconstruction_stands_beside_a_pca_of_the_same_size(finished, data):
    names = json.loads((finished.folder / "split.json").read_text())["cells"]
    train, test = (to_dense(data.adata[list(names[part])].X) for part in ("train", "test"))
    fitted = PCA(6, svd_solver="full").fit(train)
    mirrored = np.maximum(fitted.inverse_transform(fitted.transform(test)), 0)
    scores = pooled(finished)
    assert scores["PCA", "reconstruction/per_gene_mse"] == pytest.approx(((mirrored - test) ** 2).mean(), rel=1e-3)
    assert scores["PCA", "reconstruction/per_gene_mae"] == pytest.approx(np.abs(mirrored - test).mean(), rel=1e-3)
    own = to_dense(finished.reconstructed["VAE"].x) - to_dense(finished.test.x)
    assert scores["VAE", "reconstruction/per_gene_mse"] == pytest.approx((own**2).mean(), rel=1e-4)
    assert list(finished.reconstructed) == ["PCA", "Autoencoder", "VAE"]


def test_the_table_is_tidy_and_holds_all_metrics_of_both_tasks(finished):
    written = pd.read_csv(finished.folder / "metrics.csv")
    assert tuple(written.columns) == COLUMNS
    for model, task in (("Autoencoder", "reconstruction"), ("GAN", "generation"), ("TrainingCells", "generation")):
        found = set(written.loc[written["model"] == model, "metric"])
        assert {f"{task}/{name}" for name in FAMILIES[task]} <= found
    assert not written.loc[written["model"] == "GAN", "metric"].str.startswith("reconstruction").any()
    conditions = (
        written[written["context"] != ALL]
        .groupby("model")[["context", "perturbation"]]
        .apply(lambda rows: len(rows.drop_duplicates()))
    )
    assert set(conditions) == {10}


def test_as_many_cells_are_generated_as_are_tested(finished):
    def sizes(data: PerturbationData) -> dict[Condition, int]:
        return {c: len(data.rows(c)) for c in data.conditions() if not c.is_control}

    assert set(finished.generated) == {"TrainingCells", "NoChange", *MODELS}
    assert all(sizes(cells) == sizes(finished.test) for cells in finished.generated.values())
    names = json.loads((finished.folder / "split.json").read_text())["cells"]
    assert set(finished.generated["TrainingCells"].adata.obs_names) <= set(names["train"])
    assert set(finished.test.adata.obs_names) == set(names["test"])
    largest = float(to_dense(finished.generated["GAN"].x).max() / to_dense(finished.test.x).max())
    assert pooled(finished)["GAN", f"generation/{HIGHEST}"] == pytest.approx(largest, rel=1e-6)


def test_a_response_is_scored_by_condition_alone(finished):
    rows = finished.metrics
    assert not rows.loc[rows["context"] == ALL, "metric"].str.endswith("_delta").any()
    mine = rows[(rows["model"] == "VAE") & (rows["metric"] == "generation/pearson_delta")]
    assert len(mine) == 10
    assert summary(rows)["VAE", "generation/pearson_delta"] == pytest.approx(mine["value"].mean())


def test_no_change_has_no_response_and_other_real_cells_have_the_real_one(finished):
    scores = summary(finished.metrics)
    assert scores["NoChange", "generation/pearson_delta"] == 0
    assert scores["TrainingCells", "generation/pearson_delta"] > 0.3
    assert scores["TrainingCells", "generation/edistance"] < scores["NoChange", "generation/edistance"]


def test_differences_are_paired_over_conditions(finished):
    found = finished.differences
    assert set(found.loc[found["metric"].str.startswith("reconstruction"), "baseline"]) == {"PCA"}
    assert set(found.loc[found["metric"].str.startswith("generation"), "baseline"]) == {"NoChange"}
    row = found[(found["model"] == "VAE") & (found["metric"] == "reconstruction/per_gene_mse")].iloc[0]
    rows = finished.metrics[(finished.metrics["context"] != ALL) & (finished.metrics["metric"] == row["metric"])]
    wide = rows.pivot(index=["context", "perturbation"], columns="model", values="value")
    means = (wide["VAE"] - wide["PCA"]).groupby("context").mean()
    assert row["difference"] == pytest.approx(means.mean(), rel=1e-6)
    assert row["n_conditions"] == 10


def test_each_run_says_how_it_came_about_and_is_not_fitted_again(finished, data):
    weights = {name: finished.folder / "runs" / name / "model" / "model.safetensors" for name in MODELS}
    before = {name: path.stat().st_mtime_ns for name, path in weights.items()}
    again = compare(data, CompareSettings(**SETTINGS), finished.folder)
    assert {name: path.stat().st_mtime_ns for name, path in weights.items()} == before
    pd.testing.assert_frame_equal(again.metrics, finished.metrics)
    said = json.loads((finished.folder / "runs" / "VAE" / "run.json").read_text())
    assert said["settings"]["latent"] == 6
    assert said["settings"]["shortcut"] is True
    assert said["command"] == "cycseq compare --data D.h5ad --out OUT"


def test_other_settings_are_refused_unless_overwritten(data, tmp_path):
    def asked(amplitude: float, latent: int) -> CompareSettings:
        own = {"ContextAdditive": {"amplitude": amplitude}}
        return CompareSettings(models=["ContextAdditive"], latent=latent, model_settings=own)

    compare(data, asked(1.0, 4), tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.*")}
    with pytest.raises(SettingsError, match=r"amplitude was 1\.0 and is 0\.5") as caught:
        compare(data, asked(0.5, 4), tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").glob("*.*")} == before
    assert "--overwrite true" in str(caught.value)
    result = compare(data, asked(0.5, 5), tmp_path / "out", overwrite=True)
    assert result.record["settings"]["ContextAdditive"]["amplitude"] == 0.5
    assert result.latent["PCA"].shape == (result.test.n_cells, 5)


def test_a_foreign_folder_and_bad_settings_are_refused(data, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(FileError, match="holds something else than a comparison"):
        compare(data, CompareSettings(**SETTINGS), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(SettingsError, match="did you mean 'Autoencoder'"):
        compare(data, CompareSettings(models=["Autoencodr"]), tmp_path / "out")
    with pytest.raises(SettingsError, match="no model among those compared 'VAE'"):
        compare(data, CompareSettings(models=["GAN"], model_settings={"VAE": {}}), tmp_path / "out")
    with pytest.raises(SettingsError, match="--epochs is 0"):
        CompareSettings(epochs=0)
    assert not (tmp_path / "out").exists()


def test_the_published_form_is_restored_and_its_differences_are_said(data, tmp_path):
    narrow = {"VAE": {"hidden": (16,)}, "GAN": {"generator": (16,), "critic": (16,)}}
    settings = CompareSettings(models=["VAE", "GAN"], published=True, latent=4, epochs=1, model_settings=narrow)
    result = compare(data, settings, tmp_path / "out")
    assert all(len(c.parts) < 2 for c in result.test.conditions())
    said = result.record["settings"]
    assert (said["VAE"]["conditional"], said["VAE"]["standardise"], said["VAE"]["kl_per_gene"]) == (False, True, False)
    assert (said["GAN"]["gated"], said["GAN"]["critic_steps"], said["GAN"]["sparsity"]) == (False, 5, 0.01)
    assert any("not logged a second time" in sentence for sentence in result.record["differs"])
    assert (tmp_path / "out" / "data.h5ad").is_file()


def test_published_genes_are_those_of_highest_variance(small_data, monkeypatch):
    monkeypatch.setattr("cycseq.benchmarking.published.PUBLISHED_GENES", 7)
    chosen = published_data(small_data)
    singles = [c for c in small_data.conditions() if len(c.parts) < 2]
    x = np.concatenate([small_data.cells(c) for c in singles]).astype(np.float64)
    expected = np.argsort(-x.var(axis=0))[:7]
    assert set(chosen.genes) == {small_data.genes[i] for i in expected}
    with pytest.raises(DataError, match="combinations only"):
        published_data(small_data.subset(c for c in small_data.conditions() if len(c.parts) != 1))


def test_the_page_is_self_contained_and_says_what_the_tables_say(finished):
    page = (finished.folder / "comparison.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    for sentence in sentences(finished):
        assert sentence.partition(" reconstructs")[0] in page
    ratio = (
        pooled(finished)["VAE", "reconstruction/per_gene_mse"] / pooled(finished)["PCA", "reconstruction/per_gene_mse"]
    )
    assert any(f"with {ratio:.3f} times" in sentence for sentence in sentences(finished))
    drawn = {path.stem for path in (finished.folder / "figures").glob("*.png")}
    assert {"losses_GAN", "latent_VAE_perturbation", "latent_PCA_context", "zero_fractions", "gene_1"} <= drawn
    assert len(drawn) == 3 + 3 * 2 + 2 + 3 * 2 + 4


def test_the_command_takes_counts(counts, tmp_path, capsys, monkeypatch):
    for figures in ("_latents", "_generated", "_genes"):  # another test draws them
        monkeypatch.setattr(comparison_page, figures, lambda *_: [])
    path, out = tmp_path / "data.h5ad", tmp_path / "out"
    counts.write(path)
    words = ["compare", "--data", str(path), "--models", "Autoencoder", "--epochs", "1", "--latent", "4"]
    assert main([*words, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "data.h5ad holds counts: taken as log1p" in said
    assert "reconstruction of the test cells" in said
    assert "Autoencoder reconstructs test cells with" in said
    record = json.loads((out / "comparison.json").read_text())
    assert Path(record["data"]["path"]) == path
    assert record["command"].startswith("cycseq compare --data")
    assert main([*words[:-1], "0", "--out", str(out)]) == 2
