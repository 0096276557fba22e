"""Every format: what was written is what is read."""

import gzip

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from cycseq.cli import main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, FileError
from cycseq.formats.load import default_context, load, read_anndata
from cycseq.formats.read import read
from cycseq.formats.readers import READERS
from cycseq.formats.settings import ReadSettings

GENES = ["KLF1", "BAK1", "MYC", "ACTB", "HLA-A"]
IDS = [f"ENSG{i:011d}" for i in range(len(GENES))]
BARCODES = [f"{a}{b}ACGTACGTACGTAC-{lane}" for a in "ACGT" for b in "ACGT" for lane in (1, 2)][:24]
COUNTS = np.random.default_rng(0).poisson(2.0, (24, 5)).astype(np.float32) + np.eye(24, 5, dtype=np.float32)
OBS = pd.DataFrame(
    {
        "perturbation": ["control", "KLF1", "BAK1+KLF1"] * 8,
        "cell_line": ["K562"] * 12 + ["RPE1"] * 12,
        "batch": ["1", "2"] * 12,
    },
    index=BARCODES,
)


@pytest.fixture
def source() -> ad.AnnData:
    return ad.AnnData(sp.csr_matrix(COUNTS), obs=OBS.copy(), var=pd.DataFrame(index=GENES))


def check(data: PerturbationData, *, contexts: bool = True, sparse: bool | None = None) -> None:
    """The same cells in the same order, with the same values and labels."""
    assert data.genes == GENES
    assert list(data.adata.obs_names) == BARCODES
    got = data.x.toarray() if sp.issparse(data.x) else data.x
    np.testing.assert_array_equal(got, COUNTS)
    assert data.adata.obs["perturbation"].tolist() == OBS["perturbation"].tolist()
    assert data.adata.obs["batch"].tolist() == OBS["batch"].tolist()
    if contexts:
        assert data.adata.obs["context"].tolist() == OBS["cell_line"].tolist()
    if sparse is not None:
        assert sp.issparse(data.x) == sparse


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_anndata(source: ad.AnnData, tmp_path, ending: str, sparse: bool) -> None:
    if not sparse:
        source.X = COUNTS
    getattr(source, f"write_{ending}")(tmp_path / f"a.{ending}")
    check(read(tmp_path / f"a.{ending}"), sparse=sparse)
    check(read(str(tmp_path / f"a.{ending}")))
    assert "perturbation" in read_anndata(tmp_path / f"a.{ending}").obs


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_layers_and_raw(source: ad.AnnData, tmp_path, ending: str) -> None:
    source.raw = source.copy()
    source.layers["counts"] = source.X.copy()
    source.X = COUNTS - COUNTS.mean(axis=0)
    source = source[:, 1:].copy()
    path = tmp_path / f"a.{ending}"
    getattr(source, f"write_{ending}")(path)
    with pytest.raises(DataError, match=r"negative.*--layer counts") as err:
        read(path)
    assert err.value.option == "--layer counts"
    data = read(path, ReadSettings(layer="counts"))
    np.testing.assert_array_equal(data.x.toarray(), COUNTS[:, 1:])
    assert "values <- layers/counts" in data.notes
    check(read(path, ReadSettings(layer="raw")))
    with pytest.raises(DataError, match="no layer 'count': did you mean 'counts'"):
        read(path, ReadSettings(layer="count"))
    assert read(path, ReadSettings(scale="scaled")).scale == "scaled"


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("ending", ["h5ad", "zarr", "old.h5ad"])
def test_the_scale_that_cycseq_wrote_is_that_of_x_only(source: ad.AnnData, tmp_path, ending: str) -> None:
    source.obs["context"] = source.obs["cell_line"]
    source.uns["cycseq"] = {"scale": "log1p", "seed": 3}
    source.layers["counts"] = source.X.copy()
    source.raw = source.copy()
    source.X = source.X.log1p()
    path = tmp_path / f"a.{ending}"
    getattr(source, f"write_{ending.removeprefix('old.')}")(path)
    if ending == "old.h5ad":
        with h5py.File(path, "a") as file:
            del file.attrs["encoding-type"], file.attrs["encoding-version"]
    assert read(path).scale == "log1p"
    for layer in ("counts", "raw"):
        data = read(path, ReadSettings(layer=layer))
        assert data.scale == "counts"
        assert data.provenance()["seed"] == 3
        np.testing.assert_array_equal(data.x.toarray(), COUNTS)


