"""`cycseq embed`: cells with their latent places, and whether these mix batches and keep conditions."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.score.metrics.integration import INTEGRATION, integration, keeping_asw, lisi, mixing_asw


def cloud(rng: np.random.Generator, centres: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return (centres[codes] + rng.normal(size=(len(codes), centres.shape[1]))).astype(np.float32)


@pytest.fixture
def codes() -> tuple[np.ndarray, np.ndarray]:
    return np.tile(np.arange(2), 150), np.repeat(np.arange(3), 100)


def test_mixed_batches_and_kept_labels_score_best(codes):
    batch, label = codes
    rng, far = np.random.default_rng(0), 30.0 * np.eye(3, 4)
    good = integration(cloud(rng, far, label), batch, label)
    assert all(value > 0.85 for value in good.values())
    bad = integration(cloud(rng, far, batch), batch, label)
    assert bad["mixing_lisi"] < 0.01
    assert bad["mixing_asw"] < 0.2
    assert bad["keeping_asw"] == pytest.approx(0.5, abs=0.05)
    assert bad["keeping_lisi"] < 0.2
    assert set(good) == set(INTEGRATION)


def test_silhouettes_are_those_of_the_definition(codes):
    batch, label = codes
    x = cloud(np.random.default_rng(1), 3.0 * np.eye(3, 4), label)

    def silhouette(points: np.ndarray, groups: np.ndarray) -> np.ndarray:
        apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
        means = np.stack([apart[:, groups == g].sum(axis=1) / (groups == g).sum() for g in np.unique(groups)], axis=1)
        own = np.searchsorted(np.unique(groups), groups)
        size = np.bincount(own)[own]
        a = means[np.arange(len(own)), own] * size / (size - 1)
        means[np.arange(len(own)), own] = np.inf
        b = means.min(axis=1)
        return (b - a) / np.maximum(a, b)

    x = x.astype(np.float64)
    assert keeping_asw(x, label) == pytest.approx((silhouette(x, label).mean() + 1) / 2, rel=1e-6)
    by_label = [np.mean(1 - np.abs(silhouette(x[label == j], batch[label == j]))) for j in range(3)]
    assert mixing_asw(x, batch, label) == pytest.approx(np.mean(by_label), rel=1e-6)


def test_the_inverse_simpson_index_counts_labels_at_a_perplexity_of_thirty():
    rng = np.random.default_rng(2)
    x, batch = rng.normal(size=(800, 3)), rng.integers(0, 2, 800)
    found = lisi(x, batch)
    assert 1.85 < np.median(found) < 2.0
    # independently, one cell: the kernel width whose entropy is log 30, by a grid
    distance = np.sort(np.delete(np.sqrt(((x - x[7]) ** 2).sum(axis=1)), 7))[:90]
    order = np.argsort(np.delete(np.sqrt(((x - x[7]) ** 2).sum(axis=1)), 7))[:90]
    grid = np.geomspace(1e-2, 1e3, 20_000)
    p = np.exp(-grid[:, None] * (distance - distance[0]))
    p /= p.sum(axis=1, keepdims=True)
    p = p[np.argmin(np.abs(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1) - np.log(30)))]
    share = np.bincount(np.delete(batch, 7)[order], weights=p, minlength=2)
    assert found[7] == pytest.approx(1 / (share**2).sum(), rel=1e-3)


def test_one_batch_or_one_label_is_undefined(codes):
    _, label = codes
    x = np.random.default_rng(3).normal(size=(300, 4))
    one = np.zeros(300, dtype=np.int64)
    found = integration(x, one, label)
    assert np.isnan([found["mixing_asw"], found["mixing_lisi"]]).all()
    found = integration(x, label, one)
    assert np.isnan([found["keeping_asw"], found["keeping_lisi"]]).all()


def test_cells_are_embedded_and_scored_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("lightning", reason="networks need torch and lightning: pip install 'cycseq[networks]'")
    f = tmp_path
    small = "--model.hidden [32,16] --model.num_epochs 2"
    for words in (
        f"simulate --contexts 2 --perturbations 4 --cells 600 --genes 80 --seed 2 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --kind random-cells --out {f}/s.json",
        f"fit --data {f}/sim.h5ad --split {f}/s.json --model CycSeq --model.latent 4 {small} --run {f}/cyc",
        f"fit --data {f}/sim.h5ad --split {f}/s.json --model Autoencoder --model.latent 8 {small} --run {f}/ae",
        f"fit --data {f}/sim.h5ad --split {f}/s.json --model NoChange --run {f}/no",
        f"embed --run {f}/cyc --data {f}/sim.h5ad --out {f}/cyc.h5ad --score",
        f"embed --run {f}/ae --data {f}/sim.h5ad --out {f}/ae.h5ad",
    ):
        assert main(words.split()) == SUCCESS, words
    sim, cyc, ae = (ad.read_h5ad(f / f"{name}.h5ad") for name in ("sim", "cyc", "ae"))
    assert list(cyc.obs_names) == list(sim.obs_names)
    assert (cyc.X != sim.X).nnz == 0
    parts = [cyc.obsm[f"X_CycSeq_{name}"] for name in ("expression", "knockout", "noise")]
    np.testing.assert_array_equal(np.hstack(parts), cyc.obsm["X_CycSeq"])
    assert cyc.obsm["X_CycSeq"].shape == (600, 12)
    assert ae.obsm["X_Autoencoder"].shape == (600, 8)
    assert not (f / "ae.scores.csv").exists()
    scores = pd.read_csv(f / "cyc.scores.csv")
    assert list(scores) == ["embedding", "units", "mixed", "kept", "metric", "value"]
    assert set(scores["embedding"]) == {
        "X_CycSeq",
        *(f"X_CycSeq_{n}" for n in ("expression", "knockout", "noise")),
        "PCA",
    }
    assert set(scores.loc[scores["embedding"] == "PCA", "units"]) == {12}
    assert scores["value"].between(0, 1).all()
    capsys.readouterr()
    assert main(f"embed --run {f}/no --data {f}/sim.h5ad --out {f}/x.h5ad".split()) == BAD_INPUT
    assert "NoChange has no latent space" in capsys.readouterr().err
