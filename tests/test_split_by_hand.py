"""Splits that somebody wrote or changed: what is wrong with them is said, and nothing is learned from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.split.base import Split
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

pytestmark = pytest.mark.usefixtures("empty_figures")

CONDITIONS = [(context, perturbation) for context in "ab" for perturbation in ("control", "A", "B", "C")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    obs = pd.DataFrame([row for row in CONDITIONS for _ in range(6)], columns=["context", "perturbation"]).assign(
        batch="0"
    )
    obs.index = obs.index.map(lambda i: f"cell{i}")
    x = np.random.default_rng(0).poisson(2, (len(obs), 20)).astype(np.float32) + 1
    data = PerturbationData.from_anndata(ad.AnnData(X=x, obs=obs))
    data.write(tmp_path / "d.h5ad")
    predicted = ad.AnnData(X=x[30:][:, ::-1], obs=obs.iloc[30:], var=data.adata.var)
    predicted.write_h5ad(tmp_path / "p.h5ad")
    make_splits(data, SplitSettings(context="b", validation=0.0))[0].write(tmp_path / "s.json")
    return tmp_path


def changed(folder: Path, change: Callable[[dict], object]) -> Path:
    """A split by whoever changes one and sees to its hash."""
    said = json.loads((folder / "s.json").read_text())
    change(said)
    (folder / "changed.json").write_text(json.dumps(said))
    Split.read(folder / "changed.json", by_hand=True).write(folder / "changed.json", overwrite=True)
    return folder / "changed.json"


PLANTED = {
    "train and test share 1 condition (first: 'b:A')": lambda said: said["train"].append(["b", "A"]),
    "test has 1 condition not in the data (first: 'b:Z')": lambda said: said["test"].append(["b", "Z"]),
    "test has 1 condition listed more than once (first: 'b:A')": lambda said: said["test"].append(["b", "A"]),
    "test has 1 condition of control cells, which": lambda said: said["test"].append(["b", "control"]),
    "train has 1 condition of control cells, which": lambda said: said["train"].append(["a", "control"]),
    "train has no condition": lambda said: said.update(train=[]),
    "test has no condition": lambda said: said.update(test=[]),
    "1 named cell is not in the data (first: 'cell99')": lambda said: said.update(cells={"test": ["cell99"]}),
    "1 named cell is named more than once (first: 'cell1')": lambda said: said.update(
        cells={"test": ["cell1"], "train": ["cell1"]}
    ),
    "train names cells of 1 condition that it does not list (first: 'b:A')": lambda said: said.update(
        cells={"train": ["cell30"]}
    ),
    "it names cells of 'holdout', which is no part of a split": lambda said: said.update(cells={"holdout": ["cell30"]}),
    "train and test share 1 condition (first: 'b:B')": lambda said: said.update(  # though another one is cut
        train=[*said["train"], ["b", "A"], ["b", "B"]], cells={"train": ["cell30"], "test": ["cell31"]}
    ),
    "it is called unseen-context, but training or validation has 1 condition of a tested context (first: 'b:A')": lambda said: (
        said["train"].append(said["test"].pop(0))
    ),
    "3 tested conditions are given away by training or validation conditions that contain them (first: b:A)": lambda said: (
        said.update(kind="unseen-perturbation")
    ),
    "it is called random-cells, but names no cells of 3 conditions of test (first: 'b:A')": lambda said: said.update(
        kind="random-cells"
    ),
    "training has no control cells of b, where responses are tested": lambda said: said.update(
        cells={"reference": [f"cell{i}" for i in range(24, 30)]}
    ),
}


@pytest.mark.parametrize("problem", PLANTED)
def test_all_commands_refuse_the_same_splits(folder: Path, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(folder, PLANTED[problem])
    for words in (
        f"fit --split {path} --model PerturbedMean --run {folder}/run",
        f"benchmark --split {path} --models PerturbedMean --seeds 1 --out {folder}/b",
        f"evaluate --split {path} --predicted {folder}/p.h5ad --real {folder}/d.h5ad --out {folder}/m.csv",
        f"split --check {path}",
        f"split --check {path} --out {folder}/checked.json",
    ):
        data = [] if words.startswith("evaluate") else ["--data", f"{folder}/d.h5ad"]
        assert main([*words.split(), *data]) == BAD_INPUT
        said = capsys.readouterr().err
        assert problem in said
        assert said.count("\n") == 1
    assert {file.name for file in folder.iterdir()} == {"d.h5ad", "p.h5ad", "s.json", "changed.json"}


def test_a_split_by_hand_is_checked_and_given_its_hash(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "mine.json"
    path.write_text(
        json.dumps({"kind": "unseen-pair", "train": [["a", "A"], ["a", "B"], ["b", "B"]], "test": [["b", "A"]]})
    )
    fit = ["fit", "--data", f"{folder}/d.h5ad", "--model", "PerturbedMean", "--run", f"{folder}/run", "--split"]
    assert main([*fit, str(path)]) == BAD_INPUT
    assert "names no format" in capsys.readouterr().err
    check = ["split", "--data", f"{folder}/d.h5ad", "--check", str(path)]
    assert main(check) == BAD_INPUT
    assert main([*check, "--out", f"{folder}/checked.json"]) == SUCCESS
    assert Split.read(folder / "checked.json").name == "mine"
    assert main([*fit, f"{folder}/checked.json"]) == SUCCESS


def test_a_split_of_no_data_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(folder, lambda said: said.update(data_hash=""))
    assert (
        main(f"fit --data {folder}/d.h5ad --split {path} --model PerturbedMean --run {folder}/run".split()) == BAD_INPUT
    )
    assert "does not say of which data it is" in capsys.readouterr().err
