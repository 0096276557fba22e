"""Predict what was never measured: one command, no split, and what it says of how far to trust it."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from conftest import make_counts
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.condition import Condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.posterior import COLUMNS
from cycseq.data.settings import ObsKeys
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import effects_of
from cycseq.run.answer.conditions import kind_of, missing_conditions
from cycseq.run.answer.left_out import leave_out
from cycseq.run.answer.predict import Answer, predict
from cycseq.run.answer.words import how_well
from cycseq.run.folder import Run
from cycseq.split.base import Split

LEFT_OUT = "THP1:G1"


@pytest.fixture(scope="module")
def absent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw counts of three patients, of whom one has no treated cells at all."""
    adata = make_counts(contexts=("K562", "RPE1", "HL60", "THP1"), perturbations=("ctrl", "G1", "G2"))
    adata.obs = adata.obs.rename(columns={"cell_type": "patient_id", "perturbation": "condition"})
    here = (adata.obs["patient_id"] != "THP1") | (adata.obs["condition"] == "ctrl")
    path = tmp_path_factory.mktemp("absent") / "screen.h5ad"
    adata[here].copy().write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def screen(absent: Path) -> PerturbationData:
    return PerturbationData.from_anndata(ad.read_h5ad(absent), keys=ObsKeys("condition", "patient_id"))


def options(path: Path) -> str:
    return f"--data {path} --perturbation-key condition --context-key patient_id --control ctrl"


@pytest.fixture(scope="module")
def folder(absent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "answer"
    assert main(f"predict {options(absent)} --conditions {LEFT_OUT} --leave-out 2 --out {out}".split()) == SUCCESS
    return out


@pytest.fixture(scope="module")
def simple(screen: PerturbationData) -> Answer:
    """By a model that gives no uncertainty."""
    return predict(screen, "missing", model="ContextAdditive", leave_out=2)


def refused(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(words.split()) == BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    return err


def test_genes_cells_and_page_of_a_patient_without_treated_cells(folder):
    genes = pd.read_csv(folder / "genes.csv")
    assert list(genes) == list(COLUMNS)
    assert (genes["context"] + ":" + genes["perturbation"] == LEFT_OUT).all()
    assert genes["gene"].nunique() == len(genes) == 60
    assert genes[["effect", "sd", "lower", "upper", "lfsr"]].notna().all(axis=None)
    down = set(genes[(genes["lfsr"] < 0.05) & (genes["effect"] > 0)]["gene"])
    assert down >= {f"G{i}" for i in range(11, 20)}, "G1 raises these in every context of the simulated counts"
    cells = ad.read_h5ad(folder / "cells.h5ad")
    assert cells.n_obs == 500
    assert cells.uns["cycseq"]["model"] == "ConditionKriging"
    assert LEFT_OUT in (folder / "answer.html").read_text()


def test_the_record_says_what_the_uncertainty_rests_on(folder):
    record = json.loads((folder / "answer.json").read_text())
    assert "Nothing was held out" in record["claim"]
    assert any("rest on" in sentence for sentence in record["rests_on"])
    (check,) = record["left_out"]
    assert check["kind"] == "unseen-context"
    assert len(check["conditions"]) == 2
    assert all(row["perturbation"] == "G1" and row["mse_unbiased_norm"] < 0.5 for row in check["conditions"])


def test_an_answer_is_not_overwritten_unasked(folder, absent, capsys):
    words = f"predict {options(absent)} --conditions {LEFT_OUT} --out {folder}"
    assert "exists already" in refused(words, capsys)


def test_missing_is_every_perturbation_where_it_was_not_measured(simple):
    assert [str(c) for c in simple.conditions] == ["THP1:G1", "THP1:G2"]
    assert set(simple.kinds.values()) == {"unseen-context"}


def test_without_own_uncertainty_it_comes_from_the_errors(simple):
    assert not simple.own_uncertainty
    assert (simple.genes["sd"] > 0).all()
    errors = simple.checks[0].errors
    assert errors.shape == (4, 60)
    assert simple.genes["sd"].median() == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.5)


def test_effects_give_genes_and_no_cells(screen, tmp_path):
    effects_of(as_log1p(screen)).write(tmp_path / "effects.h5ad")
    words = f"predict --data {tmp_path}/effects.h5ad --conditions {LEFT_OUT} --out {tmp_path}/answer --leave-out 1"
    assert main(words.split()) == SUCCESS
    assert sorted(path.name for path in (tmp_path / "answer").iterdir()) == ["answer.html", "answer.json", "genes.csv"]
    assert pd.read_csv(tmp_path / "answer" / "genes.csv")["effect"].notna().all()


def test_one_context_cannot_be_checked_and_that_is_said(screen):
    two = screen.subset([c for c in screen.conditions() if c.context in ("K562", "THP1")])
    answer = predict(two, LEFT_OUT, leave_out=2)
    assert answer.checks[0].why_not.startswith("no asked perturbation is measured in another context")
    assert answer.genes["sd"].notna().all()


def test_fit_without_a_split_then_predict_a_new_patient(absent, tmp_path, capsys):
    prepared = tmp_path / "p.h5ad"
    assert (
        main(
            f"prepare {absent} --perturbation-key condition --context-key patient_id --genes all --out {prepared}".split()
        )
        == SUCCESS
    )
    assert main(f"fit --data {prepared} --model ContextAdditive --run {tmp_path}/run".split()) == SUCCESS
    assert "Nothing was held out" in capsys.readouterr().out
    assert "Nothing was held out" in (tmp_path / "run" / "model" / "README.md").read_text()
    assert Run.open(tmp_path / "run").split == Split.read(tmp_path / "run" / "split.json")

    new = make_counts(contexts=("p7",), perturbations=("ctrl",), seed=3)
    new.obs = new.obs.rename(columns={"cell_type": "patient"})[["patient"]]  # no column says that all are controls
    new.write_h5ad(tmp_path / "new.h5ad")
    words = f"predict --run {tmp_path}/run --controls {tmp_path}/new.h5ad --context-key patient --cells 9 --out {tmp_path}/new_out.h5ad"
    assert main([*words.split(), "--conditions", "p7:G2"]) == SUCCESS
    assert ad.read_h5ad(tmp_path / "new_out.h5ad").obs["context"].tolist() == ["p7"] * 9
    assert "no test conditions" in refused(words.replace("new_out", "other"), capsys)
    assert "did you mean 'G2'" in refused(f"{words.replace('new_out', 'other')} --conditions p7:g2", capsys)
    page = f"{words.replace('new_out.h5ad', 'page')} --conditions p7:G2"
    assert "Use --leave-out 3" in refused(page, capsys)
    assert main(f"{page} --leave-out 1".split()) == SUCCESS
    assert set(pd.read_csv(tmp_path / "page" / "genes.csv")["context"]) == {"p7"}
    assert ad.read_h5ad(tmp_path / "page" / "cells.h5ad").n_obs == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--conditions THP1:g1", "did you mean 'G1'"),
        ("--conditions THP2:G1", "did you mean 'THP1'"),
        ("--conditions THP1", "expected CONTEXT:PERTURBATION"),
        ("", "name what to predict"),
        ("--conditions THP1:G1 --genes-out g.csv", "--genes-out needs --run and an --out that is a file"),
        ("--conditions THP1:G1 --run there", "use --data FILE"),
        ("--conditions THP1:G1 --model ContextAditive", "did you mean 'ContextAdditive'"),
        ("--conditions THP1:G1 --model ContextAdditive --leave-out 0", "gives no uncertainty"),
    ],
)
def test_bad_input_gets_one_line(absent, tmp_path, capsys, words, said):
    assert said in refused(f"predict {options(absent)} --out {tmp_path}/answer {words}", capsys)
    assert not (tmp_path / "answer").exists()


