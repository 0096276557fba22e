"""Splits of PIE, State, GEARS and TxPert, as they lie in those tools' files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.errors import FileError, SplitError
from cycseq.split.base import Split
from cycseq.split.peers.read import read_peer_split

GENES = [f"G{i}" for i in range(20)]
PERTURBATIONS = ("control", "A", "B", "C", "A+B")


@pytest.fixture(scope="module")
def data() -> PerturbationData:
    labels = [(context, p) for context in ("HepG2", "K562", "RPE1") for p in PERTURBATIONS for _ in range(5)]
    obs = pd.DataFrame(labels, columns=["context", "perturbation"], index=[f"c{i}" for i in range(len(labels))])
    x = np.random.default_rng(0).poisson(2.0, (len(labels), len(GENES))).astype(np.float32)
    return PerturbationData.from_anndata(ad.AnnData(x, obs, pd.DataFrame(index=GENES)), scale="counts")


def names(split: Split, part: str) -> set[str]:
    return {str(condition) for condition in split.in_part(part)}


def test_pies_files_name_contexts_of_data_sets(data: PerturbationData, tmp_path: Path) -> None:
    test = tmp_path / "test.json"
    test.write_text(json.dumps({"replogle.hepg2": ["A", "B"], "tahoe.A549": ["X"]}))
    alone = read_peer_split(test, data)
    assert names(alone, "test") == {"HepG2:A", "HepG2:B"}
    assert len(alone.train) == 10
    assert alone.kind == "unseen-pair"
    (tmp_path / "train.json").write_text(json.dumps({"replogle.k562": ["A", "B", "C"], "replogle.rpe1": ["A"]}))
    (tmp_path / "val.json").write_text(json.dumps({"replogle.rpe1": ["B"]}))
    whole = read_peer_split(test, data)
    assert names(whole, "train") == {"K562:A", "K562:B", "K562:C", "RPE1:A"}
    assert names(whole, "validation") == {"RPE1:B"}
    assert whole.kind == "unseen-context"
    assert len(whole.left_out) == 5
    assert not whole.problems(data)


def test_states_toml_holds_out_cell_types_and_lists(data: PerturbationData, tmp_path: Path) -> None:
    path = tmp_path / "fewshot.toml"
    path.write_text(
        '[datasets]\nscreen = "/data"\n[training]\nscreen = "train"\n[zeroshot]\n"screen.rpe1" = "test"\n'
        '[fewshot]\n[fewshot."screen.HepG2"]\nval = ["A", "B"]\ntest = ["A"]\n'
    )
    split = read_peer_split(path, data)
    assert names(split, "test") == {"HepG2:A", "RPE1:A", "RPE1:B", "RPE1:C", "RPE1:A+B"}
    assert names(split, "validation") == {"HepG2:B"}
    assert {c.context for c in split.train} == {"HepG2", "K562"}
    path.write_text('[zeroshot]\n"screen.rpe1" = "held-out"\n')
    with pytest.raises(FileError, match="parts are train, val, test"):
        read_peer_split(path, data)


@pytest.mark.parametrize("ending", ["pkl", "json"])
def test_gears_and_txperts_lists_hold_in_every_context(data: PerturbationData, tmp_path: Path, ending: str) -> None:
    lists = {"train": ["A+ctrl", "ctrl", "ctrl+B"], "val": ["C+ctrl"], "test": ["B+A"]}
    path = tmp_path / f"screen_simulation_1_0.75.{ending}"
    path.write_bytes(pickle.dumps(lists) if ending == "pkl" else json.dumps(lists).encode())
    split = read_peer_split(path, data)
    assert names(split, "test") == {f"{context}:A+B" for context in data.contexts}
    assert names(split, "validation") == {f"{context}:C" for context in data.contexts}
    assert split.kind == "unseen-combination"
    assert not split.problems(data)


def test_a_pickle_runs_nothing(data: PerturbationData, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "split.pkl"
    path.write_bytes(pickle.dumps({"test": [Hostile()]}))
    with pytest.raises(FileError, match=r"no pickle of plain lists.*write the lists as JSON"):
        read_peer_split(path, data)
    assert not (tmp_path / "ran").exists()


def test_the_command_checks_and_writes(
    data: PerturbationData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write(tmp_path / "cells.h5ad")
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps({"replogle.rpe1": ["A", "B", "C", "A+B"]}))
    words = ["split", "--data", str(tmp_path / "cells.h5ad"), "--from", str(path)]
    assert main([*words, "--out", str(tmp_path / "split.json")]) == SUCCESS
    assert Split.read(tmp_path / "split.json").rows(data)["test"].size == 20
    path.write_text(json.dumps({"replogle.jurkat": ["A"]}))
    assert main(words) == BAD_INPUT
    assert "tests no condition of these data" in capsys.readouterr().err


def test_what_is_no_split_is_said(data: PerturbationData, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("[1, 2]")
    with pytest.raises(FileError, match=r"no split of PIE \(\.json\)"):
        read_peer_split(path, data)
    path.write_text(json.dumps({"train": ["A+ctrl"], "test": ["Z+ctrl"]}))
    with pytest.raises(SplitError, match="tests no condition"):
        read_peer_split(path, data)
    toml = tmp_path / "other.toml"
    for part in ('"hidden"', '["test"]'):
        toml.write_text(f'[zeroshot]\n"replogle.rpe1" = {part}\n')
        with pytest.raises(FileError, match="State's parts are train, val, test"):
            read_peer_split(toml, data)