def test_no_cells_have_no_conditions(source: ad.AnnData, tmp_path) -> None:
    source[source.obs["perturbation"] != "control"].copy().write_h5ad(tmp_path / "a.h5ad")
    none = read(tmp_path / "a.h5ad", ReadSettings(control="none")).controls()
    assert none.conditions() == none.contexts == none.perturbations == ()
    assert none.condition_codes.shape == (0,)


def test_h5ad_of_old_versions(source: ad.AnnData, tmp_path) -> None:
    source.write_h5ad(tmp_path / "old.h5ad")
    with h5py.File(tmp_path / "old.h5ad", "a") as file:
        del file.attrs["encoding-type"], file.attrs["encoding-version"]
    check(read(tmp_path / "old.h5ad"))


def test_h5mu(source: ad.AnnData, tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5mu", "w") as file:
        ad.io.write_elem(file, "obs", source.obs[["perturbation", "batch"]])
        bare = ad.AnnData(source.X, obs=source.obs[["cell_line"]], var=source.var)
        ad.io.write_elem(file, "mod/rna", bare)
        ad.io.write_elem(file, "mod/adt", bare[:, :1].copy())
    check(read(tmp_path / "a.h5mu"), sparse=True)


def test_ensembl_names_give_way_to_symbols(source: ad.AnnData, tmp_path) -> None:
    source.var = pd.DataFrame({"gene_name": GENES}, index=IDS)
    source.write_h5ad(tmp_path / "a.h5ad")
    data = read(tmp_path / "a.h5ad")
    check(data)
    assert data.adata.var["gene_id"].tolist() == IDS


def write_10x(folder, prefix: str = "", *, zipped: bool = True, features: str = "features.tsv") -> None:
    folder.mkdir(exist_ok=True, parents=True)
    ending = ".gz" if zipped else ""
    opened = gzip.open if zipped else open
    with opened(folder / f"{prefix}matrix.mtx{ending}", "wb") as file:
        scipy.io.mmwrite(file, sp.coo_matrix(COUNTS.T.astype(int)))
    pd.Series(BARCODES).to_csv(folder / f"{prefix}barcodes.tsv{ending}", index=False, header=False)
    table = pd.DataFrame({"id": IDS, "name": GENES})
    if features == "features.tsv":
        table["type"] = "Gene Expression"
    table.to_csv(folder / f"{prefix}{features}{ending}", sep="\t", index=False, header=False)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("features", ["features.tsv", "genes.tsv"])
def test_10x_folder(tmp_path, zipped: bool, features: str) -> None:
    write_10x(tmp_path / "sample", zipped=zipped, features=features)
    OBS.to_csv(tmp_path / "labels.csv")
    data = read(tmp_path / "sample", ReadSettings(labels_file=tmp_path / "labels.csv"))
    check(data, sparse=True)
    raw = read_anndata(tmp_path / "sample")
    assert raw.obs["gem_group"].tolist() == OBS["batch"].tolist()


@pytest.mark.parametrize("identities", ["GSE1_10X_cell_identities.csv.gz", "GSE1_cell_identities.csv"])
@pytest.mark.parametrize("given", ["", "GSE1_10X_", "GSE1_10X", "GSE1_10X_matrix.mtx.gz"])
def test_geo_prefixes_and_cell_identities(tmp_path, given: str, identities: str) -> None:
    write_10x(tmp_path / "geo", "GSE1_10X_", features="genes.tsv")
    table = pd.DataFrame({"cell_barcode": BARCODES, "gene": OBS["perturbation"].to_numpy(), "number_of_cells": 1})
    table.loc[3, "number_of_cells"] = 2
    table.drop(index=[5]).sample(frac=1, random_state=0).to_csv(tmp_path / "geo" / identities, index=False)
    data = read(tmp_path / "geo" / given if given else tmp_path / "geo")
    kept = [i for i in range(24) if i not in {3, 5}]
    assert list(data.adata.obs_names) == [BARCODES[i] for i in kept]
    np.testing.assert_array_equal(data.x.toarray(), COUNTS[kept])
    assert data.adata.obs["perturbation"].tolist() == OBS["perturbation"].iloc[kept].tolist()
    assert data.adata.obs["batch"].tolist() == OBS["batch"].iloc[kept].tolist()
    assert any("2 of 24 cells are assigned to no perturbation" in note for note in data.notes)
    assert data.contexts == (("GSE1_10X" if given else "geo"),)


def test_guide_identities_of_norman(tmp_path) -> None:
    write_10x(tmp_path, "GSE133344_raw_", features="genes.tsv")
    guides = {"control": "NegCtrl0_NegCtrl3", "KLF1": "NegCtrl0_KLF1", "BAK1+KLF1": "KLF1_BAK1"}
    table = pd.DataFrame({"cell_barcode": BARCODES, "guide_identity": [f"{guides[p]}__{guides[p]}" for p in OBS["perturbation"]],
                          "good_coverage": [True] * 23 + [False]})  # fmt: skip
    table.to_csv(tmp_path / "GSE133344_raw_cell_identities.csv.gz", index=False)
    data = read(tmp_path / "GSE133344_raw_matrix.mtx.gz")
    assert data.adata.obs["perturbation"].tolist() == OBS["perturbation"].tolist()[:23]


def test_several_matrices_in_a_folder_are_named(tmp_path) -> None:
    for prefix in ("CROPseq_K562_noNK_", "CROPseq_LP1_noNK_"):
        write_10x(tmp_path, prefix)
    with pytest.raises(FileError, match=r"2 matrices: name one.*CROPseq_K562_noNK_, .*CROPseq_LP1_noNK_"):
        read(tmp_path)
    OBS.to_csv(tmp_path / "labels.csv")
    check(read(tmp_path / "CROPseq_LP1_noNK_", ReadSettings(labels_file=tmp_path / "labels.csv")))


def test_antibodies_and_twin_symbols(tmp_path) -> None:
    write_10x(tmp_path / "s")
    table = pd.DataFrame({"id": [*IDS[:4], "CD3"], "name": ["KLF1", "twin", "twin", "ACTB", "CD3"],
                          "type": ["Gene Expression"] * 4 + ["Antibody Capture"]})  # fmt: skip
    table.to_csv(tmp_path / "s/features.tsv.gz", sep="\t", index=False, header=False)
    loaded = load(tmp_path / "s", ReadSettings())
    assert loaded.adata.var_names.tolist() == ["KLF1", IDS[1], IDS[2], "ACTB"]
    assert loaded.notes == ("features other than Gene Expression were left out: 1 of Antibody Capture",)
    np.testing.assert_array_equal(loaded.adata.X.toarray(), COUNTS[:, :4])


@pytest.mark.parametrize("version", [2, 3])
def test_10x_h5(tmp_path, version: int) -> None:
    x = sp.csr_matrix(COUNTS)
    with h5py.File(tmp_path / "filtered.h5", "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        group["data"], group["indices"], group["indptr"] = x.data.astype(int), x.indices, x.indptr
        group["shape"] = (len(GENES), len(BARCODES))
        group["barcodes"] = np.array(BARCODES, dtype="S")
        if version == 3:
            group["features/id"], group["features/name"] = np.array(IDS, dtype="S"), np.array(GENES, dtype="S")
            group["features/feature_type"] = np.array(["Gene Expression"] * 5, dtype="S")
        else:
            group["genes"], group["gene_names"] = np.array(IDS, dtype="S"), np.array(GENES, dtype="S")
    OBS.to_csv(tmp_path / "labels.csv")
    data = read(tmp_path / "filtered.h5", ReadSettings(labels_file=tmp_path / "labels.csv"))
    check(data, sparse=True)
    assert load(tmp_path / "filtered.h5", ReadSettings()).format == f"10x h5, version {version}"


@pytest.mark.parametrize(
    ("name", "sep"), [("a.csv", ","), ("a.csv.gz", ","), ("a.tsv", "\t"), ("a.txt.gz", "\t"), ("a.csv", ";")]
)
@pytest.mark.parametrize("decimals", [False, True])
def test_cells_by_genes(tmp_path, name: str, sep: str, decimals: bool) -> None:
    values = pd.DataFrame(COUNTS if decimals else COUNTS.astype(int), index=BARCODES, columns=GENES)
    table = pd.concat(
        [OBS[["perturbation"]], values, OBS[["cell_line", "batch"]], pd.Series(7, OBS.index, name="n_counts")], axis=1
    )
    table.to_csv(tmp_path / name, sep=sep)
    data = read(tmp_path / name)
    check(data)
    assert data.adata.obs["n_counts"].tolist() == [7] * 24
    assert any("orientation: cells-by-genes (the header names a column of labels" in note for note in data.notes)


def test_clusters_and_scores_are_labels_not_genes(tmp_path) -> None:
    columns = {"leiden": 1, "seurat_clusters": 2, "S_score": 0.5, "G2M.Score": -0.5, "pseudotime": 0.1}
    values = pd.DataFrame(COUNTS, index=BARCODES, columns=GENES)
    pd.concat([OBS, values, pd.DataFrame(columns, index=BARCODES)], axis=1).to_csv(tmp_path / "a.csv")
    data = read(tmp_path / "a.csv")
    check(data)
    assert set(columns) <= set(data.adata.obs)


def test_mostly_zero_tables_are_kept_sparse(tmp_path) -> None:
    values = np.eye(24, 60, dtype=int)
    pd.concat([OBS, pd.DataFrame(values, index=BARCODES)], axis=1).to_csv(tmp_path / "a.csv")
    data = read(tmp_path / "a.csv")
    assert sp.issparse(data.x)
    np.testing.assert_array_equal(data.x.toarray(), values)


@pytest.mark.parametrize("said", [None, "genes-by-cells"])
def test_genes_by_cells_with_labels(tmp_path, said) -> None:
    pd.DataFrame(COUNTS.T, index=GENES, columns=BARCODES).to_csv(tmp_path / "a.csv")
    OBS.rename_axis("barcode").sample(frac=1, random_state=1).to_csv(tmp_path / "labels.csv")
    data = read(tmp_path / "a.csv", ReadSettings(labels_file=tmp_path / "labels.csv", orientation=said))
    check(data)
    assert any("orientation: genes-by-cells" in note for note in data.notes)


def test_orientation_from_barcodes_or_said(tmp_path) -> None:
    cells = [f"c{i}" for i in range(24)]
    pd.DataFrame(COUNTS, index=BARCODES, columns=GENES).to_csv(tmp_path / "rows.csv")
    pd.DataFrame(COUNTS.T, index=GENES, columns=BARCODES).to_csv(tmp_path / "columns.csv")
    pd.DataFrame(COUNTS.T, index=GENES, columns=cells).to_csv(tmp_path / "neither.csv")
    for name in ("rows.csv", "columns.csv"):
        adata = read_anndata(tmp_path / name)
        assert adata.obs_names.tolist() == BARCODES
        np.testing.assert_array_equal(adata.X, COUNTS)
    with pytest.raises(DataError, match=r"whether rows are cells or genes.*--orientation cells-by-genes"):
        read_anndata(tmp_path / "neither.csv")
    assert (
        read_anndata(tmp_path / "neither.csv", ReadSettings(orientation="genes-by-cells")).obs_names.tolist() == cells
    )


def test_header_without_a_name_for_the_index(tmp_path) -> None:
    """R's write.table leaves the first header field out."""
    text = pd.concat([OBS, pd.DataFrame(COUNTS, index=BARCODES, columns=GENES)], axis=1).to_csv(sep="\t")
    (tmp_path / "a.tsv").write_text(text.removeprefix("\t"))
    check(read(tmp_path / "a.tsv"))


def test_npy_with_genes_and_labels(tmp_path) -> None:
    np.save(tmp_path / "a.npy", COUNTS)
    (tmp_path / "genes.txt").write_text("\n".join(GENES))
    OBS.to_csv(tmp_path / "labels.csv")
    settings = ReadSettings(genes_file=tmp_path / "genes.txt", labels_file=tmp_path / "labels.csv")
    check(read(tmp_path / "a.npy", settings), sparse=False)
    np.save(tmp_path / "turned.npy", COUNTS.T)
    with pytest.raises(DataError, match=r"24 columns, but 5 genes are named.*--orientation genes-by-cells"):
        read(tmp_path / "turned.npy", settings)
    turned = ReadSettings(
        genes_file=settings.genes_file, labels_file=settings.labels_file, orientation="genes-by-cells"
    )
    check(read(tmp_path / "turned.npy", turned))


def test_npz_of_scipy_and_of_named_arrays(tmp_path) -> None:
    sp.save_npz(tmp_path / "a.npz", sp.csr_matrix(COUNTS))
    (tmp_path / "a.genes.txt").write_text("\n".join(GENES))
    OBS.to_csv(tmp_path / "labels.csv")
    check(read(tmp_path / "a.npz", ReadSettings(labels_file=tmp_path / "labels.csv")), sparse=True)
    columns = {c: OBS[c].to_numpy(dtype=str) for c in OBS}
    np.savez(tmp_path / "b.npz", X=COUNTS, genes=np.array(GENES), cells=np.array(BARCODES), **columns)
    check(read(tmp_path / "b.npz"), sparse=False)


@pytest.mark.parametrize("form", ["coo", "csc", "csr"])
def test_npz_of_any_sparse_form(tmp_path, form: str) -> None:
    sp.save_npz(tmp_path / "a.npz", sp.csr_matrix(COUNTS).asformat(form))
    (tmp_path / "a.genes.txt").write_text("\n".join(GENES))
    OBS.to_csv(tmp_path / "labels.csv")
    check(read(tmp_path / "a.npz", ReadSettings(labels_file=tmp_path / "labels.csv")), sparse=True)


def test_npz_of_genes_by_cells_keeps_its_labels(tmp_path) -> None:
    columns = {c: OBS[c].to_numpy(dtype=str) for c in OBS}
    np.savez(tmp_path / "a.npz", X=COUNTS.T, genes=np.array(GENES), cells=np.array(BARCODES), **columns)
    check(read(tmp_path / "a.npz", ReadSettings(orientation="genes-by-cells")), sparse=False)


def test_npy_of_cycseq(tmp_path) -> None:
    """Rows = expression ++ perturbed-gene indicator ++ batch indicator."""
    perturbed = np.array([[gene in label.split("+") for gene in GENES] for label in OBS["perturbation"]])
    batch = np.eye(2)[OBS["batch"].astype(int) - 1]
    np.save(tmp_path / "merged.npy", np.concatenate([COUNTS, perturbed, batch], axis=1).astype(np.float32))
    (tmp_path / "genes.txt").write_text("\n".join(GENES))
    data = read(tmp_path / "merged.npy", ReadSettings(genes_file=tmp_path / "genes.txt", context_name="K562"))
    np.testing.assert_array_equal(data.x, COUNTS)
    assert data.adata.obs["perturbation"].tolist() == OBS["perturbation"].tolist()
    assert data.adata.obs["batch"].tolist() == (OBS["batch"].astype(int) - 1).astype(str).tolist()
    assert data.contexts == ("K562",)


def cycseq_file(path, cells: list[int], marked: list[str] | None = None, genes: slice = slice(None)) -> None:
    frame = pd.DataFrame(COUNTS[cells].T, index=GENES, columns=[BARCODES[i] for i in cells])
    if marked is not None:
        frame.insert(0, "cls", [int(gene in marked) for gene in GENES])
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.iloc[genes].to_csv(path)


def test_cycseq_folder_of_batches(tmp_path) -> None:
    cycseq_file(tmp_path / "line/NK1_16/KLF1.csv", [0, 1])
    cycseq_file(tmp_path / "line/NK1_16/NegCtrl.csv", [2, 3], [])
    cycseq_file(tmp_path / "line/noNK/KLF1+BAK1.csv.gz", [4], ["KLF1", "BAK1"])
    cycseq_file(tmp_path / "line/noNK/control.csv", [5, 6])
    data = read(tmp_path / "line")
    obs = data.adata.obs.loc[[BARCODES[i] for i in range(7)]]
    assert obs["perturbation"].tolist() == ["KLF1", "KLF1", "control", "control", "BAK1+KLF1", "control", "control"]
    assert obs["batch"].tolist() == ["NK1_16"] * 4 + ["noNK"] * 3
    assert data.contexts == ("line",)
    np.testing.assert_array_equal(np.asarray(data.adata[BARCODES[:7]].X), COUNTS[:7])


def test_cycseq_folder_of_contexts(tmp_path) -> None:
    cycseq_file(tmp_path / "K562/b1/KLF1.csv", [0])
    cycseq_file(tmp_path / "LP1/b1/control.csv", [1])
    assert read(tmp_path).contexts == ("K562", "LP1")


@pytest.mark.parametrize(
    ("stem", "marked", "batch", "perturbation"),
    [
        ("KLF1", None, "flat", "KLF1"),
        ("MM1S_NK1_KLF1", None, "MM1S_NK1", "KLF1"),
        ("MM1S_KLF1_12", None, "MM1S", "KLF1"),
        ("MM1S_HLA-A", ["HLA-A"], "MM1S", "HLA-A"),
        ("MM1S_HLA-A_3", ["HLA-A"], "MM1S", "HLA-A"),
        ("crispr_0815_7", ["MYC"], "crispr_0815", "MYC"),
        ("MM1S_DMSO_TF", None, "MM1S", "control"),
        ("MM1S_non-targeting_4", [], "MM1S", "control"),
    ],
)
def test_cycseq_file_names(tmp_path, stem: str, marked, batch: str, perturbation: str) -> None:
    cycseq_file(tmp_path / f"flat/{stem}.csv", [0, 1], marked)
    cycseq_file(tmp_path / "flat/other_control.csv", [2, 3])
    obs = read(tmp_path / "flat").adata.obs.loc[BARCODES[0]]
    assert (obs["batch"], obs["perturbation"]) == (batch, perturbation)


def test_cycseq_files_with_other_genes_and_the_same_cells(tmp_path) -> None:
    cycseq_file(tmp_path / "b/KLF1.csv", [0, 1], genes=slice(0, 4))
    cycseq_file(tmp_path / "b/control.csv", [0, 1], genes=slice(1, 5))
    data = read(tmp_path)
    assert data.genes == GENES[1:4]
    assert data.adata.obs_names.tolist()[0] == f"b/KLF1/{BARCODES[0]}"
    assert any("2 files with 3 genes in all of them (of 4)" in note for note in data.notes)
    np.testing.assert_array_equal(data.x, COUNTS[[0, 1, 0, 1]][:, 1:4])


def test_labels_replace_and_add_columns(source: ad.AnnData, tmp_path) -> None:
    source.obs["perturbation"] = "wrong"
    source.write_h5ad(tmp_path / "a.h5ad")
    OBS[["perturbation"]].to_csv(tmp_path / "labels.csv")
    check(read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "labels.csv")))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/kang.h5ad", "kang"), ("a/x.csv.gz", "x"), ("geo/GSE1_10X_matrix.mtx.gz", "GSE1_10X"), ("line/matrix.mtx", "line"),
     ("a/K562.v2.h5ad", "K562.v2"), ("store.zarr", "store")],
)  # fmt: skip
def test_default_context(path: str, expected: str) -> None:
    from pathlib import Path

    assert default_context(Path(path)) == expected


