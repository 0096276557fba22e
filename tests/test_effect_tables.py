"""Tables of effects in text, Parquet and GCT files: layouts of tools, wide and long, told from cells."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cycseq.errors import CycseqError, DataError, FileError
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.effects.read import read_effects
from cycseq.formats.effects.tables.long import _treated
from cycseq.formats.settings import ReadSettings

GENES = ["MYC", "TP53", "CD4", "IL2"]
CHANGES = np.array([[1.0, -2.0, 0.5, 0.0], [-1.5, np.nan, 2.0, 0.25]])
P = 0.01


def long(gene: str, value: str, **columns: object) -> pd.DataFrame:
    """The changes of KLF1 and GATA1, a row for each gene, with these columns beside."""
    frame = pd.DataFrame({gene: GENES * 2, value: CHANGES.ravel()})
    return frame.assign(**{name: columns[name] for name in columns})


TOOLS = {
    "scanpy": (long("names", "logfoldchanges", group=["KLF1"] * 4 + ["GATA1"] * 4, scores=1.0, pvals=P, pvals_adj=P), np.log(2)),
    "Seurat": (long("gene", "avg_log2FC", p_val=P, p_val_adj=P, cluster=["KLF1"] * 4 + ["GATA1"] * 4, **{"pct.1": 0.5, "pct.2": 0.1}), np.log(2)),
    "Seurat 3": (long("gene", "avg_logFC", p_val=P, cluster=["KLF1"] * 4 + ["GATA1"] * 4, **{"pct.1": 0.5, "pct.2": 0.1}), 1.0),
    "DESeq2": (long("gene_symbol", "log2FoldChange", baseMean=9.0, lfcSE=0.25, stat=1.0, padj=P, contrast=["KLF1_vs_control"] * 4 + ["GATA1 vs DMSO"] * 4), np.log(2)),
    "limma": (long("ID", "logFC", AveExpr=5.0, t=2.0, **{"adj.P.Val": P}, contrast=["KLF1-vs-NTC"] * 4 + ["GATA1-vs-NTC"] * 4), np.log(2)),
    "pertpy": (long("variable", "log_fc", p_value=P, adj_p_value=P, contrast=["KLF1"] * 4 + ["GATA1"] * 4), np.log(2)),
}  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "parquet"])
def test_tables_of_tools_are_read_without_an_option(tmp_path: Path, tool, ending) -> None:
    frame, factor = TOOLS[tool]
    path = tmp_path / f"K562.{ending}"
    if ending == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="\t" if "tsv" in ending else ",", index=False)
    assert is_effects(path)
    effects = read_effects(path)
    assert (effects.scale, effects.genes) == ("log_fold_change", GENES)
    assert [str(c) for c in effects.conditions()] == ["K562:KLF1", "K562:GATA1"]
    np.testing.assert_allclose(effects.effect, CHANGES * factor, rtol=1e-6)
    se = effects.layer("se")
    assert (se is not None) == (tool == "DESeq2")
    if se is not None:
        np.testing.assert_allclose(se, 0.25 * factor, rtol=1e-6)


def test_one_comparison_in_a_file_is_called_as_the_file_is(tmp_path: Path) -> None:
    frame = pd.DataFrame({"baseMean": 9.0, "log2FoldChange": CHANGES[0], "lfcSE": 0.2, "padj": P}, index=GENES)
    frame.to_csv(tmp_path / "KLF1.csv")  # row names without a name, as R writes them
    effects = read_effects(tmp_path / "KLF1.csv")
    assert [str(c) for c in effects.conditions()] == ["all:KLF1"]
    assert any("called as the file is" in note for note in effects.notes)
    named = read_effects(tmp_path / "KLF1.csv", ReadSettings(context_name="K562"))
    assert named.contexts == ("K562",)
    lines = (tmp_path / "KLF1.csv").read_text().splitlines()
    (tmp_path / "KLF1.tsv").write_text("\n".join([lines[0][1:], *lines[1:]]).replace(",", "\t"))  # write.table's header
    assert read_effects(tmp_path / "KLF1.tsv").fingerprint() == effects.fingerprint()


@pytest.mark.parametrize(
    ("contrast", "name"),
    [("KLF1_vs_control", "KLF1"), ("KLF1 vs. DMSO", "KLF1"), ("old_vs_young", "old_vs_young"), ("KLF1", "KLF1")],
)
def test_a_contrast_with_a_control_is_the_perturbation(contrast, name) -> None:
    assert _treated(contrast) == name


def test_a_long_table_of_no_tool_has_doses_times_and_errors(tmp_path: Path) -> None:
    frame = long("gene", "log2fc", se=0.1, drug=["a", "b"] * 4, cell_line="x", dose="1 uM", time="6 h")
    frame["gene"] = np.repeat(GENES, 2)
    frame = pd.concat([frame, frame.assign(dose="10 uM", log2fc=0.5)])
    frame.to_csv(tmp_path / "x.csv", index=False)
    effects = read_effects(tmp_path / "x.csv")
    assert {str(c) for c in effects.conditions()} == {"x:a@1uM", "x:a@10uM", "x:b@1uM", "x:b@10uM"}
    np.testing.assert_allclose(effects.layer("se"), 0.1 * np.log(2), rtol=1e-6)


def test_the_column_of_effects_can_be_named(tmp_path: Path) -> None:
    frame = TOOLS["DESeq2"][0]
    frame.to_csv(tmp_path / "K562.csv", index=False)
    effects = read_effects(tmp_path / "K562.csv", ReadSettings(layer="stat", scale="z"))
    assert (effects.scale, float(effects.effect.max()), effects.layer("se")) == ("z", 1.0, None)
    with pytest.raises(DataError, match="no column 'stats': did you mean 'stat'"):
        read_effects(tmp_path / "K562.csv", ReadSettings(layer="stats"))


def test_a_log_fold_change_of_unknown_base_is_asked_for(tmp_path: Path) -> None:
    frame = long("gene", "logFC", perturbation=["KLF1"] * 4 + ["GATA1"] * 4)
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert is_effects(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"scale of the effects cannot be determined.*--scale log2_fold_change"):
        read_effects(tmp_path / "x.csv")
    statsmodels = long("variable", "log_fc", p_value=P, adj_p_value=P, t_value=1.0, contrast=["a"] * 4 + ["b"] * 4)
    statsmodels.to_csv(tmp_path / "y.csv", index=False)
    with pytest.raises(DataError, match="cannot be determined"):
        read_effects(tmp_path / "y.csv")


def test_genes_without_a_row_were_not_measured_and_none_stands_twice(tmp_path: Path) -> None:
    frame = long("gene", "log2FC", perturbation=["KLF1"] * 4 + ["GATA1"] * 4)
    frame.drop(index=[0, 6]).to_csv(tmp_path / "x.csv", index=False)
    effects = read_effects(tmp_path / "x.csv")
    assert np.isnan(effects.with_genes(GENES).effect).tolist() == [
        [True, False, False, False],
        [False, True, True, False],
    ]
    pd.concat([frame, frame.iloc[[2]]]).to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=r"the gene 'CD4' stands twice.*--make-unique true"):
        read_effects(tmp_path / "x.csv")
    assert read_effects(tmp_path / "x.csv", ReadSettings(make_unique=True)).genes == [*GENES, "CD4-1"]
    frame["log2FC"] = ["1,5"] + ["1"] * 7
    frame.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=r"'1,5' in column 'log2FC' is not a number"):
        read_effects(tmp_path / "x.csv")


def wide(rng: np.random.Generator, genes: int = 60) -> pd.DataFrame:
    values = pd.DataFrame(rng.normal(size=(6, genes)).round(3), columns=[f"G{i}" for i in range(genes)])
    labels = pd.DataFrame({"perturbation": ["a", "b"] * 3, "cell_line": np.repeat(["x", "y", "z"], 2), "dose": "10 uM"})
    return pd.concat([labels, values], axis=1)


@pytest.mark.parametrize("genes", [60, 5200])
@pytest.mark.parametrize("index", [True, False])
def test_wide_tables_are_told_from_cells_and_their_scale_is_asked_for(tmp_path: Path, genes, index) -> None:
    frame = wide(np.random.default_rng(0), genes)
    frame.loc[2, "G3"] = np.nan
    frame.to_csv(tmp_path / "x.csv", index=index)
    assert is_effects(tmp_path / "x.csv")
    with pytest.raises(DataError, match="scale of the effects cannot be determined"):
        read_effects(tmp_path / "x.csv")
    effects = read_effects(tmp_path / "x.csv", ReadSettings(scale="z"))
    np.testing.assert_allclose(effects.effect, frame.iloc[:, 3:].to_numpy(), rtol=1e-6)
    assert [str(c) for c in effects.conditions()][:3] == ["x:a", "x:b", "y:a"]


@pytest.mark.parametrize("change", ["controls", "levels", "many rows", "no labels"])
def test_tables_of_cells_stay_cells(tmp_path: Path, change) -> None:
    frame = wide(np.random.default_rng(0))
    if change == "controls":
        frame["perturbation"] = ["a", "control"] * 3
    if change == "levels":
        frame.iloc[:, 3:] = frame.iloc[:, 3:].abs()
    if change == "many rows":
        frame = pd.concat([frame] * 4)
    if change == "no labels":
        frame = frame.iloc[:, 3:]
    frame.to_csv(tmp_path / "x.csv")
    assert not is_effects(tmp_path / "x.csv")


def test_op3_as_it_is_published(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    signed = np.array([[-np.log10(0.05), np.log10(0.05), 0.0], [2.0, -3.0, 1.0]])
    labels = {"cell_type": ["NK cells", "B cells"], "sm_name": ["Idelalisib"] * 2, "sm_lincs_id": ["LSM-1099"] * 2,
              "SMILES": ["CC"] * 2, "control": [False, True]}  # fmt: skip
    frame = pd.DataFrame(labels | dict(zip(["A1BG", "A2M", "AAK1"], signed.T, strict=True)))
    frame.to_parquet(tmp_path / "de_train.parquet")
    effects = read_effects(tmp_path / "de_train.parquet")
    assert (effects.scale, effects.genes) == ("z", ["A1BG", "A2M", "AAK1"])
    assert [str(c) for c in effects.conditions()] == ["NK cells:Idelalisib", "B cells:Idelalisib"]
    np.testing.assert_allclose(effects.effect[0], [1.959964, -1.959964, 0.0], atol=1e-5)


def test_genes_in_rows_and_conditions_in_the_header(tmp_path: Path) -> None:
    frame = pd.DataFrame(CHANGES.T, index=GENES, columns=["K562:KLF1", "RPE1:KLF1"])
    frame.to_csv(tmp_path / "x.csv")
    settings = ReadSettings(scale="log_fold_change", orientation="genes-by-cells")
    effects = read_effects(tmp_path / "x.csv", settings)
    assert [str(c) for c in effects.conditions()] == ["K562:KLF1", "RPE1:KLF1"]
    np.testing.assert_allclose(effects.effect, CHANGES)
    with pytest.raises(DataError, match=r"no column of the table names perturbations.*--orientation genes-by-cells"):
        read_effects(tmp_path / "x.csv")
    frame.columns = ["KLF1", "GATA1"]
    frame.to_csv(tmp_path / "x.csv", index_label="gene")
    assert [str(c) for c in read_effects(tmp_path / "x.csv", settings).conditions()] == ["x:KLF1", "x:GATA1"]


GCT = (
    "#1.3\n2\t3\t1\t3\nid\tpr_gene_symbol\ts1\ts2\ts3\npert_iname\tna\taspirin\taspirin\tDMSO\ncell_id\t-666\tA549\tMCF7\tMCF7\n\
value\t-666\tmodz\tmodz\tmodz\n780\tDDR1\t1.5\t-666\t0.1\n5982\tRFC2\t-0.5\t2.0\t0.2\n"
)


def test_gct_of_l1000(tmp_path: Path) -> None:
    (tmp_path / "x.gct").write_text(GCT)
    with gzip.open(tmp_path / "y.gct.gz", "wt") as packed:
        packed.write(GCT)
    for name in ("x.gct", "y.gct.gz"):
        assert is_effects(tmp_path / name)
        effects = read_effects(tmp_path / name, ReadSettings(scale="z"))
        assert [str(c) for c in effects.conditions()] == ["A549:aspirin", "MCF7:aspirin"]
        np.testing.assert_allclose(effects.effect, [[1.5, -0.5], [np.nan, 2.0]])
    (tmp_path / "z.gct").write_text(GCT.rsplit("\n", 2)[0])
    with pytest.raises(FileError, match="truncated or was altered"):
        read_effects(tmp_path / "z.gct")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.gct", "#1.3\n9\n", "is not a GCT file"),
        ("x.gctx", "", "is GCTX, which no maintained Python package reads"),
        ("x.csv", "", "is empty"),
        ("x.parquet", "PAR1", "cannot be read as Parquet"),
        ("x.csv", "gene,log2FC,perturbation\n", "is empty"),
        ("x.csv", "gene,log2FC,perturbation\n,1,a\n", "no row with a gene"),
        ("x.csv", "perturbation,G1\nKLF1,one\n", "."),
    ],
)
def test_damage_is_one_line(tmp_path: Path, name, text, message) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_text(text)
    with pytest.raises(CycseqError, match=message) as raised:
        read_effects(tmp_path / name, ReadSettings(kind="effects"))
    assert "\n" not in str(raised.value)


def test_a_long_table_that_would_not_fit_is_refused(tmp_path: Path) -> None:
    n = 9000
    frame = pd.DataFrame({"gene": np.arange(n), "perturbation": [f"p{i}" for i in range(n)], "log2FC": 1.0})
    frame.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match="hardly one of which stands in two rows"):
        read_effects(tmp_path / "x.csv")
