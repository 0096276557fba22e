"""Several controls and labels of guides, as a user of the commands and of Python meets them."""

from __future__ import annotations

import shlex
from pathlib import Path

import anndata as ad
import pytest

import cycseq
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.formats.inspect import inspect_file

pytestmark = pytest.mark.usefixtures("empty_figures")


@pytest.fixture
def two_controls(small_counts: ad.AnnData, tmp_path: Path) -> Path:
    """Half of the controls are DMSO, the others untreated."""
    done = small_counts.obs["perturbation"].astype(str).to_numpy(dtype=object)
    rows = (done == "control").nonzero()[0]
    done[rows[::2]], done[rows[1::2]] = "DMSO", "untreated"
    small_counts.obs["perturbation"] = done
    small_counts.write_h5ad(tmp_path / "drugs.h5ad")
    return tmp_path / "drugs.h5ad"


def refused(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(shlex.split(words)) == BAD_INPUT
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_every_command_refuses_two_kinds_of_control_with_what_to_type(two_controls: Path, capsys) -> None:
    out = two_controls.parent / "out"
    for words in (
        f"prepare {two_controls} --out {out}.h5ad",
        f"split --data {two_controls} --kind unseen-context --out {out}.json",
        f"benchmark --data {two_controls} --models NoChange --out {out}",
        f"evaluate --predicted {two_controls} --real {two_controls} --out {out}.csv",
    ):
        line = refused(words, capsys)
        assert "--control DMSO, or --control untreated; or --control DMSO,untreated to pool them" in line, words
        takes_labels = words.split()[0] in {"prepare", "evaluate"}
        assert takes_labels or f"cycseq prepare {two_controls} --control DMSO --out" in line
    assert not list(two_controls.parent.glob("out*"))


def test_inspect_says_it_and_what_it_tells_to_type_works(two_controls: Path, capsys) -> None:
    inspection = inspect_file(two_controls)
    assert not inspection.ready
    (problem,) = inspection.problems
    assert "look like controls" in problem.message
    assert "--control DMSO" in problem.command
    out = two_controls.parent / "prepared.h5ad"
    assert main([*shlex.split(problem.command)[1:-1], str(out), "--genes", "all"]) == SUCCESS
    said = capsys.readouterr().out
    assert "'untreated' looks like a control too" in said
    data = cycseq.read(out)
    assert "untreated" not in data.perturbations
    assert (
        data.controls().n_cells * 2 == ad.read_h5ad(two_controls).obs["perturbation"].isin(["DMSO", "untreated"]).sum()
    )


def test_several_controls_in_python_and_on_the_command_line_are_the_same(two_controls: Path) -> None:
    both = cycseq.read(two_controls, cycseq.ReadSettings(control=("DMSO", "untreated")))
    typed = cycseq.read(two_controls, cycseq.ReadSettings(control="DMSO,untreated"))
    assert both.fingerprint() == typed.fingerprint()
    assert both.n_cells == ad.read_h5ad(two_controls).n_obs
    kept = cycseq.read(two_controls, cycseq.ReadSettings(control="DMSO", other_controls="keep"))
    assert "untreated" in kept.perturbations


def test_guides_are_said_by_inspect_and_joined_by_prepare(small_counts: ad.AnnData, tmp_path: Path, capsys) -> None:
    done = small_counts.obs["perturbation"].astype(str).to_numpy(dtype=object)
    number = [str(1 + i % 2) for i in range(len(done))]
    small_counts.obs["perturbation"] = [
        label if label == "control" else "+".join(f"{part}_g{n}" for part in label.split("+"))
        for label, n in zip(done, number, strict=True)
    ]
    small_counts.write_h5ad(tmp_path / "guides.h5ad")
    text = inspect_file(tmp_path / "guides.h5ad").text()
    assert "labels look like guides: G1_g1, G1_g2 of G1 (6 labels, 3 genes)" in text
    words = f"prepare {tmp_path}/guides.h5ad --genes all --guide-suffix auto --out {tmp_path}/prepared.h5ad"
    assert main(words.split()) == SUCCESS
    assert "guides were joined to their genes" in capsys.readouterr().out
    data = cycseq.read(tmp_path / "prepared.h5ad")
    assert data.perturbations == ("G1", "G1+G2", "G2", "G3")
    assert set(data.adata.obs["perturbation_in_file"].astype(str)) == set(small_counts.obs["perturbation"])


def test_commands_that_read_a_file_as_it_is_say_how(small_counts: ad.AnnData, tmp_path: Path, capsys) -> None:
    small_counts.obs["time"] = [6, 24] * (small_counts.n_obs // 2)
    small_counts.write_h5ad(tmp_path / "raw.h5ad")
    assert main(shlex.split(f"split --data {tmp_path}/raw.h5ad --kind random-cells --out {tmp_path}/s.json")) == SUCCESS
    fit = f"fit --model PerturbedMean --split {tmp_path}/s.json --run {tmp_path}/run --data {tmp_path}"
    assert main(shlex.split(f"{fit}/raw.h5ad")) == SUCCESS
    said = capsys.readouterr().out
    assert (
        said.count("times are pooled: obs['time'] has 2 levels (6, 24); --split-by time makes a context of each") == 2
    )
    cycseq.read(tmp_path / "raw.h5ad").write(tmp_path / "ours.h5ad")
    assert main(shlex.split(f"{fit}/ours.h5ad --overwrite")) == SUCCESS
    assert "pooled" not in capsys.readouterr().out