def test_every_reader_says_how_it_is_recognised() -> None:
    assert len({reader.name for reader in READERS}) == len(READERS)
    assert all(reader.looks_like for reader in READERS)


@pytest.mark.parametrize(
    ("name", "shape", "scale", "n_conditions", "n_control"),
    [("kang2018_pbmc_ifnb.h5ad", (5360, 4805), "counts", 16, 2881), ("papalexi2021_thp1_eccite.h5ad", (20729, 299), "counts", 26, 2386),
     ("norman2019_mcfaline2023_slice.h5ad", (5961, 500), "log1p", 64, 400)],
)  # fmt: skip
def test_real_files(shared_data, name: str, shape, scale: str, n_conditions: int, n_control: int) -> None:
    path = shared_data(name)
    settings = ReadSettings(drop_empty=True)
    data = read(path, settings)
    original = ad.read_h5ad(path)
    assert data.adata.shape == shape
    assert data.scale == scale
    assert len(data.conditions()) == n_conditions
    assert data.controls().n_cells == n_control
    np.testing.assert_allclose(data.x.sum(axis=0), original.X.sum(axis=0), rtol=1e-5)
    assert set(original.obs) <= set(data.adata.obs)
    data.require_controls()


def test_labels_are_joined_by_the_column_that_names_the_cells(source: ad.AnnData, tmp_path) -> None:
    """Wherever it stands, whatever it is called, and in any order of rows."""
    source.obs = source.obs[[]]
    source.write_h5ad(tmp_path / "a.h5ad")
    shuffled = OBS.assign(seq=BARCODES, first="same")[["first", *OBS.columns, "seq"]].sample(frac=1, random_state=0)
    shuffled.to_csv(tmp_path / "labels.csv", index=False)
    data = read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "labels.csv"))
    check(data)
    assert "labels <- labels.csv, by the names of the cells" in data.notes
    twice = pd.concat([shuffled, shuffled.iloc[:2]])
    twice.to_csv(tmp_path / "twice.csv", index=False)
    with pytest.raises(DataError, match=f"names 2 cells twice .first: {shuffled['seq'].iloc[0]}"):
        read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "twice.csv"))


