"""Other tools' layouts: written, read back without options, and what they cannot hold said."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.scale import Scale
from cycseq.data.usual_names import CONTROL_NAMES, UNLABELLED
from cycseq.errors import DataError, FileError, SettingsError
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.formats.write import select_contexts, write_as
from cycseq.formats.writers import LAYOUTS

ONE_SIDED = [name for name, layout in LAYOUTS.items() if not layout.needs_real]
GENES = ["KLF1", "BAK1", "MYC", "ACTB", "HLA-A"]
IDS = [f"ENSG{i:011d}" for i in range(len(GENES))]

reserved = {name.casefold().replace("_", "-") for name in CONTROL_NAMES} | UNLABELLED
name = st.text("ABab12_-. ", min_size=1, max_size=5).map(str.strip).filter(
    lambda text: text and text.casefold().replace("_", "-") not in reserved and not text.startswith(".")
)  # fmt: skip


@st.composite
def names(draw: st.DrawFn) -> dict[str, list[str]]:
    """Contexts, perturbations (at most two parts, as GEARS has them) and batches under names of all sorts."""
    parts = draw(st.lists(name, min_size=1, max_size=3, unique_by=str.casefold))
    pairs = ["+".join(sorted(pair)) for pair in itertools.pairwise(parts)]
    return {
        "context": draw(st.lists(name, min_size=1, max_size=3, unique_by=str.casefold)),
        "perturbation": ["control", *parts, *pairs],
        "batch": draw(st.lists(name, min_size=1, max_size=2, unique_by=str.casefold)),
    }


def named(labels: dict[str, list[str]], scale: Scale, *, sparse: bool) -> PerturbationData:
    """Two cells of every condition."""
    conditions = [(c, p) for c in labels["context"] for p in labels["perturbation"] for _ in range(2)]
    obs = pd.DataFrame(conditions, columns=["context", "perturbation"], index=[f"c{i}" for i in range(len(conditions))])
    obs["batch"] = np.resize(labels["batch"], len(obs))
    x = np.random.default_rng(0).poisson(1.0, (len(obs), len(GENES))).astype(np.float32)
    x[:, 0] += 1
    x = np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4).astype(np.float32) if scale == "log1p" else x
    obs = obs.astype("category")
    return PerturbationData(ad.AnnData(sp.csr_matrix(x) if sparse else x, obs, pd.DataFrame(index=GENES)), scale)


def same(back: PerturbationData, data: PerturbationData) -> None:
    """The same cells, by name, with the same values and labels."""
    assert back.scale == data.scale
    assert back.genes == data.genes
    assert set(back.adata.obs_names) == set(data.adata.obs_names)
    again = back.adata[data.adata.obs_names]
    for column in ("context", "perturbation", "batch"):
        assert again.obs[column].astype(str).tolist() == data.adata.obs[column].astype(str).tolist()
    x, y = (m.toarray() if sp.issparse(m) else np.asarray(m) for m in (again.X, data.x))
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("layout", ONE_SIDED)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(labels=names(), scale=st.sampled_from(["counts", "log1p"]), sparse=st.booleans())
def test_what_is_written_is_read_back_without_options(
    tmp_path_factory: pytest.TempPathFactory, layout: str, labels: dict, scale: Scale, sparse: bool
) -> None:
    data = named(labels, scale, sparse=sparse)
    path = tmp_path_factory.mktemp("there") / ("out" + "".join(LAYOUTS[layout].endings))
    notes = write_as(data, layout, path)
    assert notes[0].startswith(f"values: {scale}")
    same(read(path), data)


@pytest.mark.parametrize("layout", ["gears"])
def test_from_layout_to_layout_nothing_is_lost(small_data: PerturbationData, tmp_path: Path, layout: str) -> None:
    """Through every layout in turn, with columns beside that bear usual names."""
    data = small_data.take(np.arange(0, small_data.n_cells, 7))
    data.adata.obs["donor"] = np.resize(["d1", "d2", "d3"], data.n_cells)
    data.adata.obs["note"] = "kept"
    write_as(data, layout, tmp_path / "first.h5ad")
    once = read(tmp_path / "first.h5ad")
    assert once.adata.obs["donor_in_file"].tolist() == data.adata.obs["donor"].tolist()
    for other in ONE_SIDED:
        path = tmp_path / ("out" + "".join(LAYOUTS[other].endings))
        write_as(once, other, path, overwrite=True)
        same(read(path), data)
        if other != "cycseq":
            assert set(read(path).adata.obs["note"]) == {"kept"}


@pytest.mark.parametrize("file", ["kang2018_pbmc_ifnb", "norman2019_mcfaline2023_slice", "papalexi2021_thp1_eccite"])
def test_real_data_come_back(shared_data, tmp_path: Path, file: str) -> None:
    data = read(shared_data(f"{file}.h5ad"))
    for layout in ("gears", "cell-load"):
        write_as(data, layout, tmp_path / f"{layout}.h5ad")
        back = read(tmp_path / f"{layout}.h5ad")
        assert back.conditions() == data.conditions()
        assert back.adata.obs["batch"].astype(str).tolist() == data.adata.obs["batch"].astype(str).tolist()
        assert back.scale == data.scale
        assert abs(sp.csr_matrix(back.x) - sp.csr_matrix(data.x)).nnz == 0


@pytest.mark.parametrize(
    ("layout", "columns", "labels"),
    [
        ("gears", "condition,cell_type,dose_val,control,condition_name",
         ["G1+G2", "K562", "1+1", 0, "K562_G1+G2_1+1"]),
        ("gears", "condition,cell_type,dose_val,control,condition_name", ["ctrl", "K562", "1", 1, "K562_ctrl_1"]),
        ("gears", "condition,dose_val,control", ["G1+ctrl", "1+1", 0]),
        ("scperturb", "perturbation,nperts,celltype", ["G1_G2", 2, "K562"]),
        ("scperturb", "perturbation,nperts,celltype", ["control", 0, "K562"]),
        ("pertpy", "label,cell_type,replicate", ["ctrl", "K562", "b0"]),
        ("perturbench", "condition,cell_type", ["G1+G2", "K562"]),
        ("cell-load", "gene,cell_type,gem_group", ["non-targeting", "K562", "b0"]),
        ("cpa", "condition,dose_val,cell_type,control,cov_drug_dose_name",
         ["G1+G2", "1.0+1.0", "K562", 0, "K562_G1+G2_1.0+1.0"]),
        ("cpa", "condition,dose_val,control", ["ctrl", "1.0", 1]),
    ],
)  # fmt: skip
def test_the_tools_own_columns(small_data: PerturbationData, tmp_path: Path, layout, columns, labels) -> None:
    write_as(small_data, layout, tmp_path / "a.h5ad")
    adata = ad.read_h5ad(tmp_path / "a.h5ad")
    rows = adata.obs[columns.split(",")].astype(object)
    assert (rows == labels).all(axis=1).any(), rows.drop_duplicates()
    assert adata.uns["cycseq"]["scale"] == "log1p"
    assert np.isclose(adata.uns["log1p"]["base"], np.e)
    if layout in {"gears", "cell-load"}:
        assert adata.var["gene_name"].tolist() == small_data.genes
    texts = adata.obs[columns.split(",")].select_dtypes(exclude="number")
    assert all(isinstance(dtype, pd.CategoricalDtype) for dtype in texts.dtypes)  # cell-load and PerturBench ask for it


def test_doses_of_the_file_are_kept_where_each_part_has_one(small_data: PerturbationData, tmp_path: Path) -> None:
    dose = small_data.adata.obs["perturbation"].map({"G1": "0.5", "G2": "2e-1", "G1+G2": "0.5+2", "G3": "high"})
    small_data.adata.obs["dose_value"] = dose.astype(str)
    notes = write_as(small_data, "cpa", tmp_path / "a.h5ad")
    assert any("120 perturbed cells have none" in note for note in notes)
    found = ad.read_h5ad(tmp_path / "a.h5ad").obs.groupby("condition", observed=True)["dose_val"].unique()
    assert {k: v.tolist() for k, v in found.items()} == {
        "ctrl": ["1.0"], "G1": ["0.5"], "G2": ["2e-1"], "G1+G2": ["0.5+2"], "G3": ["1.0"]}  # fmt: skip


def test_folders_of_the_first_cycseq(small_data: PerturbationData, tmp_path: Path) -> None:
    write_as(small_data, "cycseq", tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out/K562/b1/G1+G2.csv", index_col=0)
    assert frame.index[frame.pop("cls") == 1].tolist() == ["G1", "G2"]
    cells = small_data.adata.obs.query("context == 'K562' and batch == 'b1' and perturbation == 'G1+G2'").index
    assert frame.columns.tolist() == cells.tolist()
    assert json.loads((tmp_path / "out/convert.json").read_text())["scale"] == "log1p"
    assert not pd.read_csv(tmp_path / "out/K562/b1/control.csv")["cls"].any()
    with pytest.raises(FileError, match="exists already"):
        write_as(small_data, "cycseq", tmp_path / "out")
    write_as(small_data.controls(), "cycseq", tmp_path / "out", overwrite=True)
    assert {path.name for path in tmp_path.glob("out/*/*/*.csv")} == {"control.csv"}


def renamed(data: PerturbationData, **names: str) -> PerturbationData:
    obs = data.adata.obs.copy()
    for column, new in names.items():
        obs[column] = obs[column].astype(str).replace("G3" if column == "perturbation" else "THP1", new)
    return PerturbationData(ad.AnnData(data.x, obs=obs, var=data.adata.var), data.scale)


@pytest.mark.parametrize(
    ("layout", "names", "match"),
    [
        ("gears", {"perturbation": "G1+G2+G4"}, r"cannot hold \w+:G1\+G2\+G4.*--leave-out"),
        ("gears", {"perturbation": "IFN+"}, r"GEARS's layout cannot hold the perturbation 'IFN\+'.*another name"),
        ("cell-load", {"perturbation": "NTC"}, "cannot hold the perturbation 'NTC'.*read back as 'control'"),
        ("cycseq", {"perturbation": "A/B"}, "'A/B' cannot be the name of a file"),
        ("cycseq", {"context": ".hidden"}, "'.hidden' cannot be the name"),
        ("pertpy", {"context": "unknown"}, "cannot hold the context 'unknown'"),
    ],
)
def test_what_a_layout_cannot_hold_is_refused(small_data, tmp_path, layout, names, match) -> None:
    with pytest.raises(DataError, match=match):
        write_as(renamed(small_data, **names), layout, tmp_path / ("a" + "".join(LAYOUTS[layout].endings)))
    assert not list(tmp_path.iterdir())


def test_what_a_tool_does_not_look_at_is_said(small_data: PerturbationData, tmp_path: Path) -> None:
    notes = "\n".join(write_as(small_data, "gears", tmp_path / "a.h5ad"))
    assert "3 contexts (K562, RPE1, THP1): GEARS takes the control cells of all of them together" in notes
    assert "2 batches: kept in obs['batch']" in notes
    one = select_contexts(small_data, ["RPE1"])
    assert one.contexts == ("RPE1",)
    assert "contexts" not in "\n".join(write_as(one, "gears", tmp_path / "b.h5ad"))
    with pytest.raises(DataError, match="did you mean 'RPE1'"):
        select_contexts(small_data, ["RPE"])
    perturbed = small_data.subset(c for c in small_data.conditions() if not c.is_control)
    assert "no control cells in K562" in "\n".join(write_as(perturbed, "cell-load", tmp_path / "c.h5ad"))
    same(read(tmp_path / "c.h5ad", ReadSettings(control="none")), perturbed)


def test_scales_are_said_and_unexpected_ones_named(small_counts: ad.AnnData, tmp_path: Path) -> None:
    counts = PerturbationData.from_anndata(small_counts)
    assert any("run cycseq prepare first" in note for note in write_as(counts, "gears", tmp_path / "g.h5ad"))
    assert "recon_loss" not in "".join(write_as(counts, "cpa", tmp_path / "c.h5ad"))
    adata = ad.read_h5ad(tmp_path / "c.h5ad")
    assert adata.uns["cycseq"]["scale"] == "counts"
    assert "log1p" not in adata.uns
    write_as(counts, "scperturb", tmp_path / "s.h5ad")
    sums = ad.read_h5ad(tmp_path / "s.h5ad").obs
    np.testing.assert_array_equal(sums["ncounts"], small_counts.X.toarray().sum(axis=1))
    np.testing.assert_array_equal(sums["ngenes"], (small_counts.X.toarray() > 0).sum(axis=1))


# --- as the peers document their files -------------------------------------------------------------------------------


def file_of(tmp_path: Path, obs: dict, var: pd.DataFrame | None = None, x: np.ndarray | None = None, **more) -> Path:
    """An h5ad of these labels with log1p values."""
    n = len(next(iter(obs.values())))
    values = np.random.default_rng(0).uniform(0.1, 5.0, (n, len(GENES))).astype(np.float32) if x is None else x
    frame = pd.DataFrame(obs, index=[f"AAACCTGA{i:04d}-1" for i in range(n)])
    adata = ad.AnnData(values, obs=frame, var=pd.DataFrame(index=GENES) if var is None else var, **more)
    adata.write_h5ad(tmp_path / "theirs.h5ad")
    return tmp_path / "theirs.h5ad"


SIX = ["control", "KLF1", "KLF1", "BAK1+KLF1", "BAK1+KLF1", "MYC"]


@pytest.mark.parametrize(
    ("obs", "var"),
    [
        pytest.param(  # GEARS: perturb_processed.h5ad as get_DE_genes leaves it
            {"condition": ["ctrl", "KLF1+ctrl", "ctrl+KLF1", "KLF1+BAK1", "BAK1+KLF1", "MYC+ctrl"],
             "cell_type": ["A549"] * 6, "dose_val": ["1", *["1+1"] * 5], "control": [1, 0, 0, 0, 0, 0],
             "condition_name": ["A549_ctrl_1", *[f"A549_x{i}_1+1" for i in range(5)]]},
            pd.DataFrame({"gene_name": GENES}, index=IDS), id="gears"),
        pytest.param(  # scPerturb: A_B with nperts; both orders occur
            {"perturbation": ["control", "KLF1", "KLF1", "BAK1_KLF1", "KLF1_BAK1", "MYC"], "nperts": [0, 1, 1, 2, 2, 1],
             "cell_line": ["K562"] * 6, "celltype": ["lymphoblasts"] * 6, "perturbation_type": ["CRISPR"] * 6,
             "ncounts": [9.0] * 6, "ngenes": [5] * 6, "percent_mito": [0.1] * 6, "organism": ["human"] * 6},
            None, id="scperturb"),
        pytest.param(  # PerturBench: processed Norman
            {"condition": ["control", "KLF1", "KLF1", "KLF1+BAK1", "BAK1+KLF1", "MYC"],
             "perturbation": ["control", "KLF1", "KLF1", "KLF1+BAK1", "BAK1+KLF1", "MYC"], "cell_type": ["k562"] * 6,
             "nperts": [0, 1, 1, 2, 2, 1], "treatment": ["none"] * 6, "dose": ["1"] * 6, "cov_merged": ["k562"] * 6},
            None, id="perturbench"),
        pytest.param(  # cell-load's defaults
            {"gene": ["non-targeting", "KLF1", "KLF1", "BAK1+KLF1", "BAK1+KLF1", "MYC"], "cell_type": ["k562"] * 6,
             "gem_group": [1, 1, 2, 2, 3, 3]}, pd.DataFrame({"gene_name": GENES}, index=IDS), id="cell-load"),
        pytest.param(  # CPA's Norman file
            {"perturbation": ["control", "KLF1", "KLF1", "BAK1_KLF1", "KLF1_BAK1", "MYC"], "nperts": [0, 1, 1, 2, 2, 1],
             "condition": ["ctrl", "KLF1", "KLF1", "BAK1+KLF1", "KLF1+BAK1", "MYC"], "cell_type": ["K562"] * 6,
             "cond_harm": ["ctrl", "KLF1", "KLF1", "BAK1+KLF1", "BAK1+KLF1", "MYC"], "cell_line": ["K562"] * 6,
             "celltype": ["lymphoblasts"] * 6, "control": [1, 0, 0, 0, 0, 0], "cov_cond": ["K562_x"] * 6,
             "dose_value": ["1.0", "1.0", "1.0", "1.0+1.0", "1.0+1.0", "1.0"], "split_1": ["train"] * 6},
            None, id="cpa"),
        pytest.param(  # cell-eval and the Virtual Cell Challenge
            {"target_gene": ["non-targeting", "KLF1", "KLF1", "BAK1+KLF1", "BAK1+KLF1", "MYC"],
             "celltype": ["H1"] * 6}, None, id="cell-eval"),
    ],
)  # fmt: skip
def test_files_as_the_peers_document_them_are_read_without_options(tmp_path: Path, obs: dict, var) -> None:
    data = read(file_of(tmp_path, obs, var))
    assert data.adata.obs["perturbation"].tolist() == SIX
    assert len(data.contexts) == 1
    assert data.genes == GENES
    assert data.scale == "log1p"


def test_pertpys_kang_file_is_read_without_options(tmp_path: Path) -> None:
    obs = {"nCount_RNA": [3.0] * 4, "nFeature_RNA": [2] * 4, "label": ["ctrl", "stim"] * 2, "replicate": ["p1", "p1", "p2", "p2"],
           "cluster": [1] * 4, "cell_type": ["B cells", "B cells", "CD4 T cells", "CD4 T cells"], "multiplets": ["singlet"] * 4}  # fmt: skip
    data = read(file_of(tmp_path, obs, x=np.arange(20, dtype=np.float32).reshape(4, 5)))
    assert list(map(str, data.conditions())) == [
        "B cells:control", "B cells:stim", "CD4 T cells:control", "CD4 T cells:stim"]  # fmt: skip
    assert data.adata.obs["batch"].tolist() == ["p1", "p1", "p2", "p2"]
    assert data.scale == "counts"


def test_drugs_of_states_tahoe_files_have_a_control_with_commas(tmp_path: Path) -> None:
    control, drug = "[('DMSO_TF', 0.0, 'uM')]", "[('Trametinib', 5.0, 'uM')]"
    path = file_of(tmp_path, {"drugname_drugconc": [control, drug], "cell_line": ["A", "A"]})
    data = read(path, ReadSettings(perturbation_key="drugname_drugconc", control=control))
    assert data.adata.obs["perturbation"].tolist() == ["control", drug]


# --- cell-eval's pairs and the command line --------------------------------------------------------------------------


def test_pairs_share_genes_conditions_and_controls(small_data: PerturbationData, tmp_path: Path) -> None:
    some = [Condition("K562", "G1"), Condition("RPE1", "G1+G2")]
    predicted = small_data.subset([*some, Condition("K562", "control")])
    predicted = PerturbationData(predicted.adata[:, ::-1].copy(), "log1p")
    notes = write_as(predicted, "cell-eval", tmp_path / "pair", real=small_data)
    pred, real = (ad.read_h5ad(tmp_path / f"pair/adata_{side}.h5ad") for side in ("pred", "real"))
    assert pred.var_names.tolist() == real.var_names.tolist() == small_data.genes
    for side in (pred, real):
        counted = side.obs.groupby(["celltype", "target_gene"], observed=True).size().to_dict()
        assert counted == {("K562", "non-targeting"): 40, ("K562", "G1"): 40, ("RPE1", "non-targeting"): 40, ("RPE1", "G1+G2"): 40}  # fmt: skip
    assert "both sides share the 80 real control cells (not the predicted ones)" in notes
    assert any("--celltype-col celltype" in note for note in notes)
    assert any("10 real conditions were not predicted" in note for note in notes)


def test_pairs_that_cell_eval_would_refuse_are_refused(small_data: PerturbationData, tmp_path: Path) -> None:
    other = renamed(small_data, perturbation="G9")
    with pytest.raises(DataError, match="no real condition for the predicted 'K562:G9'"):
        write_as(other, "cell-eval", tmp_path / "a", real=small_data)
    with pytest.raises(DataError, match="only control cells"):
        write_as(small_data.controls(), "cell-eval", tmp_path / "a", real=small_data)
    below = PerturbationData(small_data.adata.copy(), "log1p")
    below.adata.X = small_data.x.toarray() - np.float32(0.5)
    with pytest.raises(DataError, match=r"from 0 to below 15, but the predicted ones go from -0.5"):
        write_as(below, "cell-eval", tmp_path / "a", real=small_data)
    without = small_data.subset(c for c in small_data.conditions() if c != Condition("K562", "control"))
    with pytest.raises(DataError, match="no control cells in context 'K562'"):
        write_as(small_data, "cell-eval", tmp_path / "a", real=without)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--to geers --out {t}/o.h5ad", "no layout 'geers': did you mean 'gears'?"),
        ("--to gears --out {t}/real.h5ad", "real.h5ad exists already"),
        ("--to gears --out {t}/o.csv", "its name must end in .h5ad"),
        ("--to cell-eval --out {t}/o", "use --real REAL.h5ad"),
        ("--to gears --out {t}/o.h5ad --real {t}/real.h5ad", "leave --real out"),
        ("--to gears --out {t}/o.h5ad --contexts K652", "no context 'K652': did you mean 'K562'"),
    ],
)
def test_mistakes_on_the_command_line(small_data, tmp_path, capsys, words: str, said: str) -> None:
    path = tmp_path / "real.h5ad"
    small_data.write(path)
    assert main(f"convert {path} {words}".format(t=tmp_path).split()) == BAD_INPUT
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["real.h5ad"]


def test_the_command_says_what_it_wrote(small_data, tmp_path, capsys) -> None:
    path = tmp_path / "real.h5ad"
    small_data.write(path)
    assert main(f"convert {path} --to gears --contexts K562,RPE1 --out {tmp_path}/g.h5ad".split()) == SUCCESS
    out = capsys.readouterr().out
    assert "wrote" in out
    assert "values: log1p" in out
    assert read(tmp_path / "g.h5ad").contexts == ("K562", "RPE1")


def test_settings_that_do_not_fit_are_refused_in_python(small_data, tmp_path) -> None:
    with pytest.raises(SettingsError, match="no layout 'anndata'"):
        write_as(small_data, "anndata", tmp_path / "a.h5ad")
    with pytest.raises(SettingsError, match="--real"):
        write_as(small_data, "cell-eval", tmp_path / "a")


def test_layouts_are_listed_where_the_help_points(capsys):
    assert main(["convert", "--help"]) == SUCCESS
    assert "cycseq list layouts" in " ".join(capsys.readouterr().out.split())
    assert main(["list", "layouts"]) == SUCCESS
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows if row and row[0] in LAYOUTS] == list(LAYOUTS)
