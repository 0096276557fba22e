"""Files as people have them: each was refused or misread once, and is read now."""

from __future__ import annotations

import pandas as pd
import pytest

import cycseq
from conftest import make_counts, make_log1p
from cycseq.cli import SUCCESS, main
from cycseq.data.gene_names import why_genes_differ
from cycseq.errors import DataError, SettingsError

pytestmark = pytest.mark.usefixtures("empty_figures")


@pytest.mark.parametrize("perturbation", ["treatment", "stim", "guide_identity"])
@pytest.mark.parametrize("context", ["seurat_annotations"])
@pytest.mark.parametrize("batch", ["patient_id", "sample_id", "donor_id"])
def test_names_of_other_tools(perturbation, context, batch):
    adata = make_counts(cells=6, genes=20)
    adata.obs.columns = [context, perturbation, batch]
    data = cycseq.read(adata)
    assert data.contexts == ("K562", "RPE1", "THP1")
    assert data.perturbations == ("G1", "G1+G2", "G2", "G3")
    assert set(data.obs["batch"]) == {"b0", "b1"}


def test_a_usual_name_comes_first():
    adata = make_counts(cells=6, genes=20)
    adata.obs["sample_id"] = pd.Categorical([f"s{i}" for i in range(adata.n_obs)])
    adata.obs["patient_id"] = "p"
    assert set(cycseq.read(adata).obs["batch"]) == {"b0", "b1"}


def test_inspect_of_a_prepared_file_does_not_send_back_to_prepare(tmp_path):
    adata = make_counts(cells=12)
    cycseq.prepare([cycseq.read(adata)], cycseq.PrepareSettings(genes="all")).write(tmp_path / "p.h5ad")
    text = cycseq.inspect_file(tmp_path / "p.h5ad").text()
    assert "ready: type cycseq benchmark --data" in text
    assert "cycseq prepare" not in text


def test_pathways_without_a_significant_set_are_shown_all_the_same(tmp_path, capsys):
    adata = make_counts(cells=12)
    cycseq.prepare([cycseq.read(adata)], cycseq.PrepareSettings(genes="all")).write(tmp_path / "p.h5ad")
    (tmp_path / "sets.gmt").write_text("a set\t\t" + "\t".join(f"G{i}" for i in range(1, 60, 2)) + "\n")
    words = f"pathways --predicted {tmp_path}/p.h5ad --gmt {tmp_path}/sets.gmt --out {tmp_path}/s.csv"
    assert main(words.split()) == SUCCESS
    out = capsys.readouterr().out
    assert "no set has an adjusted p below" in out
    assert "a set" in out


@pytest.mark.parametrize("genes_in_rows", [True, False])
def test_a_folder_of_counts_and_metadata(tmp_path, genes_in_rows):
    adata = make_counts(cells=6, genes=20)
    counts = pd.DataFrame(adata.X.toarray().astype(int), index=adata.obs_names, columns=adata.var_names)
    (counts.T if genes_in_rows else counts).to_csv(tmp_path / "counts.csv.gz")
    adata.obs.iloc[::-1].to_csv(tmp_path / "metadata.csv")
    data = cycseq.read(tmp_path)
    assert data.conditions() == cycseq.read(adata).conditions()
    assert data.x.sum() == adata.X.sum()
    assert any(note.startswith("labels <- metadata.csv, by the names") for note in data.notes)


def test_doses_and_times_of_cells_are_kept_apart_where_that_is_asked_for(capsys, tmp_path):
    adata = make_counts(cells=24, genes=20, contexts=("K562",), perturbations=("DMSO", "trametinib"))
    adata.obs["dose"] = [["1 uM", "10 uM"][i % 2] for i in range(adata.n_obs)]
    adata.obs["time"] = [["6h", "24h"][i // 2 % 2] for i in range(adata.n_obs)]
    data = cycseq.read(adata, doses="separate")
    assert data.perturbations == tuple(f"trametinib@{dose}@{time}h" for dose in ("10uM", "1uM") for time in (24, 6))
    assert not any("pooled" in note for note in data.notes)
    assert any("--doses separate makes a condition" in note for note in cycseq.read(adata).notes)
    with pytest.raises(DataError, match="use --doses separate"):
        cycseq.read(adata, split_by="dose,time")
    adata.write_h5ad(tmp_path / "drugs.h5ad")
    assert main(["inspect", f"{tmp_path}/drugs.h5ad", "--doses", "separate"]) == SUCCESS
    out = capsys.readouterr().out
    assert "perturbations: 4 (4 single, 0 combined)" in out
    assert "no gene" not in out  # of drugs


def test_mouse_genes_are_told_from_human_ones():
    human = make_log1p()
    controls = human.controls(["K562"])
    mouse = cycseq.PerturbationData(controls.adata.copy(), "log1p")
    mouse.adata.var_names = [gene.lower() for gene in mouse.genes]
    model = cycseq.build_model("ContextAdditive").fit(human)
    with pytest.raises(DataError, match="differ in upper and lower case"):
        model.predict(mouse, "K562:G1", n_cells=2)
    adata = make_counts(cells=6, genes=20)
    adata.var_names = [gene.lower() for gene in adata.var_names]
    notes = cycseq.prepare([cycseq.read(adata)], cycseq.PrepareSettings(genes="all", min_counts=0)).notes
    assert any("in upper and lower case alone (G1 is g1 there" in note for note in notes)


def test_a_few_names_in_common_do_not_hide_why_the_others_differ():
    one = [f"GENE{i}" for i in range(20)] + [f"X{i}.1" for i in range(12)]
    assert "upper and lower case" in why_genes_differ(one, [name.replace("GENE", "Gene") for name in one])


def test_a_command_without_options_of_reading_says_which_has_them(capsys):
    assert main(["fit", "--data", "x.h5ad", "--context-key", "patient", "--run", "run"]) != SUCCESS
    assert "without --context-key: cycseq prepare has it" in capsys.readouterr().err


def test_a_single_context_in_which_all_was_measured_says_what_to_name():
    data = make_log1p()
    with pytest.raises(SettingsError, match=r"'K562' is the only context.*--context-key"):
        cycseq.predict(data.subset(c for c in data.conditions() if c.context == "K562"), "missing")
