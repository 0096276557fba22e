"""The one door, and what `PerturbationData` says of its cells."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.settings import ObsKeys
from cycseq.errors import DataError, FileError
from cycseq.formats.read import read


def test_what_passes_the_door(small_counts: ad.AnnData) -> None:
    before = small_counts.copy()
    data = PerturbationData.from_anndata(small_counts)
    assert data.scale == "counts"
    assert data.x.dtype == np.float32
    assert all(isinstance(data.adata.obs[c].dtype, pd.CategoricalDtype) for c in ("context", "perturbation", "batch"))
    assert data.contexts == ("K562", "RPE1", "THP1")
    assert data.perturbations == ("G1", "G1+G2", "G2", "G3")
    assert len(data.conditions()) == 15
    assert "cell_type" in data.adata.obs
    pd.testing.assert_frame_equal(small_counts.obs, before.obs)
    assert "cycseq" not in small_counts.uns


def test_values_are_not_copied_where_they_need_no_change(small_counts: ad.AnnData) -> None:
    data = PerturbationData.from_anndata(small_counts)
    assert np.shares_memory(data.x.data, small_counts.X.data)
    small_counts.X = np.ascontiguousarray(small_counts.X.toarray())
    assert np.shares_memory(PerturbationData.from_anndata(small_counts).x, small_counts.X)


@pytest.mark.parametrize("form", [sp.csc_matrix, sp.csr_array, np.float64, np.int64, np.uint16])
def test_other_forms_of_the_same_values(small_counts: ad.AnnData, form) -> None:
    expected = small_counts.X.toarray()
    x = form(expected)
    data = PerturbationData.from_anndata(ad.AnnData(x, obs=small_counts.obs, var=small_counts.var))
    got = data.x.toarray() if sp.issparse(data.x) else data.x
    assert sp.issparse(data.x) == sp.issparse(x)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


def test_a_backed_file_is_loaded(small_counts: ad.AnnData, tmp_path) -> None:
    small_counts.write_h5ad(tmp_path / "a.h5ad")
    data = PerturbationData.from_anndata(ad.read_h5ad(tmp_path / "a.h5ad", backed="r"))
    np.testing.assert_array_equal(data.x.toarray(), small_counts.X.toarray())


def test_stored_zeros_and_unsorted_columns_leave_the_fingerprint_alone(small_counts: ad.AnnData) -> None:
    plain = PerturbationData.from_anndata(small_counts).fingerprint()
    x = small_counts.X.copy()
    order = np.concatenate([np.arange(a, b)[::-1] for a, b in zip(x.indptr[:-1], x.indptr[1:], strict=True)])
    odd = sp.csr_matrix((x.data[order], x.indices[order], x.indptr), shape=x.shape)
    row0 = odd[0].toarray()
    zero_at = int(np.flatnonzero(row0[0] == 0)[0])
    odd = sp.csr_matrix(
        (np.insert(odd.data, 0, 0.0), np.insert(odd.indices, 0, zero_at), odd.indptr + (np.arange(x.shape[0] + 1) > 0)),
        shape=x.shape,
    )
    n_stored = odd.nnz
    data = PerturbationData.from_anndata(ad.AnnData(odd, obs=small_counts.obs, var=small_counts.var))
    assert data.fingerprint() == plain
    assert odd.nnz == n_stored, "the user's matrix was changed"


def test_written_and_read_again_it_is_the_same(small_data: PerturbationData, tmp_path) -> None:
    for name in ("a.h5ad", "a.zarr"):
        small_data.write(tmp_path / name)
        read = ad.read_h5ad(tmp_path / name) if name.endswith("h5ad") else ad.read_zarr(tmp_path / name)
        again = PerturbationData.from_anndata(read)
        assert again.fingerprint() == small_data.fingerprint()
        assert again.scale == "log1p"
        with pytest.raises(FileError, match="exists already"):
            small_data.write(tmp_path / name)


def test_predicted_cells_have_no_controls_and_are_read_again(small_data: PerturbationData, tmp_path) -> None:
    predicted = small_data.subset([c for c in small_data.conditions() if not c.is_control])
    predicted.write(tmp_path / "p.h5ad")
    again = PerturbationData.from_anndata(ad.read_h5ad(tmp_path / "p.h5ad"))
    assert again.conditions() == predicted.conditions()
    with pytest.raises(DataError, match=r"no control cells in context 'K562' \(3 contexts have none\)"):
        again.require_controls()


def test_whole_numbers_that_are_log1p_stay_log1p(small_data: PerturbationData, tmp_path) -> None:
    """A prediction of zeros and ones was written as log1p, and is not guessed to be counts."""
    adata = small_data.adata.copy()
    adata.X = sp.csr_matrix((adata.X > 0).astype(np.float32))
    assert PerturbationData.from_anndata(adata, scale="log1p").scale == "log1p"
    PerturbationData(adata, "log1p").write(tmp_path / "a.h5ad")
    assert read(tmp_path / "a.h5ad").scale == "log1p"


def test_require_controls(small_data: PerturbationData) -> None:
    assert small_data.require_controls() is small_data
    lacking = small_data.subset([c for c in small_data.conditions() if str(c) != "RPE1:control"])
    with pytest.raises(DataError, match="no control cells in context 'RPE1'"):
        lacking.require_controls()


@pytest.mark.parametrize("what", ["cells", "genes"])
def test_duplicated_names(small_counts: ad.AnnData, what: str) -> None:
    names = small_counts.obs_names if what == "cells" else small_counts.var_names
    twice = [names[0], *names[:1], *names[2:]]
    if what == "cells":
        small_counts.obs_names = twice
    else:
        small_counts.var_names = twice
    with pytest.raises(
        DataError, match=f"1 {what[:-1]} has a name that already occurred.*{names[0]}.*--make-unique true"
    ):
        PerturbationData.from_anndata(small_counts)
    data = PerturbationData.from_anndata(small_counts, make_unique=True)
    assert data.adata.obs_names.is_unique
    assert data.adata.var_names.is_unique


def test_empty_cells(small_counts: ad.AnnData) -> None:
    x = small_counts.X.tolil()
    x[[3, 7]] = 0
    small_counts.X = sp.csr_matrix(x)
    with pytest.raises(DataError, match=r"2 cells are empty \(all values 0; first: cell3\).*--drop-empty true"):
        PerturbationData.from_anndata(small_counts)
    data = PerturbationData.from_anndata(small_counts, drop_empty=True)
    assert data.n_cells == small_counts.n_obs - 2
    assert not {"cell3", "cell7"} & set(data.adata.obs_names)
    assert any("2 cells without a single count were left out" in note for note in data.notes)


def test_unlabelled_and_empty_cells_leave_together(small_counts: ad.AnnData) -> None:
    labels = small_counts.obs["perturbation"].astype(object)
    labels.iloc[:5] = "unassigned"
    small_counts.obs["perturbation"] = labels
    x = small_counts.X.tolil()
    x[[3, 7]] = 0
    small_counts.X = sp.csr_matrix(x)
    data = PerturbationData.from_anndata(small_counts, drop_unlabelled=True, drop_empty=True)
    assert data.n_cells == small_counts.n_obs - 6
    assert any("5 cells without a label" in note for note in data.notes)
    assert any("1 cell without a single count" in note for note in data.notes)
    np.testing.assert_array_equal(data.x.toarray(), small_counts[data.adata.obs_names].X.toarray())


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda x: -x, "negative"), (lambda x: x * 1.5, "neither counts nor log1p"),
     (lambda x: np.where(x > 3, np.nan, x), "NaN or infinite"), (lambda x: np.where(x > 3, np.inf, x), "NaN or infinite")],
)  # fmt: skip
def test_values_that_are_no_counts(small_counts: ad.AnnData, change, message: str) -> None:
    x = small_counts.X.toarray()
    x[0, 0] = 40
    small_counts.X = change(x)
    with pytest.raises(DataError, match=message):
        PerturbationData.from_anndata(small_counts)


def test_values_of_our_own_files_are_looked_at_too(small_data: PerturbationData) -> None:
    adata = small_data.adata.copy()
    adata.X.data[0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        PerturbationData.from_anndata(adata)


def test_log_data_said_to_be_counts(small_data: PerturbationData) -> None:
    foreign = ad.AnnData(
        small_data.x, obs=small_data.adata.obs[["cell_type", "perturbation"]], var=small_data.adata.var
    )
    with pytest.raises(DataError, match="--scale counts was given, but the values look like log1p"):
        PerturbationData.from_anndata(foreign, scale="counts")


def test_no_cells_no_genes_no_values(small_counts: ad.AnnData) -> None:
    with pytest.raises(DataError, match="0 cells x 60 genes"):
        PerturbationData.from_anndata(small_counts[:0])
    with pytest.raises(DataError, match="the file has no X"):
        PerturbationData.from_anndata(ad.AnnData(obs=small_counts.obs, var=small_counts.var))
    with pytest.raises(DataError, match=r"negative.*--layer counts"):
        PerturbationData.from_anndata(
            ad.AnnData(-small_counts.X, obs=small_counts.obs, var=small_counts.var, layers={"counts": small_counts.X})
        )


def test_gears_labels_and_gene_names(small_counts: ad.AnnData) -> None:
    gears = small_counts.copy()
    old = gears.obs.pop("perturbation").astype(str)
    gears.obs["condition"] = old.map(
        {"control": "ctrl", "G1": "G1+ctrl", "G2": "ctrl+G2", "G3": "G3+ctrl", "G1+G2": "G2+G1"}
    )
    gears.var["gene_name"] = gears.var_names
    gears.var_names = [f"ENSG{i:011d}" for i in range(gears.n_vars)]
    gears.var["gene_name"] = [*gears.var["gene_name"][:-2], "twin", "twin"]
    data = PerturbationData.from_anndata(gears)
    assert (data.adata.obs["perturbation"].astype(str) == old).all()
    assert data.genes[:2] == ["G1", "G2"]
    assert data.genes[-2:] == list(gears.var_names[-2:])
    assert data.targets(Condition("K562", "G1+G2")) == [0, 1]


def test_obs_columns_are_kept_and_can_be_written(small_counts: ad.AnnData, tmp_path) -> None:
    small_counts.obs["guide"] = "g1"
    small_counts.obs["dose_value"] = 1.5
    small_counts.obs["odd"] = pd.Series(
        [True, None] * (small_counts.n_obs // 2), index=small_counts.obs_names, dtype=object
    )
    small_counts.obs["context"] = "elsewhere"
    data = PerturbationData.from_anndata(small_counts, keys=ObsKeys(context="cell_type"))
    assert data.contexts == ("K562", "RPE1", "THP1")
    assert set(data.adata.obs["context_in_file"]) == {"elsewhere"}
    data.write(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad")
    assert {"guide", "dose_value", "odd"} <= set(again.obs)
    assert again.obs["odd"].isna().sum() == small_counts.n_obs / 2


def test_conditions_cells_and_moments_agree_with_pandas(small_data: PerturbationData) -> None:
    frame = pd.DataFrame(small_data.x.toarray())
    means = frame.groupby([small_data.adata.obs[c].astype(str).to_numpy() for c in ("context", "perturbation")]).mean()
    assert [tuple(c) for c in small_data.conditions()] == list(means.index)
    np.testing.assert_allclose(small_data.moments.mean, means.to_numpy(), rtol=1e-5, atol=1e-6)
    condition = Condition("RPE1", "G2")
    assert small_data.cells(condition).shape == (40, 60)
    with pytest.raises(DataError, match="did you mean 'RPE1:G2'"):
        small_data.rows(Condition("RPE1", "G22"))


def test_parse_condition() -> None:
    assert Condition.parse("NK:stim") == Condition("NK", "stim")
    assert Condition.parse("NK:B+A") == Condition("NK", "A+B")
    assert Condition.parse("NK:IFN+") == Condition("NK", "IFN+")
    assert Condition.parse("a:b:stim") == Condition("a:b", "stim")
    assert Condition.parse("A549:5-Aza:C", ["A549", "K562"]) == Condition("A549", "5-Aza:C")
    assert Condition.parse("a:b:c:d", ["a", "a:b"]) == Condition("a:b", "c:d")
    for text in ("NK", "NK:", ":stim"):
        with pytest.raises(DataError, match="expected CONTEXT:PERTURBATION"):
            Condition.parse(text)


def test_with_genes_reorders_or_names_what_is_missing(small_data: PerturbationData) -> None:
    turned = small_data.with_genes(["G5", "G2"])
    np.testing.assert_array_equal(turned.x.toarray(), small_data.x.toarray()[:, [4, 1]])
    with pytest.raises(DataError, match="1 of 2 genes are missing from the data: nogene"):
        small_data.with_genes(["G1", "nogene"])
