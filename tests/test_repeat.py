"""The same seed, data and version: the same bytes, for every model; and `cycseq repeat`, which looks whether it is so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.commands.repeat import DIFFERENT
from cycseq.io.checksums import sha256, write_checksums
from cycseq.models import MODELS
from cycseq.models.saved import DESCRIPTION, TENSORS

pytestmark = pytest.mark.usefixtures("empty_figures")

FIT_ALL = """
import sys
from pathlib import Path
from cycseq.formats.read import read
from cycseq.split.base import Split
from cycseq.models import MODELS, build_model
from cycseq.run.fitting import fit_run

f, out = Path(sys.argv[1]), Path(sys.argv[2])
small = {
    "Autoencoder": {"num_epochs": 2, "hidden": (16,), "latent": 4},
    "VAE": {"num_epochs": 2, "hidden": (16,), "latent": 4},
    "GAN": {"num_epochs": 1, "generator": (32,), "critic": (32,)},
    "CycSeq": {"num_epochs": 1, "hidden": (32,), "latent": 4},
}
data, split = read(f / "sim.h5ad"), Split.read(f / "s.json")
for name in MODELS:
    run = fit_run(data, split, build_model(name, small.get(name)), out / name, seed=1)
    run.predict(controls=data, n_cells=20, seed=2).write(out / name / "predictions" / "test.h5ad")
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    f = tmp_path_factory.mktemp("repeat")
    for words in (
        f"simulate --contexts 3 --perturbations 3 --cells 240 --genes 40 --seed 3 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --context Line3 --out {f}/s.json",
        f"fit --data {f}/sim.h5ad --split {f}/s.json --model Ridge --seed 4 --run {f}/run",
        f"predict --run {f}/run --cells 20 --seed 5 --out {f}/run/predictions/test.h5ad",
        f"evaluate --predicted {f}/run/predictions/test.h5ad --real {f}/sim.h5ad --metrics means --out {f}/run/metrics.csv",
        f"benchmark --data {f}/sim.h5ad --split {f}/s.json --models NoChange --seeds 1 --metrics mse,pearson_delta --out {f}/bench",
    ):
        assert main(words.split()) == SUCCESS, words
    return f


@pytest.fixture(scope="module")
def fitted_twice(lab: Path) -> tuple[Path, Path]:
    """All models, in two processes that order sets differently."""
    folders = lab / "first", lab / "second"
    for folder, seed in zip(folders, "12", strict=True):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-W", "ignore", "-c", FIT_ALL, lab, folder], check=True, env=environment)
    return folders


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those that say when, and TensorBoard's."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "run.json" and "tensorboard" not in p.parts]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.mark.parametrize("name", MODELS)
def test_the_same_bytes_for_every_model(name: str, fitted_twice: tuple[Path, Path]):
    first, second = (contents(folder / name) for folder in fitted_twice)
    assert {"model/model.safetensors", "model/model.json", "predictions/test.h5ad", "environment.json"} <= set(first)
    assert first == second


def repeated(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["repeat", *words.split()])
    said = capsys.readouterr()
    return code, " ".join((said.out + said.err).split())


def test_a_run_is_repeated_to_the_same_bytes(lab: Path, capsys: pytest.CaptureFixture[str]):
    code, said = repeated(f"{lab}/run", capsys)
    assert code == SUCCESS
    assert "versions and machine: the same as then" in said
    for what in ("model/model.safetensors yes same bytes", "predictions/test.h5ad yes", "metrics.csv yes"):
        assert what in said
    assert (lab / "run-again/model/model.safetensors").read_bytes() == (
        lab / "run/model/model.safetensors"
    ).read_bytes()
    assert repeated(f"{lab}/run", capsys)[0] == BAD_INPUT  # it is there already
    assert repeated(f"{lab}/run --overwrite", capsys)[0] == SUCCESS
    code, said = repeated(f"{lab}/run --out {lab}/run --overwrite", capsys)
    assert (code, "is the run that is to be repeated" in said) == (BAD_INPUT, True)


def test_what_differs_is_said_with_the_versions(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A run that another version made: one number of its model is larger by 0.25."""
    run = tmp_path / "run"
    shutil.copytree(lab / "run", run)
    arrays = {name: np.array(array) for name, array in load_file(run / "model" / TENSORS).items()}
    next(array for array in arrays.values() if array.dtype.kind == "f" and array.size > 1).flat[0] += 0.25
    save_file(arrays, run / "model" / TENSORS)
    write_checksums(run / "model", (TENSORS, DESCRIPTION))
    environment = json.loads((run / "environment.json").read_text())
    environment["versions"]["numpy"] = "1.26.0"
    (run / "environment.json").write_text(json.dumps(environment))
    code, said = repeated(str(run), capsys)
    assert code == DIFFERENT
    assert f"numpy 1.26.0 {np.__version__}" in said
    assert "model/model.safetensors NO largest difference 0.25 in its numbers, " in said
    assert "in predicted test cells" in said
    assert f"NOT the same as {run}" in said


def test_without_its_data_nothing_is_repeated(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("sim.h5ad", "s.json"):
        shutil.copy(lab / name, tmp_path / name)
    words = f"fit --data {tmp_path}/sim.h5ad --split {tmp_path}/s.json --model NoChange --run {tmp_path}/run"
    assert main(words.split()) == SUCCESS
    (tmp_path / "sim.h5ad").rename(tmp_path / "moved.h5ad")
    code, said = repeated(f"{tmp_path}/run", capsys)
    assert code == BAD_INPUT
    assert "does not exist: say with --data FILE where the same data lie" in said
    assert repeated(f"{tmp_path}/run --data {tmp_path}/moved.h5ad", capsys)[0] == SUCCESS
    assert (
        main(
            f"simulate --contexts 3 --perturbations 3 --cells 240 --genes 40 --seed 9 --out {tmp_path}/sim.h5ad".split()
        )
        == 0
    )
    code, said = repeated(f"{tmp_path}/run --overwrite", capsys)
    assert (code, "sim.h5ad has changed since" in said) == (BAD_INPUT, True)
    assert "not a run: it has no run.json" in repeated(f"{tmp_path}", capsys)[1]


def test_cells_of_ones_own_are_not_made_again(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(lab / "run", tmp_path / "run")
    words = f"predict --run {lab}/run --controls {lab}/sim.h5ad --cells 9 --out {tmp_path}/run/predictions/own.h5ad"
    assert main(words.split()) == SUCCESS
    code, said = repeated(f"{tmp_path}/run", capsys)
    assert code == SUCCESS
    assert "predictions/own.h5ad - it was made from cells that the run does not know" in said


def test_a_benchmark_is_repeated(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, said = repeated(f"{lab}/bench", capsys)
    assert code == SUCCESS
    assert "metrics.csv yes same" in said
    bench = tmp_path / "bench"
    shutil.copytree(lab / "bench", bench)
    table = bench / "metrics.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1].rpartition(",")[0] + ",123.0"
    table.write_text("\n".join(lines))
    record = json.loads((bench / "benchmark.json").read_text())
    record["checksums"]["metrics.csv"] = sha256(table)
    (bench / "benchmark.json").write_text(json.dumps(record))
    code, said = repeated(str(bench), capsys)
    assert code == DIFFERENT
    assert "metrics.csv NO largest difference 12" in said
    record["command"] = ""
    (bench / "benchmark.json").write_text(json.dumps(record))
    code, said = repeated(str(bench), capsys)
    assert (code, "was not made by a cycseq benchmark command" in said) == (BAD_INPUT, True)
