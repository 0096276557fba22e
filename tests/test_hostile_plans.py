"""Plans and states kept as text, damaged or altered: splits of other tools, the challenge's files, a search, a training, effects."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from cycseq.benchmarking.tuning.search import _read_trials
from cycseq.benchmarking.tuning.spaces import space_of
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import CycseqError, DataError, FileError, ModelError
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.effects.read import read_effects
from cycseq.formats.settings import ReadSettings
from cycseq.formats.writers.vcc import Panel
from cycseq.knowledge.read import read_sources
from cycseq.models.networks.training.state import State, load_state
from cycseq.run.folder import Run
from cycseq.score.challenge.reference import CountReference
from cycseq.score.challenge.scale import ChallengeScale
from cycseq.score.metrics.challenge import CHALLENGE
from cycseq.split.peers.read import read_peer_split


def counted(n: int, n_controls: int = 4) -> PerturbationData:
    """Counts of so many cells of G1 and G2, and of controls, in one context."""
    labels = ["control"] * n_controls + ["G1"] * n + ["G2"] * n
    obs = pd.DataFrame({"perturbation": labels, "cell_type": "x"}, index=[f"c{i}" for i in range(len(labels))])
    x = np.random.default_rng(0).poisson(3.0, (len(labels), 5)).astype("f4") + np.eye(len(labels), 5, dtype="f4")
    return PerturbationData.from_anndata(ad.AnnData(x, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(5)])))


@pytest.mark.parametrize(("n", "n_controls", "lacking"), [(1, 4, "cells of one perturbation"), (4, 1, "control cells")])
def test_too_few_cells_for_halves_are_said(n: int, n_controls: int, lacking: str) -> None:
    real = counted(n, n_controls)
    with pytest.raises(DataError, match=f"context 'x' has no two {lacking}"):
        ChallengeScale().complete(CountReference.of(real, "x"), real)


def test_a_scale_that_was_altered_is_refused(tmp_path: Path) -> None:
    real, scale, path = counted(6), ChallengeScale(), tmp_path / "scale.json"
    scale.complete(CountReference.of(real, "x"), real)
    scale.write(path)
    assert ChallengeScale.read(path).ends == json.loads(path.read_text())["contexts"]
    member = min(CHALLENGE)
    for ends in ([], {}, {"real": 1}, scale.ends["x"] | {member: [1.0]}, scale.ends["x"] | {member: [[], 1.0]},
                 scale.ends["x"] | {member: {}}, {name: value for name, value in scale.ends["x"].items() if name != member}):  # fmt: skip
        path.write_text(json.dumps({"rule": 3, "contexts": {"x": ends}}))
        with pytest.raises(FileError, match="is not a scale of rule 3 of the challenge"):
            ChallengeScale.read(path)
    for content in (b"{", b"[]", b"\xff", b'{"rule": 3, "rule": 3}'):
        path.write_bytes(content)
        with pytest.raises(FileError, match="is damaged"):
            ChallengeScale.read(path)


SPLITS = {
    "train.json beside is no JSON": ({"test.json": b'{"d.x": ["G1"]}', "train.json": b"{"}, "train.json is damaged"),
    "train.json beside is no text": ({"test.json": b'{"d.x": ["G1"]}', "train.json": b"\xff"}, "train.json is damaged"),
    "a number for a list": ({"s.toml": b'[fewshot."d.x"]\ntest = 5\n'}, "test of 'd.x' is not a list"),
    "a text for a list": ({"s.toml": b'[fewshot."d.x"]\ntest = "G1"\n'}, "test of 'd.x' is not a list"),
    "TOML that is no text": ({"s.toml": b"\xff"}, "is no TOML"),
}


@pytest.mark.parametrize(("files", "message"), SPLITS.values(), ids=SPLITS)
def test_splits_of_peers_that_are_damaged(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=message):
        read_peer_split(tmp_path / next(iter(files)), counted(3))


PANELS = {
    "no number of cells": ("target_gene,n_cells\nG1,many\n", None, "n_cells is 'many'"),
    "half a cell": ("target_gene,n_cells\nG1,1.5\n", None, "n_cells is '1.5'"),
    "more fields than the header": ("target_gene,n_cells\nG1,5,x\n", None, "lines with more fields than its header"),
    "no cell": ("target_gene,n_cells\nG1,0\n", None, "n_cells is '0'"),
    "a manifest that is no JSON": ("target_gene\nG1\n", b"{", "manifest.json is damaged"),
    "a manifest that is no text": ("target_gene\nG1\n", b"\xff", "manifest.json is damaged"),
    "a manifest of other kinds": ("target_gene\nG1\n", b'{"contexts": 5}', "contexts in .* is not what the challenge"),
}


@pytest.mark.parametrize(("targets", "manifest", "message"), PANELS.values(), ids=PANELS)
def test_lists_of_the_challenge_that_are_damaged(
    tmp_path: Path, targets: str, manifest: bytes | None, message: str
) -> None:
    (tmp_path / "genes.csv").write_text("gene_name\nG1\nG2\n")
    (tmp_path / "targets.csv").write_text(targets)
    if manifest is not None:
        (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(FileError, match=message):
        Panel.read(tmp_path / "genes.csv", tmp_path / "targets.csv")


TRIAL = {"state": "complete", "params": {"n_components": 5}, "scores": [{"mse_ratio": 1.0, "pearson_delta": 0.5}]}


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"penalty": "1"}},
        {"params": {"n_components": 500}},
        {"params": {"n_components": "5"}},
        {"state": "asleep"},
        {"scores": []},
        {"scores": [{"mse_ratio": 1.0}]},
        {"scores": [{"mse_ratio": "low", "pearson_delta": 0.5}]},
        {"scores": 5},
    ],
)
def test_trials_that_were_altered_are_refused(tmp_path: Path, change: dict) -> None:
    space, path = space_of("ConditionKriging"), tmp_path / "tune.json"
    path.write_text(json.dumps({"trials": [TRIAL]}))
    assert len(_read_trials(path, space)) == 1
    path.write_text(json.dumps({"trials": [TRIAL, TRIAL | change]}))
    with pytest.raises(FileError, match="cannot be used"):
        _read_trials(path, space)


@pytest.mark.parametrize("change", [{"epoch": {}}, {"net": 3}, {"best_loss": "low"}, {"history": {}}])
def test_states_of_a_training_that_were_altered_are_refused(tmp_path: Path, change: dict) -> None:
    torch.save({"identity": "me", **vars(State(epoch=1))}, tmp_path / "last.ckpt")
    assert load_state(tmp_path, "me").epoch == 1
    torch.save({"identity": "me", **vars(State()), **change}, tmp_path / "last.ckpt")
    with pytest.raises(ModelError, match="not a state of a training of this version"):
        load_state(tmp_path, "me")


@pytest.mark.parametrize(("name", "read"), [("history.csv", Run.history), ("metrics.csv", Run.metrics)])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b'a,b\n1,"2\n'])
def test_tables_of_a_run_that_are_damaged(tmp_path: Path, name: str, read: Callable, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=f"{name} cannot be used"):
        read(Run(tmp_path, {}))


def test_a_column_of_effects_that_stands_twice_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "both.csv"
    path.write_text("gene,perturbation,log2FoldChange,log2FoldChange\nMYC,KLF1,1.0,-2.0\n")
    with pytest.raises(DataError, match=r"two columns of .* are called 'log2FoldChange'"):
        read_effects(path)
    path.write_text("gene,perturbation,log2FoldChange,padj,padj\nMYC,KLF1,1.0,0.5,0.1\n")
    assert read_effects(path).conditions() == (Condition("both", "KLF1"),)


def test_a_label_of_effects_that_is_no_text_number_or_truth_value_is_left_out(tmp_path: Path) -> None:
    adata = ad.AnnData(
        np.array([[0.5, -1.0], [1.5, -0.25], [0.1, -0.6]], dtype=np.float32),
        obs=pd.DataFrame({"perturbation": ["A", "B", "C"], "cell_type": "K", "batch": "b"}, index=list("xyz")),
        var=pd.DataFrame(index=["G1", "G2"]),
    )
    path = tmp_path / "e.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["obs/batch"]
        file["obs/batch"] = np.array([1j, 2, 3])
        file["obs/batch"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    effects = read_effects(path, ReadSettings(scale="log2_fold_change"))
    assert [str(c) for c in effects.conditions()] == ["K:A", "K:B", "K:C"]
    assert "batch" not in effects.adata.obs


def test_a_mark_of_effects_that_is_no_text(tmp_path: Path) -> None:
    obs = pd.DataFrame({"perturbation": ["A", "B"], "context": ["x", "x"]}, index=["0", "1"])
    adata = ad.AnnData(
        np.array([[1.0, -2.0], [0.5, 3.0]], dtype="f4"), obs=obs, uns={"cycseq": {"kind": ["effects"] * 2}}
    )
    adata.write_h5ad(tmp_path / "a.h5ad")
    assert not is_effects(tmp_path / "a.h5ad")
    with pytest.raises(CycseqError, match="scale of the effects cannot be determined"):
        read_effects(tmp_path / "a.h5ad")


def test_gct_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.gct").write_bytes(b"#1.3\n1\t1\t0\t1\nid\ts0\npert\xff\tG1\nG1\t0.5\n")
    with pytest.raises(FileError, match="cannot be read as a GCT file"):
        read_effects(tmp_path / "a.gct")


@pytest.mark.parametrize("end", [b"\0" * 50, b"G3\t0\t0\0\0"])
def test_a_zero_byte_in_a_text_is_refused(tmp_path: Path, end: bytes) -> None:
    """Pandas reads on beyond the end of such a text: 387 bytes became nine million rows."""
    path = tmp_path / "features.tsv"
    path.write_bytes(b"gene\ta\tb\nG1\t1\t2\nG2\t3\t4\n" + end)
    with pytest.raises(FileError, match="holds a zero byte"):
        read_sources(path)
    with zipfile.ZipFile(tmp_path / "features.tsv.zip", "w") as packed:
        packed.write(path, "features.tsv")
    with pytest.raises(FileError, match="holds a zero byte"):
        read_sources(tmp_path / "features.tsv.zip")


@pytest.mark.parametrize(
    "header", ["source,target,weight", "symbol,go_id", "gene,a,b", "protein1,protein2,combined_score"]
)
def test_knowledge_without_rows_is_said(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n")
    with pytest.raises(DataError, match=r"names no gene|no table of knowledge|no set of genes|no numbers"):
        read_sources(tmp_path / "a.csv")