def test_labels_without_names_are_joined_by_order_and_that_is_said(source: ad.AnnData, tmp_path, capsys) -> None:
    source.obs = source.obs[[]]
    source.write_h5ad(tmp_path / "a.h5ad")
    OBS.to_csv(tmp_path / "labels.csv", index=False)
    words = [str(tmp_path / "a.h5ad"), "--labels-file", str(tmp_path / "labels.csv")]
    check(read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "labels.csv")))
    for command in (["inspect", *words], ["prepare", *words, "--out", str(tmp_path / "p.h5ad")]):
        assert main(command) == 0
        said = capsys.readouterr().out
        assert (
            "labels <- labels.csv, BY ORDER, as it does not name the cells: its first row labels the first cell" in said
        )


@pytest.mark.parametrize("ending", ["", ","])
def test_labels_whose_first_column_has_no_header_or_whose_lines_end_in_a_separator(
    source: ad.AnnData, tmp_path, ending: str
) -> None:
    """As R writes them, with names of rows that the header does not name; never by order."""
    source.obs = source.obs[[]]
    source.write_h5ad(tmp_path / "a.h5ad")
    header, *lines = OBS.sample(frac=1, random_state=0).to_csv(index_label="seq").splitlines()
    header = header if ending else header.removeprefix("seq,")
    (tmp_path / "labels.csv").write_text("\n".join([header, *(line + ending for line in lines)]) + "\n")
    data = read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "labels.csv"))
    check(data)
    assert "labels <- labels.csv, by the names of the cells" in data.notes


