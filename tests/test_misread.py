"""What would be read wrong in silence: refused in one line, or said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.errors import DataError, FileError
from cycseq.formats.read import read
from cycseq.io.untrusted import parse_json, parse_yaml

OBS = pd.DataFrame(
    {"perturbation": ["control", "A", "B"] * 20, "context": ["x", "y"] * 30, "batch": "0"},
    index=[f"c{i}" for i in range(60)],
)
COUNTS = np.random.default_rng(0).poisson(2, (60, 30)).astype(np.float32) + np.eye(60, 30, dtype=np.float32)


def write(path: Path, x: object) -> Path:
    ad.AnnData(x, obs=OBS.copy(), var=pd.DataFrame(index=[f"G{i}" for i in range(30)])).write_h5ad(path)
    return path


@pytest.mark.parametrize("sparse", [True, False])
def test_complex_values(tmp_path: Path, sparse: bool, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.h5ad", sp.csr_matrix(COUNTS * 1j) if sparse else COUNTS * 1j)
    with pytest.raises(DataError, match=r"of type complex.*real numbers"):
        read(path)
    assert main(["prepare", str(path), "--out", str(tmp_path / "p.h5ad")]) == BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("huge", [2**63 - 1, 2**31 - 1, -(2**63)])
def test_counts_that_are_markers(tmp_path: Path, huge: int, sparse: bool) -> None:
    x = COUNTS.astype(np.int64)
    x[7, 3] = huge
    with pytest.raises(DataError, match="no cell has so many counts of a gene"):
        read(write(tmp_path / "a.h5ad", sp.csr_matrix(x) if sparse else x))


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("gone", ["obs/perturbation/codes", "X/data", "X/indices"])
def test_a_zarr_store_without_a_part(tmp_path: Path, gone: str) -> None:
    path = tmp_path / "a.zarr"
    obs = OBS.assign(context=pd.Categorical(["x"] * 60))  # all zeros, which zarr may leave out
    adata = ad.AnnData(
        sp.csr_matrix(COUNTS), obs=obs.astype("category"), var=pd.DataFrame(index=[f"G{i}" for i in range(30)])
    )
    adata.write_zarr(path)
    whole = read(path)
    assert whole.perturbations == ("A", "B")
    assert whole.contexts == ("x",)
    for chunk in [
        file for file in (path / gone).rglob("*") if file.is_file() and not file.name.startswith((".z", "zarr"))
    ]:
        chunk.unlink()
    with pytest.raises(FileError, match=f"is not whole: .* are missing .{gone} has no values"):
        read(path)


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_a_zarr_store_without_some_labels_says_so(tmp_path: Path) -> None:
    import zarr

    path = tmp_path / "a.zarr"
    ad.AnnData(
        sp.csr_matrix(COUNTS), obs=OBS.astype("category"), var=pd.DataFrame(index=[f"G{i}" for i in range(30)])
    ).write_zarr(path)
    group = zarr.open_group(path, mode="a")["obs/perturbation"]
    codes, attributes = group["codes"][:], dict(group["codes"].attrs)
    shutil.rmtree(path / "obs/perturbation/codes")
    (path / ".zmetadata").unlink(missing_ok=True)  # says how the parts were before
    new = group.create_array("codes", shape=codes.shape, dtype=codes.dtype, chunks=(20,))
    new[:] = codes
    new.attrs.update(attributes)
    assert not any("not in the store" in note for note in read(path).notes)
    chunk = sorted(
        file
        for file in (path / "obs/perturbation/codes").rglob("*")
        if file.is_file() and not file.name.startswith((".z", "zarr"))
    )[0]
    chunk.unlink()
    assert "1 of 3 parts of obs/perturbation are not in the store: these cells have its first label" in read(path).notes


def test_keys_that_occur_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"it says 'a' twice .the second time in line 3"):
        parse_yaml("a: 1\nb: 2\na: 3\n")
    with pytest.raises(ValueError, match="it says 'alpha' twice"):
        parse_yaml("model: {class_path: Ridge, init_args: {alpha: 1, alpha: 2}}")
    with pytest.raises(ValueError, match="it says 'train' twice"):
        parse_json('{"train": 1, "test": {"train": 2}, "train": 3}')
    assert parse_yaml("a: {x: 1}\nb: {x: 2}\nc: [{x: 1}, {x: 2}]") == {
        "a": {"x": 1},
        "b": {"x": 2},
        "c": [{"x": 1}, {"x": 2}],
    }
    assert parse_json(json.dumps({"a": {"x": 1}, "b": {"x": 2}}))["b"] == {"x": 2}
    (tmp_path / "c.yaml").write_text("seed: 1\ndata: d.h5ad\nseed: 2\n")
    assert main(["fit", "--config", str(tmp_path / "c.yaml")]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "it says 'seed' twice (the second time in line 3): keep one of them" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "c.yaml holds nothing: give a YAML file"),
        ("model: Ridg", "no model 'Ridg': did you mean 'Ridge'"),
        ("model: {class_path: Rigde}", "no model 'Rigde': did you mean 'Ridge'"),
        ("model: {class_path: Ridge, init_args: {penalti: 1}}", "'--model.penalti': did you mean '--model.penalty'"),
        ("model: {class_path: Ridge, init_arg: {}}", "'init_arg': did you mean 'init_args'"),
        ("modl: Ridge", "'--modl': did you mean '--model'"),
    ],
)
def test_a_config_names_the_bad_key_and_the_nearest(
    tmp_path: Path, config: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(config)
    words = ["fit", "--config", str(tmp_path / "c.yaml"), "--data", "d.h5ad", "--split", "s.json", "--run", "r"]
    assert main(words) == BAD_INPUT
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_real_cells_are_no_prediction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write(tmp_path / "real.h5ad", sp.csr_matrix(COUNTS + 1))
    renamed = ad.read_h5ad(real)
    renamed.obs_names = [f"p{i}" for i in range(60)]
    renamed = renamed[::-1, ::-1].copy()
    renamed.write_h5ad(tmp_path / "renamed.h5ad")
    for predicted in (real, tmp_path / "renamed.h5ad"):
        words = f"evaluate --predicted {predicted} --real {real} --metrics mse --out {tmp_path}/m.csv"
        assert main(words.split()) == BAD_INPUT
        said = capsys.readouterr().err
        assert "the predicted cells are real cells: those of x:A, x:B, y:A and 1 more" in said
        assert said.count("\n") == 1


def test_a_prediction_of_unchanged_control_cells_is_one(tmp_path: Path) -> None:
    real = write(tmp_path / "real.h5ad", sp.csr_matrix(COUNTS + 1))
    cells = ad.read_h5ad(real)
    controls = cells[(cells.obs["perturbation"] == "control").to_numpy()].copy()
    controls.obs["perturbation"] = "A"
    controls.write_h5ad(tmp_path / "p.h5ad")
    words = (
        f"evaluate --predicted {tmp_path}/p.h5ad --real {real} --metrics mse --control control --out {tmp_path}/m.csv"
    )
    assert main(words.split()) == SUCCESS
