"""Several inputs made one."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, SplitError
from cycseq.preparation.merge import merge
from cycseq.preparation.metacells import metacells
from cycseq.preparation.prepare import prepare
from cycseq.preparation.settings import PrepareSettings
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings


def of_context(adata: ad.AnnData, context: str, genes: slice = slice(None)) -> PerturbationData:
    return PerturbationData.from_anndata(adata[adata.obs["cell_type"] == context, genes].copy())


@pytest.fixture
def inputs(small_counts: ad.AnnData) -> list[PerturbationData]:
    return [of_context(small_counts, "K562", slice(0, 50)), of_context(small_counts, "RPE1", slice(10, 60))]


def test_common_genes_all_contexts_batches_told_apart(inputs, small_counts):
    merged = merge(inputs, ["one", "two"])
    assert merged.genes == [f"G{i}" for i in range(11, 51)]
    assert merged.contexts == ("K562", "RPE1")
    assert set(merged.adata.obs["batch"]) == {"one/b0", "one/b1", "two/b0", "two/b1"}
    expected = small_counts[small_counts.obs["cell_type"] != "THP1", merged.genes]
    np.testing.assert_array_equal(merged.x.toarray(), expected.X.toarray())
    assert list(merged.adata.obs_names) == list(expected.obs_names)
    assert [origin["name"] for origin in merged.provenance()["merged"]] == ["one", "two"]


def test_the_library_size_is_that_of_all_genes_of_the_input(inputs, small_counts):
    prepared = prepare(inputs, PrepareSettings(genes="all"))
    first = small_counts[small_counts.obs["cell_type"] == "K562"]
    total = first.X[:, :50].toarray().sum(axis=1, keepdims=True)
    expected = np.log1p(first.X[:, 10:50].toarray() / total * 1e4)
    np.testing.assert_allclose(prepared.x[:200].toarray(), expected, rtol=2e-6)
    assert any("40 genes are common to all" in note for note in prepared.notes)


def test_preparing_first_or_merging_first_is_the_same(inputs):
    whole = prepare(inputs, PrepareSettings(genes="all"), ["a", "b"])
    alone = [prepare([data], PrepareSettings(genes="all")) for data in inputs]
    again = prepare(alone, PrepareSettings(genes="all"), ["a", "b"])
    np.testing.assert_array_equal(whole.x.toarray(), again.x.toarray())
    assert whole.adata.obs["batch"].equals(again.adata.obs["batch"])


def test_limits_hold_in_every_input(inputs):
    prepared = prepare(inputs, PrepareSettings(genes="all", min_counts=150, leave_out=("RPE1:G1",)), ["a", "b"])
    kept = [np.asarray(data.x.sum(axis=1)).ravel() >= 150 for data in inputs]
    kept[1] &= (inputs[1].adata.obs["perturbation"] != "G1").to_numpy()
    assert prepared.n_cells == sum(k.sum() for k in kept)
    assert 0 < prepared.n_cells < 400


def test_cells_get_a_prefix_where_names_collide(inputs):
    inputs[1].adata.obs_names = inputs[0].adata.obs_names
    merged = merge(inputs, ["one", "two"])
    assert merged.adata.obs_names.is_unique
    assert merged.adata.obs_names[0] == f"one/{inputs[0].adata.obs_names[0]}"
    assert any("cells were prefixed" in note for note in merged.notes)


def test_inputs_of_one_name_are_told_apart(inputs):
    assert merge(inputs, ["x", "x"]).adata.obs["batch"].nunique() == 4


def test_the_same_input_twice_is_refused(inputs):
    with pytest.raises(DataError, match="one and two hold the same cells"):
        merge([inputs[0], inputs[0]], ["one", "two"])


@pytest.mark.parametrize("second", ["metacells", "cells"])
def test_members_of_metacells_are_kept_and_told_apart(inputs, second):
    inputs = [metacells(data, 10, 3) if i == 0 or second == "metacells" else data for i, data in enumerate(inputs)]
    merged = merge(inputs, ["one", "two"])
    members, n = merged.adata.obsm["source_cells"], inputs[0].n_cells
    first = inputs[0].adata.obsm["source_cells"].toarray()
    other = inputs[1].adata.obsm["source_cells"].toarray() if second == "metacells" else np.eye(200, dtype=bool)
    assert sp.isspmatrix_csr(members)
    assert members.dtype == bool
    np.testing.assert_array_equal(members[:n, :200].toarray(), first)
    np.testing.assert_array_equal(members[n:, 200:].toarray(), other)
    assert members.nnz == first.sum() + other.sum()
    with pytest.raises(SplitError, match="metacells of these data share cells"):
        make_splits(merged, SplitSettings(kind="random-cells"))


def test_one_input_is_itself(inputs):
    assert merge(inputs[:1]) is inputs[0]
    with pytest.raises(DataError, match="nothing to merge"):
        merge([])


def test_scales_must_agree(inputs):
    logged = prepare([inputs[1]], PrepareSettings(genes="all"))
    with pytest.raises(DataError, match="one is counts, two is log1p"):
        prepare([inputs[0], logged], names=["one", "two"])


OTHER_NAMES = {
    "case": (str.lower, "upper and lower case"),
    "ensembl": (lambda gene: f"ENSG{int(gene[1:]):011d}", "Ensembl identifiers"),
    "version": (lambda gene: f"{gene}.1", "version after the dot"),
    "other": (lambda gene: f"x{gene}", "one species"),
}


@pytest.mark.parametrize("kind", OTHER_NAMES)
def test_genes_that_do_not_overlap(kind, small_counts):
    rename, said = OTHER_NAMES[kind]
    other = small_counts[small_counts.obs["cell_type"] == "RPE1"].copy()
    other.var_names = [rename(gene) for gene in other.var_names]
    with pytest.raises(DataError, match=said) as caught:
        merge([of_context(small_counts, "K562"), PerturbationData.from_anndata(other)], ["one", "two"])
    assert "one has G1, G2, G3" in str(caught.value)
    assert f"two has {rename('G1')}" in str(caught.value)