@pytest.mark.parametrize(
    ("names", "cells", "message"),
    [
        ([f"{i}" for i in range(1, 25)], [f"{i}" for i in range(24)], "a row for cell '24' and none for '0'"),
        ([f"c{i}" if i < 9 else f"c{i}-1" for i in range(24)], [f"c{i}-1" for i in range(24)], "names 15 of the 24 cells. Without .* 9 more would agree"),
    ],
)  # fmt: skip
def test_names_that_agree_in_part(source: ad.AnnData, tmp_path, names: list, cells: list, message: str) -> None:
    source.obs = pd.DataFrame(index=cells)
    source.write_h5ad(tmp_path / "a.h5ad")
    OBS.set_axis(names).to_csv(tmp_path / "labels.csv", index_label="cell")
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "labels.csv"))


def test_two_columns_that_name_the_cells(source: ad.AnnData, tmp_path) -> None:
    source.obs = source.obs[[]]
    source.write_h5ad(tmp_path / "a.h5ad")
    labels = OBS.assign(barcode=BARCODES, cell=BARCODES)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    check(read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "labels.csv")))
    labels.assign(cell=BARCODES[::-1]).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(DataError, match="may name the cells: 'barcode' and 'cell', and they differ"):
        read(tmp_path / "a.h5ad", ReadSettings(labels_file=tmp_path / "labels.csv"))


def test_barcodes_of_other_cells_are_not_joined_by_order(source: ad.AnnData, tmp_path) -> None:
    source.obs = source.obs[[]]
    source.write_h5ad(tmp_path / "a.h5ad")
    OBS.assign(seq=[name.translate(str.maketrans("ACGT", "TGCA")) for name in BARCODES]).to_csv(
        tmp_path / "labels.csv", index=False
    )
    settings = ReadSettings(labels_file=tmp_path / "labels.csv")
    with pytest.raises(DataError, match=r"names none of the 24 cells: .*AAACGT.*, and there 'TTTGCA"):
        read(tmp_path / "a.h5ad", settings)
    OBS.assign(seq=[name[:-2] for name in BARCODES]).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(DataError, match=r"names none of .* Without endings such as -1, 24 would agree"):
        read(tmp_path / "a.h5ad", settings)
