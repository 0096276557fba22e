"""Preparing: normalisation, quality, genes, what is held out, what travels along, and what is said about it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, SettingsError
from cycseq.formats.read import read
from cycseq.preparation.normalise import cells_expressing, gene_moments, library_sizes, log_normalised
from cycseq.preparation.prepare import prepare
from cycseq.preparation.settings import PrepareSettings
from cycseq.preparation.variable_genes import normalised_dispersion, variable_genes


@pytest.fixture
def counts(small_counts: ad.AnnData) -> PerturbationData:
    return PerturbationData.from_anndata(small_counts)


def plain(x: np.ndarray) -> np.ndarray:
    return np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4)


@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray])
def test_values_are_log1p_of_counts_per_ten_thousand(small_counts, form):
    x = small_counts.X.toarray()
    small_counts.X = form(x)
    data = PerturbationData.from_anndata(small_counts)
    prepared = prepare([data], PrepareSettings(genes="all"))
    got = prepared.x.toarray() if sp.issparse(prepared.x) else prepared.x
    assert sp.issparse(prepared.x) == sp.issparse(data.x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, plain(x), rtol=2e-6)
    assert prepared.scale == "log1p"
    np.testing.assert_array_equal(data.x.toarray() if sp.issparse(data.x) else data.x, x)


def test_counts_come_back_from_any_choice_of_genes(counts):
    prepared = prepare([counts], PrepareSettings(genes=20))
    total = prepared.adata.obs["total_counts"].to_numpy()
    back = np.rint(np.expm1(prepared.x.toarray()) * total[:, None] / 1e4)
    assert len(prepared.genes) < len(counts.genes)
    np.testing.assert_array_equal(back, counts.with_genes(prepared.genes).x.toarray())
    assert prepared.provenance()["target_sum"] == 1e4


@settings(max_examples=30, deadline=None)
@given(
    cells=st.integers(3, 30), genes=st.integers(2, 15), seed=st.integers(0, 99), log=st.booleans(), csr=st.booleans()
)
def test_moments_are_those_of_normalised_values(cells, genes, seed, log, csr):
    rng = np.random.default_rng(seed)
    x = rng.poisson(1.0, (cells, genes)).astype(np.float32)
    x[0] = 0
    part = rng.random(cells) < 0.7
    part[:2] = True
    sizes = x.sum(axis=1).astype(np.float64) + 3
    normalised = x / sizes[:, None] * 1e4
    values = np.log1p(normalised).astype(np.float32) if log else x
    given_x = sp.csr_matrix(values) if csr else values
    got = gene_moments(given_x, "log1p" if log else "counts", None if log else sizes, part)
    np.testing.assert_allclose(got.mean, normalised[part].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(got.variance, normalised[part].var(axis=0, ddof=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(cells_expressing(given_x, part), (x[part] > 0).sum(axis=0))


def test_blocks_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    x = sp.random(200, 30, density=0.2, random_state=1, format="csr", dtype=np.float32)
    x.data = rng.integers(1, 9, x.nnz).astype(np.float32)
    whole = library_sizes(x)
    monkeypatch.setattr("cycseq.matrix.blocks.BLOCK", 17)
    np.testing.assert_array_equal(library_sizes(x), whole)
    np.testing.assert_array_equal(whole, x.toarray().sum(axis=1))
    expected = np.log1p(np.divide(x.toarray() * 1e4, np.maximum(whole, 1)[:, None]))
    moments = gene_moments(x, "counts", whole, np.ones(200, dtype=bool))
    np.testing.assert_allclose(moments.mean, np.expm1(expected).mean(axis=0), rtol=1e-6)
    log_normalised(x, whole)
    np.testing.assert_allclose(x.toarray(), expected, rtol=1e-5)


def test_dispersion_is_standardised_within_bins_of_the_mean():
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(0, 1.5, 400))
    variance = mean * np.exp(rng.normal(0, 0.6, 400))
    mean[:2], variance[:2] = [0.0, 5000.0], [0.0, 7000.0]
    got = normalised_dispersion(mean, variance)
    assert np.isnan(got[0])
    assert got[1] == 1.0  # alone in its bin
    height = np.log1p(mean)
    edges = np.linspace(height.min(), height.max(), 21)
    number = np.clip(np.searchsorted(edges, height, side="left"), 1, 20)
    fits = (number == 3) & (variance > 0)
    dispersion = np.log(variance[fits] / mean[fits])
    assert fits.sum() > 5
    np.testing.assert_allclose(got[fits], (dispersion - dispersion.mean()) / dispersion.std(ddof=1))
    chosen = variable_genes(mean, variance, 50)
    assert chosen.sum() == 50
    assert got[chosen].min() >= np.nanmax(got[~chosen])
    assert variable_genes(mean, variance, 400).sum() == 399


def test_perturbed_genes_are_kept_besides(counts):
    prepared = prepare([counts], PrepareSettings(genes=5))
    assert {"G1", "G2", "G3"} <= set(prepared.genes)
    assert prepared.genes == [gene for gene in counts.genes if gene in set(prepared.genes)]
    chosen = len(prepared.genes) - int(next(n for n in prepared.notes if "besides" in n).split("; ")[1].split()[0])
    assert chosen == 5


def test_held_out_cells_have_no_influence_on_the_choice(small_counts):
    held = (small_counts.obs["cell_type"] == "RPE1") & (small_counts.obs["perturbation"] != "control")
    wild = small_counts.copy()
    x = wild.X.toarray()
    x[np.ix_(held.to_numpy(), np.arange(40, 60))] *= np.random.default_rng(1).integers(0, 80, (held.sum(), 20))
    wild.X = sp.csr_matrix(x)
    tame, wild = (PerturbationData.from_anndata(a) for a in (small_counts, wild))
    for out in (("RPE1",), ("RPE1:G1", "RPE1:G2", "RPE1:G3", "RPE1:G2+G1")):
        setting = PrepareSettings(genes=12, min_cells=3, hold_out=out)
        assert prepare([tame], setting).genes == prepare([wild], setting).genes
    assert prepare([tame], PrepareSettings(genes=12)).genes != prepare([wild], PrepareSettings(genes=12)).genes


def test_limits_of_quality(small_counts):
    small_counts.var_names = [*small_counts.var_names[:-3], "MT-ND1", "mt-Nd2", "GMT-1"]
    data = PerturbationData.from_anndata(small_counts)
    x = data.x.toarray()
    total, n_genes, share = x.sum(1), (x > 0).sum(1), x[:, -3:-1].sum(1) / x.sum(1)
    low, high, few, most = (
        np.quantile(total, 0.1),
        np.quantile(total, 0.9),
        np.quantile(n_genes, 0.1),
        np.quantile(share, 0.8),
    )
    limits = PrepareSettings(
        genes="all", min_counts=int(low), max_counts=int(high), min_genes=int(few), max_mito=float(most)
    )
    prepared = prepare([data], limits)
    kept = (total >= int(low)) & (total <= int(high)) & (n_genes >= int(few)) & (share <= float(most))
    assert 0 < kept.sum() < len(kept)
    assert list(prepared.adata.obs_names) == list(data.adata.obs_names[kept])
    dropped = [int(n.split()[0].replace(",", "")) for n in prepared.notes if n.endswith("were dropped")]
    assert sum(dropped) == (~kept).sum()


def test_rare_genes_go_and_perturbed_ones_stay(small_counts):
    x = small_counts.X.toarray()
    x[:, [0, 50]] = 0
    x[:4, [0, 50]] = 1
    small_counts.X = sp.csr_matrix(x)
    data = PerturbationData.from_anndata(small_counts)
    prepared = prepare([data], PrepareSettings(genes="all", min_cells=5))
    assert "G1" in prepared.genes
    assert "G51" not in prepared.genes
    np.testing.assert_allclose(prepared.adata.obs["total_counts"], x.sum(axis=1))


def test_conditions_are_dropped_by_kind_size_and_name(small_counts):
    small_counts = small_counts[~small_counts.obs_names.isin([f"cell{i}" for i in range(40, 75)])].copy()
    data = PerturbationData.from_anndata(small_counts)
    prepared = prepare(
        [data],
        PrepareSettings(genes="all", singles_only=True, min_cells_per_condition=6, leave_out=("THP1", "RPE1:G2")),
    )
    assert [str(c) for c in prepared.conditions()] == [
        *("K562:G2", "K562:G3", "K562:control", "RPE1:G1", "RPE1:G3", "RPE1:control"),
    ]
    combinations_kept = prepare([data], PrepareSettings(genes="all"))
    assert "G1+G2" in combinations_kept.perturbations


def test_log1p_is_not_normalised_again(small_data):
    prepared = prepare([small_data], PrepareSettings(genes="all"))
    np.testing.assert_array_equal(prepared.x.toarray(), small_data.x.toarray())
    assert any("not normalised again" in note for note in prepared.notes)
    for needing in ({"min_counts": 1}, {"max_counts": 9}, {"max_mito": 0.1}):
        with pytest.raises(SettingsError, match="needs counts, but the data are log1p"):
            prepare([small_data], PrepareSettings(**needing))


def test_the_choice_is_the_same_from_counts_and_from_log1p(counts):
    all_genes = prepare([counts], PrepareSettings(genes="all"))
    setting = PrepareSettings(genes=25)
    assert prepare([counts], setting).genes == prepare([all_genes], setting).genes


BAD_SETTINGS = {
    "max_mito": (PrepareSettings(max_mito=20), "0.2"),
    "genes": (PrepareSettings(genes=0), "--genes"),
    "spread": (PrepareSettings(combat_spread=True), "--combat"),
    "leave_out": (PrepareSettings(leave_out=("THP2",)), "'THP1'"),
    "hold_out": (PrepareSettings(hold_out=("THP1:G9",)), "THP1:G"),
    "mito": (PrepareSettings(max_mito=0.2), "MT-"),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_settings_that_make_no_sense(case, counts):
    setting, said = BAD_SETTINGS[case]
    with pytest.raises(SettingsError, match=said):
        prepare([counts], setting)


def test_every_context_needs_control_cells(small_counts):
    controls = (small_counts.obs["cell_type"] == "RPE1") & (small_counts.obs["perturbation"] == "control")
    for n_left, said in ((0, "no control cells in context 'RPE1'"), (1, "only one control cell in context 'RPE1'")):
        dropped = small_counts.obs_names[controls][n_left:]
        data = PerturbationData.from_anndata(small_counts[~small_counts.obs_names.isin(dropped)].copy())
        with pytest.raises(DataError, match=said) as caught:
            prepare([data])
        assert caught.value.option == "--leave-out RPE1"
        assert prepare([data], PrepareSettings(leave_out=("RPE1",))).contexts == ("K562", "THP1")


def test_scaled_values_and_nothing_left_are_refused(small_counts, counts):
    with pytest.raises(DataError, match="no cells are left"):
        prepare([counts], PrepareSettings(min_counts=10**6))
    small_counts.X = small_counts.X.toarray() - 1
    with pytest.raises(DataError, match="scaled"):
        prepare([PerturbationData.from_anndata(small_counts, scale="scaled")])


def test_an_input_that_is_left_out_whole_is_dropped_and_counted(counts):
    whole = counts.take((counts.adata.obs["context"] == "RPE1").to_numpy())
    others = counts.take((counts.adata.obs["context"] != "RPE1").to_numpy())
    prepared = prepare([whole, others], PrepareSettings(leave_out=("RPE1",)))
    assert prepared.contexts == ("K562", "THP1")
    assert any(f"{whole.n_cells:,} cells" in note and "left out by name" in note for note in prepared.notes)
    with pytest.raises(DataError, match=r"no cells are left: .*left out by name"):
        prepare([whole], PrepareSettings(leave_out=("RPE1",)))


def test_it_is_known_how_the_data_came_about(counts, tmp_path):
    prepared = prepare([counts], PrepareSettings(genes=20, hold_out=("RPE1",), min_genes=3))
    prepared.write(tmp_path / "p.h5ad")
    again = read(tmp_path / "p.h5ad")
    known = again.provenance()
    assert known["prepare"]["genes"] == 20
    assert known["prepare"]["hold_out"] == ["RPE1"]
    assert any("20 highly variable genes" in note for note in known["prepare_notes"])
    assert again.fingerprint() == prepared.fingerprint()


def test_true_pairs_and_true_deltas_travel_along(small_counts, tmp_path):
    adata = small_counts
    adata.obs = adata.obs.rename(columns={"cell_type": "context"})
    pair = np.where(np.arange(adata.n_obs)[:, None] % 3 == 0, adata.X.toarray() + 2, 0).astype(np.float32)
    adata.layers["true_pair"] = sp.csr_matrix(pair)
    adata.obs["pair_perturbation"] = np.where(np.arange(adata.n_obs) % 3 == 0, "G1", "")
    adata.varm["true_delta"] = np.random.default_rng(0).normal(size=(60, 4))
    adata.uns["cycseq"] = {"scale": "counts"}
    adata.write_h5ad(tmp_path / "s.h5ad")
    prepared = prepare([read(tmp_path / "s.h5ad")], PrepareSettings(genes=20, leave_out=("K562:G2",)))
    rows = (adata.obs_names.isin(prepared.adata.obs_names)).nonzero()[0]
    columns = adata.var_names.get_indexer(prepared.genes)
    expected = np.log1p(pair / np.maximum(pair.sum(axis=1, keepdims=True), 1) * 1e4)[np.ix_(rows, columns)]
    np.testing.assert_allclose(prepared.adata.layers["true_pair"].toarray(), expected, rtol=2e-6)
    np.testing.assert_array_equal(prepared.adata.varm["true_delta"], adata.varm["true_delta"][columns])
    assert prepared.adata.obs["pair_perturbation"].astype(str).value_counts()["G1"] == len(rows[rows % 3 == 0])
    prepared.write(tmp_path / "p.h5ad")
    again = read(tmp_path / "p.h5ad")
    np.testing.assert_allclose(again.adata.layers["true_pair"].toarray(), expected, rtol=2e-6)
    np.testing.assert_array_equal(again.adata.varm["true_delta"], prepared.adata.varm["true_delta"])


def test_cells_that_lose_all_their_counts_are_dropped_and_said(small_counts):
    x = small_counts.X.toarray()
    x[:, 59] = 0
    x[3] = np.eye(60)[59] * 7
    small_counts.X = sp.csr_matrix(x)
    data = PerturbationData.from_anndata(small_counts)
    prepared = prepare([data], PrepareSettings(genes="all", min_cells=2))
    assert "G60" not in prepared.genes
    assert "cell3" not in prepared.adata.obs_names
    assert any("1 cell without a count" in note for note in prepared.notes)


def test_real_counts_keep_all_cells_and_genes(shared_data):
    data = read(shared_data("kang2018_pbmc_ifnb.h5ad"))
    prepared = prepare([data], PrepareSettings(genes="all"))
    assert prepared.x.shape == (5360, 4805)
    rows = np.arange(0, 5360, 97)
    np.testing.assert_allclose(prepared.x[rows].toarray(), plain(data.x[rows].toarray()), rtol=2e-6)
    assert not any("no gene" in note for note in prepared.notes)  # a cytokine is no misspelt gene


def test_real_log1p_is_taken_as_it_is(shared_data):
    data = read(shared_data("norman2019_mcfaline2023_slice.h5ad"))
    prepared = prepare([data], PrepareSettings(genes=100, singles_only=True))
    assert not any("+" in p for p in prepared.perturbations)
    kept = data.with_genes(prepared.genes).take(data.adata.obs_names.isin(prepared.adata.obs_names))
    np.testing.assert_array_equal(prepared.x.toarray(), kept.x.toarray())
    assert pd.Index(prepared.genes).is_unique