def test_a_file_is_no_folder(absent, tmp_path, capsys):
    words = f"predict {options(absent)} --conditions {LEFT_OUT} --out {tmp_path}/answer.h5ad"
    assert "must be a folder" in refused(words, capsys)


MEASURED = [
    Condition(*pair)
    for pair in [("a", "X"), ("a", "Y@1uM"), ("b", "X"), ("b", "Z"), ("a", "V@1uM@2h"), ("a", "V@3uM@8h")]
]


@pytest.mark.parametrize(
    ("condition", "kind"),
    [
        (("a", "X"), None),
        (("a", "Z"), "unseen-pair"),
        (("c", "Z"), "unseen-context"),
        (("a", "W"), "unseen-perturbation"),
        (("a", "X+Z"), "unseen-combination"),
        (("a", "Y@2uM"), "unseen-dose"),
        (("a", "Y@1uM@24h"), "unseen-time"),
        (("a", "V@1uM@8h"), "unseen-dose"),
    ],
)
def test_what_a_condition_amounts_to(condition, kind):
    assert kind_of(Condition(*condition), MEASURED) == kind


def test_missing_conditions_of_known_contexts():
    missing = missing_conditions(MEASURED, ["a", "b", "c"])
    assert [str(c) for c in missing if c.agent != "V"] == ["a:Z", "b:Y@1uM", "c:X", "c:Y@1uM", "c:Z"]


def test_a_dose_is_checked_on_the_same_dose_of_other_drugs():
    names = [
        f"{drug}@{dose}" for drug in "uvwxyz" for dose in ("Low", "Middle", "High") if (drug, dose) != ("z", "Middle")
    ]
    effects = np.random.default_rng(0).normal(size=(len(names), 9))
    data = Effects.from_arrays(
        effects, [Condition("a", name) for name in names], [f"G{i}" for i in range(9)], scale="z"
    )
    splits = leave_out(data, [Condition("a", "z@Middle")], "unseen-dose", 2)
    assert [[c.perturbation for c in split.test] for split in splits] == [
        ["u@Middle", "x@Middle"],
        ["v@Middle", "y@Middle"],
    ]
    assert all({"z@Low", "w@Middle"} <= {c.perturbation for c in split.train} for split in splits)


def test_pairs_measured_in_one_context_are_checked_on_others_of_the_asked_context():
    data = as_log1p(
        PerturbationData.from_anndata(make_counts(perturbations=("control", *(f"G{i}" for i in range(1, 6)))))
    )
    asked = [c for c in data.conditions() if c.context == "RPE1" and c.perturbation in {"G4", "G5"}]
    screen = data.subset(c for c in data.conditions() if c.context != "THP1" and c not in asked)
    splits = leave_out(screen, asked, "unseen-pair", 3)
    assert sorted(str(c) for split in splits for c in split.test) == ["RPE1:G1", "RPE1:G2", "RPE1:G3"]
    answer = predict(screen, asked, model="ContextAdditive", leave_out=1)
    assert answer.checks[0].why_not == ""
    assert how_well(answer.checks[0])[0].startswith("1 measured condition of 1 context (RPE1) was left out")
