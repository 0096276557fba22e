"""Metacells: averages of the cells that they say, of one condition and batch."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cycseq.data.dataset import PerturbationData
from cycseq.errors import SettingsError
from cycseq.formats.read import read
from cycseq.preparation.metacells import _shared_out, metacells
from cycseq.preparation.prepare import prepare
from cycseq.preparation.settings import PrepareSettings


def test_each_is_the_mean_of_its_sources(small_data):
    made = metacells(small_data, k=7, draws=6, seed=1)
    source = made.adata.obsm["source_cells"]
    assert sp.issparse(source)
    assert source.dtype == bool
    assert source.shape == (15 * 6, small_data.n_cells)
    x = small_data.x.toarray()
    obs = small_data.adata.obs
    for i in range(made.n_cells):
        members = source[i].indices
        assert len(members) == 7
        np.testing.assert_allclose(made.x[i], x[members].mean(axis=0), rtol=1e-5)
        for column in ("context", "perturbation", "batch"):
            assert set(obs[column].iloc[members]) == {made.adata.obs[column].iloc[i]}
    assert made.x.dtype == np.float32
    assert made.scale == "log1p"
    assert made.conditions() == small_data.conditions()


def test_dense_and_sparse_give_the_same(small_data):
    other = small_data.adata.copy()
    other.X = other.X.toarray()
    one, two = (metacells(d, 5, 4) for d in (small_data, PerturbationData(adata=other, scale="log1p")))
    np.testing.assert_allclose(one.x, two.x, rtol=1e-6)


def test_every_condition_has_as_many_and_the_seed_decides(small_data):
    made = metacells(small_data, k=5, draws=9, seed=3)
    assert set(np.bincount(made.condition_codes)) == {9}
    again, other = metacells(small_data, 5, 9, 3), metacells(small_data, 5, 9, 4)
    assert made.fingerprint() == again.fingerprint() != other.fingerprint()


def test_too_few_cells_are_drawn_with_replacement(small_data):
    few = small_data.take(np.r_[0:3, 40 : small_data.n_cells])
    made = metacells(few, k=10, draws=4)
    rows = made.rows(made.conditions()[-1])
    assert (made.adata.obs["n_cells"].iloc[rows] == 10).all()
    control = made.adata.obs[(made.adata.obs["context"] == "K562") & (made.adata.obs["perturbation"] == "control")]
    assert (control["n_cells"] <= 2).all()
    assert any("drawn with replacement" in note for note in made.notes)


def test_the_mean_of_a_condition_is_kept(small_data):
    made = metacells(small_data, k=20, draws=400)
    np.testing.assert_allclose(made.moments.mean, small_data.moments.mean, atol=0.12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=9), st.integers(1, 60))
def test_draws_are_shared_out_in_proportion(n_cells, draws):
    shares = _shared_out(np.array(n_cells), draws)
    assert shares.sum() == draws
    assert np.abs(shares - draws * np.array(n_cells) / sum(n_cells)).max() < 1


def test_prepared_and_written(small_counts, tmp_path):
    data = PerturbationData.from_anndata(small_counts)
    setting = PrepareSettings(genes="all", metacells=True, metacell_cells=5, metacell_draws=3, seed=2)
    made = prepare([data], setting)
    plain = prepare([data], PrepareSettings(genes="all"))
    np.testing.assert_array_equal(made.x, metacells(plain, 5, 3, 2).x)
    for name in ("m.h5ad", "m.zarr"):
        made.write(tmp_path / name)
        again = read(tmp_path / name)
        assert again.fingerprint() == made.fingerprint()
        assert (again.adata.obsm["source_cells"] != made.adata.obsm["source_cells"]).nnz == 0
        assert again.provenance()["metacells"] == {"k": 5, "draws": 3, "seed": 2, "cells": 600}


def test_none_of_none_is_refused(small_data):
    with pytest.raises(SettingsError, match="--metacell-cells"):
        metacells(small_data, k=0)
