"""Files as people have them: each was refused or misread once, and is read now."""

from __future__ import annotations

import pandas as pd
import pytest

import cycseq
from conftest import make_counts
from cycseq.cli import SUCCESS, main


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
