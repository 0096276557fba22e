"""Pseudo-pairs: their table, and their scores against the true pairs of simulated data; the reverse direction."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.formats.read import read
from cycseq.preparation.prepare import as_log1p
from cycseq.run.folder import Run
from cycseq.run.pairs import evaluate_pairs, pairs_of
from cycseq.score.metrics.pairs import PAIR_METRICS, pair_scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    f = tmp_path_factory.mktemp("pairs")
    for words in (
        f"simulate --contexts 3 --perturbations 4 --cells 1500 --genes 80 --seed 2 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --context Line3 --out {f}/s.json",
        f"fit --data {f}/sim.h5ad --split {f}/s.json --model NoChange --run {f}/no",
        f"predict --run {f}/no --cells 2000 --out {f}/no.h5ad --pairs {f}/no.csv",
    ):
        assert main(words.split()) == SUCCESS, words
    return f


def test_scores_of_pairs_are_their_formulas():
    rng = np.random.default_rng(0)
    predicted, true, source = (rng.normal(size=(7, 5)).astype(np.float32) for _ in range(3))
    real = rng.normal(size=(9, 5)).astype(np.float32)
    found = pair_scores(predicted, true, source, real)
    apart = np.array([[np.mean((p - t) ** 2) for p in predicted.astype(float)] for t in true.astype(float)])
    off = ~np.eye(7, dtype=bool)
    share = np.array([np.mean(np.delete(apart[i], i) < apart[i, i]) for i in range(7)])
    change = (true - source).astype(float)
    expected = {
        "pair_mse": np.diag(apart).mean(),
        "pair_mse_no_change": np.mean(change**2),
        "pair_mse_mean_change": change.var(axis=0).mean(),
        "pair_mse_shuffled": apart[off].mean(),
        "pair_mse_random": np.mean([[np.mean((r - t) ** 2) for r in real.astype(float)] for t in true.astype(float)]),
        "pair_foscttm": share.mean(),
        "pair_matched": np.mean((share < 0.5) + 0.5 * (share == 0.5)),
    }
    assert list(found) == list(PAIR_METRICS) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_chance_is_one_half_where_all_predictions_are_alike():
    rng = np.random.default_rng(1)
    true = rng.normal(size=(50, 5)).astype(np.float32)
    same = np.zeros((50, 5), dtype=np.float32)
    found = pair_scores(same, true, same, true)
    assert found["pair_foscttm"] == found["pair_matched"] == 0.5
    unrelated = pair_scores(rng.normal(size=(50, 5)).astype(np.float32), true, same, true)
    assert unrelated["pair_foscttm"] == pytest.approx(0.5, abs=0.1)


def test_the_table_names_both_cells_of_a_pair(folder: Path):
    pairs = pd.read_csv(folder / "no.csv")
    assert list(pairs) == ["predicted_cell", "source_cell", "context", "perturbation"]
    predicted = ad.read_h5ad(folder / "no.h5ad")
    assert list(pairs["predicted_cell"]) == list(predicted.obs_names)
    sim = ad.read_h5ad(folder / "sim.h5ad")
    assert (sim.obs.loc[pairs["source_cell"], "perturbation"] == "control").all()
    assert (sim.obs.loc[pairs["source_cell"], "context"].to_numpy() == pairs["context"].to_numpy()).all()


def test_no_change_scores_as_no_change_and_the_truth_as_the_truth(folder: Path):
    real = as_log1p(read(folder / "sim.h5ad"))
    predicted = read(folder / "no.h5ad")
    scores = evaluate_pairs(predicted, read(folder / "sim.h5ad")).pivot_table(
        index="perturbation", columns="metric", values="value"
    )
    np.testing.assert_allclose(scores["pair_mse"], scores["pair_mse_no_change"], rtol=0.02)  # its mean is kept exactly
    assert (scores["pair_mse_shuffled"] > 1.3 * scores["pair_mse"]).all()
    truth = predicted.adata.copy()
    place = real.adata.obs_names.get_indexer(truth.obs["source_cell"].astype(str))
    truth.X = real.adata.layers["true_pair"][place].toarray()
    perfect = evaluate_pairs(PerturbationData(adata=truth, scale="log1p"), real)
    perfect = perfect.pivot_table(index="perturbation", columns="metric", values="value")
    np.testing.assert_allclose(perfect["pair_mse"], 0.0, atol=1e-6)
    assert (perfect["pair_matched"] == 1.0).all()


def test_scores_are_reached_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]):
    words = f"evaluate --predicted {folder}/no.h5ad --real {folder}/sim.h5ad --metrics mse_ratio --pairs --out {folder}/m.csv"
    assert main(words.split()) == SUCCESS
    assert "pseudo-pairs against true pairs" in capsys.readouterr().out
    table = pd.read_csv(folder / "m.csv")
    assert set(table["metric"]) == {"mse_ratio", *PAIR_METRICS}
    assert set(table["model"]) == {"NoChange"}


def test_data_without_true_pairs_and_cells_without_a_source_are_refused(folder: Path, small_data: PerturbationData):
    predicted = read(folder / "no.h5ad")
    with pytest.raises(DataError, match="no true pairs"):
        evaluate_pairs(predicted, small_data)
    with pytest.raises(DataError, match="makes no pairs"):
        pairs_of(small_data)


def test_cycseq_translates_back_and_its_pairs_beat_no_change(folder: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("lightning", reason="networks need torch and lightning: pip install 'cycseq[networks]'")
    f = folder
    fit = f"fit --data {f}/sim.h5ad --split {f}/s.json --run {f}/cyc --model CycSeq --model.hidden [48,32] --model.latent 8 --model.batch_size 64 --model.num_epochs 8 --model.learning_rate 2e-3"
    for words in (
        fit,
        f"predict --run {f}/cyc --cells 2000 --out {f}/cyc.h5ad",
        f"predict --run {f}/cyc --direction reverse --cells 20 --out {f}/back.h5ad --pairs {f}/back.csv",
        f"predict --run {f}/cyc --as counts --cells 20 --out {f}/counts.h5ad",
    ):
        assert main(words.split()) == SUCCESS, words
    counts = read(f / "counts.h5ad")
    assert counts.scale == "counts"
    assert counts.conditions() == read(f / "cyc.h5ad").conditions()
    scores = evaluate_pairs(read(f / "cyc.h5ad"), read(f / "sim.h5ad")).groupby("metric")["value"].mean()
    assert scores["pair_mse"] < scores["pair_mse_no_change"]
    assert scores["pair_mse"] < scores["pair_mse_shuffled"]
    assert scores["pair_matched"] > 0.9
    back, pairs = read(f / "back.h5ad"), pd.read_csv(f / "back.csv")
    assert [str(c) for c in back.conditions()] == ["Line3:control"]
    assert set(pairs["perturbation"]) == {c.perturbation for c in Run.open(f / "cyc").split.test}
    real = as_log1p(read(f / "sim.h5ad"))
    source = real.take(real.adata.obs_names.get_indexer(pairs["source_cell"]))
    control = real.controls(["Line3"]).x.mean(axis=0)
    before, after = (np.square(np.asarray(cells.x.mean(axis=0) - control)).mean() for cells in (source, back))
    assert after < before
    capsys.readouterr()
    for words, said in (
        (
            f"predict --run {f}/cyc --direction reverse --as counts --out {f}/x.h5ad",
            "--direction reverse turns cells into control cells, and counts are predicted",
        ),
        (
            f"predict --run {f}/no --direction reverse --out {f}/x.h5ad",
            "not the reverse: CycSeq does both",
        ),
        (f"predict --run {f}/cyc --perturbed {f}/sim.h5ad --out {f}/x.h5ad", "--direction reverse"),
        (
            f"predict --run {f}/cyc --direction reverse --conditions Line3:G9 --out {f}/x.h5ad",
            "no condition 'Line3:G9'",
        ),
    ):
        assert main(words.split()) == BAD_INPUT
        assert said in capsys.readouterr().err
