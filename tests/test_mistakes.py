"""Mistakes that people make in files and commands: read rightly, or refused in one line that leads somewhere."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import cycseq
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.spellings import note_spellings, spelling
from cycseq.errors import DataError, ModelError
from cycseq.knowledge.read import read_sources
from cycseq.run.predicting import conditions_of_words

GENES = ["KLF1", "GATA1", "TP53", "MYC", "BAK1", "SPI1"]


def effects_file(path: Path, contexts: list[str | None]) -> Path:
    obs = pd.DataFrame({"perturbation": np.resize(["KLF1", "MYC"], len(contexts)), "context": contexts}, index=[f"r{i}" for i in range(len(contexts))])  # fmt: skip
    values = np.random.default_rng(0).normal(size=(len(contexts), 6)).astype("f4")
    adata = ad.AnnData(values, obs=obs, var=pd.DataFrame(index=GENES), uns={"scale": "log2 fold change"})
    adata.write_h5ad(path)
    return path


def test_rows_of_effects_without_a_context_are_left_out_where_that_was_asked_for(tmp_path: Path, capsys) -> None:
    path = effects_file(tmp_path / "e.h5ad", ["K562", "K562", None, "RPE1", "RPE1", " "])
    assert main(["inspect", str(path)]) == BAD_INPUT
    assert "leave them out with --drop-unlabelled true" in capsys.readouterr().err
    assert main(["inspect", str(path), "--drop-unlabelled", "true"]) == SUCCESS
    out = capsys.readouterr().out
    assert "2 rows without a label were left out" in out
    assert "context <- obs['context'] (2)" in out
    words = ["split", "--data", str(path), "--kind", "unseen-context", "--drop-unlabelled", "true"]
    assert main(words) == BAD_INPUT
    assert "cycseq summarize" in capsys.readouterr().err
    assert main(["summarize", str(path), "--drop-unlabelled", "true", "--out", str(tmp_path / "s.h5ad")]) == SUCCESS
    assert cycseq.read_effects(tmp_path / "s.h5ad").contexts == ("K562", "RPE1")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.csv",
            "gene,a,b\nKLF1,1,2\nMYC,1,2\nTP53,1,2\n",
            "lists 2 of 2 perturbations, and tells nothing of them: its columns are constant",
        ),
        ("a.csv", "gene,a\nKLF1,1\nMYC,2\nTP53,3\n", "tells nothing of them: it has one column"),
        (
            "a.gmt",
            "A\t\tKLF1\tMYC\nB\t\tKLF1\tMYC\n",
            "tells nothing of them: the sets or edges that these have are of one name, or of all",
        ),
        ("a.csv", "gene,a,b\nZZZ1,1,2\nZZZ2,4,2\nZZZ3,1,0\n", "knows none of the 2 perturbations"),
    ],
)
def test_knowledge_that_tells_nothing_says_why(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    (source,) = read_sources(tmp_path / name)
    with pytest.raises(DataError, match=message) as err:
        source.check_knows_some(["KLF1", "MYC"])
    assert ("species" in str(err.value) or "identifiers" in str(err.value)) <= ("knows none" in message)


def test_a_flag_between_genes_is_asked_for(tmp_path: Path) -> None:
    rows = [f"c{i},{p},{'TRUE' if i % 2 else 'FALSE'},{i},{'TRUE' if i % 3 else 'FALSE'},{i + 2},{i % 2}" for i, p in enumerate(["control", "KLF1"] * 6)]  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["cell,perturbation,doublet,KLF1,GATA1,TP53,MYC", *rows]) + "\n")
    with pytest.raises(DataError, match="'GATA1' holds TRUE and FALSE, and stands between columns of numbers"):
        cycseq.read(path)
    data = cycseq.read(path, cycseq.ReadSettings(label_columns=("GATA1",)))
    assert data.genes == ["KLF1", "TP53", "MYC"]
    path.write_text(path.read_text().replace("GATA1,TP53", "TP53,GATA1").replace("TRUE", "1").replace("FALSE", "0"))
    assert cycseq.read(path).genes[-4:] == ["KLF1", "TP53", "GATA1", "MYC"]


def cells(n: int = 240, genes: list[str] | None = None) -> ad.AnnData:
    """Counts of cells in two contexts, of three perturbed genes and controls."""
    rng = np.random.default_rng(0)
    genes = [*GENES, *(f"GENE{i}" for i in range(54))] if genes is None else genes
    obs = pd.DataFrame({"perturbation": np.resize(["control", "KLF1", "MYC", "TP53"], n), "context": np.repeat(["K562", "RPE1"], n // 2)},
                       index=[f"c{i}" for i in range(n)])  # fmt: skip
    x = rng.poisson(rng.gamma(2.0, 1.0, len(genes)), (n, len(genes))) + np.eye(n, len(genes))
    return ad.AnnData(x.astype("f4"), obs=obs, var=pd.DataFrame(index=genes))


def relabelled(column: str, one: str, *others: str) -> ad.AnnData:
    """The cells where some of one label bear others instead."""
    adata = cells()
    places = np.flatnonzero(adata.obs[column] == one)
    labels = adata.obs[column].to_numpy(dtype=object).copy()
    for i, other in enumerate(others):
        labels[places[i :: len(others) + 1]] = other
    adata.obs[column] = labels
    return adata


@pytest.mark.parametrize(
    ("column", "one", "other", "shown"),
    [
        ("perturbation", "KLF1", "KLF1\u200b", r"KLF1, 'KLF1\\u200b'"),
        ("perturbation", "KLF1", "\u041aLF1", r"KLF1, '\\u041aLF1'"),
        ("perturbation", "KLF1", "\uff2bLF1", r"KLF1, '\\uff2bLF1'"),
        ("perturbation", "control", "c\u043entrol", r"control, 'c\\u043entrol'"),
        ("perturbation", "KLF1", "klf1", "KLF1, klf1"),
        ("context", "K562", "K-562", "K-562, K562"),
        ("context", "K562", "K 562", "K 562, K562"),
        ("context", "K562", "K\u2011562", r"K562, 'K\\u2011562'"),
        ("context", "RPE1", "RPE-1", "RPE-1, RPE1"),
    ],
)
def test_labels_that_look_alike_are_said(column: str, one: str, other: str, shown: str) -> None:
    notes = cycseq.read(relabelled(column, one, other)).notes
    assert any(f"({shown.replace(chr(92) * 2, chr(92))})" in note and "write them alike" in note for note in notes), (
        notes
    )


@pytest.mark.parametrize(
    ("one", "two"),
    [
        *[
            ("KLF1_1", "KLF11"),
            ("NKX2-1", "NKX21"),
            ("CD4+", "CD4"),
            ("CD4+", "CD4-"),
            ("drug@1uM", "drug@1mM"),
            ("1.5", "15"),
        ],
        *[
            ("A+B", "AB"),
            ("1_1", "11"),
            ("IL6", "IL16"),
            ("1e-05", "1e-5x"),
            ("G1.5", "G15"),
            ("chr1:100", "chr1:1000"),
        ],
    ],
)
def test_labels_that_differ_are_not_called_alike(one: str, two: str) -> None:
    assert spelling(one) != spelling(two)
    assert note_spellings([one, two], "perturbations") == []


def test_what_a_spreadsheet_makes_of_symbols_is_said() -> None:
    notes = cycseq.read(relabelled("perturbation", "KLF1", "2-Mar", "2.31E+13")).notes
    assert any(
        "1 perturbation is called like a day (2-Mar)" in note and "called like a number (2.31E+13)" in note
        for note in notes
    )
    assert "2.31E+13" in cycseq.read(relabelled("perturbation", "KLF1", "2.31E+13")).perturbations


@pytest.mark.parametrize("label", ["#N/A", "?", "-", "."])
def test_signs_for_nothing_are_no_perturbation(label: str) -> None:
    with pytest.raises(DataError, match="have no perturbation"):
        cycseq.read(relabelled("perturbation", "KLF1", label))
    untreated = relabelled("perturbation", "control", label)
    untreated.obs["perturbation"] = untreated.obs["perturbation"].replace("control", label)
    assert cycseq.read(untreated, cycseq.ReadSettings(control=label)).controls().n_cells == 60  # unless that was said


@pytest.mark.parametrize(
    "respelled",
    [
        "GRCh38_{}",
        "GRCh38______{}",
        "mm10_{}",
        "{}_ENSG00000105610",
        "{}|10661",
        "{} ",
        "{}\u00a0",
        "\ufeff{}",
        "{}_ENSG00000105610.3",
    ],
)
def test_genes_with_something_beside_their_symbols_are_found(tmp_path: Path, respelled: str) -> None:
    adata = cells(genes=[respelled.format(gene) for gene in [*GENES, *(f"GENE{i}" for i in range(54))]])
    adata.write_h5ad(tmp_path / "a.h5ad")
    text = cycseq.inspect_file(tmp_path / "a.h5ad").text()
    assert "3 of 3 perturbations differ from genes of the data in how it is written" in text


def test_genes_of_two_species_in_one_table_are_said(tmp_path: Path) -> None:
    human = cells()
    mouse = cells(genes=[gene.capitalize() for gene in human.var_names])
    joined = ad.concat([human, mouse], join="outer", index_unique="-", fill_value=0)
    assert any("60 genes are named like another but for case or version" in note for note in cycseq.read(joined).notes)
    assert not any("named like another" in note for note in cycseq.read(human).notes)


def test_genes_that_a_data_set_lacks_are_said(tmp_path: Path) -> None:
    whole = cells()
    one, two = whole[:120, :45].copy(), whole[120:, 15:].copy()
    joined = ad.concat([one, two], join="outer", fill_value=0)
    joined.write_h5ad(tmp_path / "a.h5ad")
    for text in ("\n".join(cycseq.read(joined).notes), cycseq.inspect_file(tmp_path / "a.h5ad").text()):
        assert "genes that most other cells express are 0 in every cell of context" in text
        assert "(2 of 2 lack many)" in text
    assert not any("join='outer'" in note for note in cycseq.read(whole).notes)
    assert not any("join='outer'" in note for note in cycseq.read(ad.concat([one, two], join="inner")).notes)


def test_features_that_are_no_genes_are_left_out(tmp_path: Path) -> None:
    adata = cells()
    adata.var["feature_types"] = ["Gene Expression"] * 50 + ["CRISPR Guide Capture"] * 6 + ["Antibody Capture"] * 4
    adata.write_h5ad(tmp_path / "a.h5ad")
    for source in (adata, tmp_path / "a.h5ad"):
        data = cycseq.read(source)
        assert data.genes == list(adata.var_names[:50])
        assert any("6 of CRISPR Guide Capture, 4 of Antibody Capture" in note for note in data.notes)
    assert adata.n_vars == 60
    adata.var["feature_types"] = "Gene Expression"
    assert len(cycseq.read(adata).genes) == 60


def test_a_matrix_that_was_turned_is_refused(tmp_path: Path, capsys) -> None:
    barcodes = ["".join(np.random.default_rng(i).choice(list("ACGT"), 16)) + "-1" for i in range(80)]
    turned = cells(genes=barcodes)
    with pytest.raises(DataError, match="80 of 80 genes are called like cells"):
        cycseq.read(turned)
    turned.write_h5ad(tmp_path / "a.h5ad")
    assert main(["inspect", str(tmp_path / "a.h5ad")]) == SUCCESS
    assert "the matrix lies the other way round" in capsys.readouterr().out


def test_effects_with_two_spellings_or_without_a_sign_are_said(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "e.csv"
    genes = [f"GENE{i}" for i in range(20)]
    rows = [(gene, p, c, rng.normal()) for p in ("KLF1", "MYC") for c in ("K562", "RPE1") for gene in genes]
    table = pd.DataFrame(rows, columns=["gene", "perturbation", "cell_line", "log2FoldChange"])

    def notes(changed: pd.DataFrame) -> str:
        changed.to_csv(path, index=False)
        return "\n".join(cycseq.read_effects(path).notes)

    assert not any(word in notes(table) for word in ("alike", "below 0", "like a day"))
    in_rpe1 = table["cell_line"] == "RPE1"
    assert "20 genes are named like another" in notes(
        table.assign(gene=table["gene"].where(in_rpe1, table["gene"].str.lower()))
    )
    assert "contexts look alike (RPE 1, RPE1)" in notes(
        table.assign(
            cell_line=table["cell_line"].where(
                table["perturbation"] == "MYC", table["cell_line"].str.replace("E1", "E 1")
            )
        )
    )
    assert "1 gene is called like a day (1-Mar)" in notes(table.replace({"gene": {"GENE0": "1-Mar"}}))
    assert "none of 80 values is below 0" in notes(table.assign(log2FoldChange=2 ** table["log2FoldChange"]))


def test_conditions_that_are_spelled_otherwise_are_not_predicted_as_new_ones() -> None:
    contexts, perturbations = ["K562", "RPE1"], ["IL-6", "KLF1"]
    assert conditions_of_words(["RPE1:KLF1", "RPE1:MYC", "RPE1:KLF1+MYC"], contexts, perturbations)
    for wrong in ("RPE1:klf1", "RPE1:KLF1\u200b", "RPE1:\u041aLF1", "RPE1:IL6", "RPE1:IL 6", "RPE1:IL\u20116"):
        with pytest.raises(ModelError, match="did you mean"):
            conditions_of_words([wrong], contexts, perturbations)
    for joined in ("RPE1:KLF1;K562:KLF1", "RPE1:KLF1 RPE1:IL-6"):
        with pytest.raises(ModelError, match="names a context twice: separate conditions by commas"):
            conditions_of_words([joined], contexts, perturbations)
