"""Full disks, read-only folders, two commands in one folder, altered files, NaN, a clock that jumps: one line each."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
if os.name != "posix":
    pytest.skip("limits and locks are those of POSIX", allow_module_level=True)

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.run.folder import Run
from killing import killed_after, leftovers, run, started

pytestmark = pytest.mark.usefixtures("empty_figures")

VAE = "--model VAE --model.num_epochs 2 --model.latent 4 --model.batch_size 64 --model.hidden [16]"
METRICS = "--metrics mse,mse_ratio,pearson_delta"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    f = tmp_path_factory.mktemp("faults")
    for words in (
        f"simulate --contexts 2 --perturbations 3 --cells 240 --genes 40 --seed 3 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --context Line2 --validation 0 --out {f}/s.json",
        f"fit --data {f}/sim.h5ad --split {f}/s.json --model Ridge --run {f}/fitted",
        f"predict --run {f}/fitted --cells 20 --out {f}/predicted.h5ad",
        f"benchmark --data {f}/sim.h5ad --split {f}/s.json --models NoChange --seeds 1 {METRICS} --out {f}/bench",
    ):
        assert main(words.split()) == SUCCESS, words
    return f


def refused(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that refuses a command."""
    capsys.readouterr()
    assert main(words.split()) == BAD_INPUT, words
    return one_line(capsys.readouterr().err)


def one_line(err: str) -> str:
    assert err.startswith("cycseq: "), err
    assert err.count("\n") == 1, err
    return err


WRITING = {
    "prepare": (40_000, "prepare {f}/sim.h5ad --genes all --out {out}/data.h5ad"),
    "prepare_zarr": (2_000, "prepare {f}/sim.h5ad --genes all --out {out}/data.zarr"),
    "simulate": (40_000, "simulate --contexts 2 --perturbations 3 --cells 240 --genes 40 --out {out}/data.h5ad"),
    "split": (300, "split --data {f}/sim.h5ad --context Line2 --out {out}/s.json"),
    "fit": (2_000, "fit --data {f}/sim.h5ad --split {f}/s.json --model Ridge --run {out}/run"),
    "network": (12_000, "fit --data {f}/sim.h5ad --split {f}/s.json " + VAE + " --run {out}/run"),
    "predict": (9_000, "predict --run {f}/fitted --cells 20 --out {out}/data.h5ad"),
    "evaluate": (1_000, "evaluate --predicted {f}/predicted.h5ad --real {f}/sim.h5ad --out {out}/m.csv"),
    "benchmark": (
        3_500,
        "benchmark --data {f}/sim.h5ad --split {f}/s.json --models Ridge --seeds 1 " + METRICS + " --out {out}/b",
    ),
}
"""A command, and how large a file may become before the disk is full."""


@pytest.mark.parametrize("name", WRITING)
def test_a_disk_that_becomes_full(name: str, lab: Path, tmp_path: Path):
    largest, words = WRITING[name]
    (tmp_path / "out").mkdir()
    assert run(words.format(f=lab, out=tmp_path / "out"), tmp_path / "said", largest=largest) == BAD_INPUT
    assert "the disk is full: free some space" in one_line((tmp_path / "said.err").read_text())
    assert leftovers(tmp_path) == []
    if name not in {"benchmark", "network"}:  # which keep what can be gone on with
        assert list((tmp_path / "out").iterdir()) == []
    assert (
        run(words.format(f=lab, out=tmp_path / "out") + (" --resume" if name == "network" else ""), tmp_path / "said")
        == SUCCESS
    )


@pytest.mark.parametrize("name", WRITING)
def test_a_folder_that_cannot_be_written(name: str, lab: Path, tmp_path: Path):
    (tmp_path / "out").mkdir(mode=0o555)
    assert run(WRITING[name][1].format(f=lab, out=tmp_path / "out"), tmp_path / "said", plain_user=True) == BAD_INPUT
    assert "Permission denied" in one_line((tmp_path / "said.err").read_text())
    assert list((tmp_path / "out").iterdir()) == []


def test_two_fits_in_one_folder(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The second is refused while the first lives; when the first is killed, its lock is gone with it."""
    long = WRITING["network"][1].replace("num_epochs 2", "num_epochs 5000 --model.patience 5000")
    words = long.format(f=lab, out=tmp_path)
    first = started(words, tmp_path / "said")
    while not (tmp_path / "run" / "history.csv").exists():
        first.join(0.05)
        assert first.exitcode is None, (tmp_path / "said.err").read_text()
    for more in ("", " --resume", " --overwrite"):
        assert "another cycseq process is working in" in refused(words + more, capsys)
    first.kill()
    first.join(10)
    assert "was interrupted: continue it with --resume" in refused(words, capsys)
    with pytest.raises(Exception, match="has not ended"):
        Run.open(tmp_path / "run")
    assert not (tmp_path / ".run.lock").exists()


def test_two_benchmarks_in_one_folder(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from cycseq.io.files import lock_folder

    words = (
        f"benchmark --data {lab}/sim.h5ad --split {lab}/s.json --models NoChange --seeds 1 {METRICS} --out {tmp_path}/b"
    )
    with lock_folder(tmp_path / "b"):
        assert "another cycseq process is working in" in refused(words, capsys)
    assert main(words.split()) == SUCCESS


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0b100
    path.write_bytes(content)


def test_altered_values_in_h5ad(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    import h5py

    for name in ("X/data", "X/indices", "X/indptr", "obs/perturbation/codes"):
        path = tmp_path / "altered.h5ad"
        path.write_bytes((lab / "sim.h5ad").read_bytes())
        with h5py.File(path) as file:
            chunk = file[name].id.get_chunk_info(0)
        flipped(path, chunk.byte_offset + chunk.size // 2)
        said = refused(f"split --data {path} --context Line2 --out {tmp_path}/s.json", capsys)
        assert "altered.h5ad cannot be read as h5ad: it is damaged" in said


@pytest.mark.parametrize("what", ["altered", "truncated", "gone"])
def test_a_damaged_zarr_store(what: str, lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """zarr itself takes a chunk that is gone for zeros, and does not see one that was altered."""
    assert main(f"prepare {lab}/sim.h5ad --genes all --out {tmp_path}/d.zarr".split()) == SUCCESS
    chunk = next(path for path in (tmp_path / "d.zarr" / "X" / "data").rglob("*") if path.name in {"0", "0.0"})
    if what == "altered":
        flipped(chunk, chunk.stat().st_size // 2)
    elif what == "truncated":
        chunk.write_bytes(chunk.read_bytes()[:-50])
    else:
        chunk.unlink()
    said = refused(f"split --data {tmp_path}/d.zarr --context Line2 --out {tmp_path}/s.json", capsys)
    assert ("is missing" if what == "gone" else "is truncated or was altered") in said
    assert "copy it anew" in said
    (tmp_path / "d.zarr" / "SHA256SUMS").write_text(f"0  {lab}/s.json\n")
    assert "which lies elsewhere" in refused(f"split --data {tmp_path}/d.zarr --out {tmp_path}/s.json", capsys)


def test_other_data_under_the_same_name(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Whole, but of one other value: split and run know the hash of their data."""
    data = ad.read_h5ad(lab / "sim.h5ad")
    data.X.data[7] += 1
    data.write_h5ad(tmp_path / "sim.h5ad")
    words = f"fit --data {tmp_path}/sim.h5ad --split {lab}/s.json --model NoChange --run {tmp_path}/run"
    assert "was made from other data" in refused(words, capsys)


@pytest.mark.parametrize("kept", [0, 200, -30])
def test_a_truncated_split(lab: Path, tmp_path: Path, kept: int, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "s.json").write_text((lab / "s.json").read_text()[:kept])
    words = f"fit --data {lab}/sim.h5ad --split {tmp_path}/s.json --model NoChange --run {tmp_path}/run"
    assert "s.json is damaged or is not a split" in refused(words, capsys)


def test_an_altered_split(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = (lab / "s.json").read_text()
    (tmp_path / "s.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    words = f"fit --data {lab}/sim.h5ad --split {tmp_path}/s.json --model NoChange --run {tmp_path}/run"
    assert "s.json was altered" in refused(words, capsys)
    lines = [line for line in text.splitlines() if '"hash"' not in line]  # as a hand wrote it
    (tmp_path / "s.json").write_text("\n".join(lines))
    assert "s.json carries no hash" in refused(words, capsys)
    stamp = f"split --data {lab}/sim.h5ad --check {tmp_path}/s.json"
    assert "--out CHECKED.json" in refused(stamp, capsys)
    assert main([*stamp.split(), "--out", f"{tmp_path}/t.json"]) == SUCCESS
    assert main(words.replace("s.json", "t.json").split()) == SUCCESS


def test_an_altered_cell_or_table_of_a_benchmark(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = (
        f"benchmark --data {lab}/sim.h5ad --split {lab}/s.json --models NoChange --seeds 1 {METRICS} --out {tmp_path}/b"
    )
    assert main(words.split()) == SUCCESS
    table = tmp_path / "b" / "metrics.csv"
    content = table.read_text()
    table.write_text("\n".join(content.splitlines()[:-3]))
    assert "metrics.csv is missing, truncated or was altered: run the same command again" in refused(
        f"report {tmp_path}/b --overwrite", capsys
    )
    for cell in (tmp_path / "b" / "results").glob("*.npz"):
        flipped(cell, cell.stat().st_size // 3)
    assert main(words.split()) == SUCCESS
    assert table.read_text() == content


def test_an_altered_checkpoint(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = (
        WRITING["network"][1].replace("num_epochs 2", "num_epochs 300 --model.patience 300").format(f=lab, out=tmp_path)
    )
    process = started(words, tmp_path / "said")
    while not (tmp_path / "run" / "history.csv").exists():
        process.join(0.05)
        assert process.exitcode is None, (tmp_path / "said.err").read_text()
    process.kill()
    process.join(10)
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    flipped(checkpoint, checkpoint.stat().st_size // 2)
    assert "last.ckpt" in (said := refused(f"{words} --resume", capsys))
    assert "remove it to train from the start" in said


def test_nan_in_data(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Every command that reads cells refuses them in one line, and writes nothing."""
    data = ad.read_h5ad(lab / "sim.h5ad")
    data.X.data[::50] = np.nan
    bad, out = tmp_path / "nan.h5ad", tmp_path / "out"
    data.write_h5ad(bad)
    for words in (
        f"prepare {bad} --out {out}.h5ad",
        f"split --data {bad} --context Line2 --out {out}.json",
        f"fit --data {bad} --split {lab}/s.json --model Ridge --run {out}",
        f"predict --run {lab}/fitted --controls {bad} --out {out}.h5ad",
        f"evaluate --predicted {bad} --real {lab}/sim.h5ad --out {out}.csv",
        f"evaluate --predicted {lab}/predicted.h5ad --real {bad} --out {out}.csv",
        f"benchmark --data {bad} --split {lab}/s.json --out {out}",
    ):
        assert "NaN" in refused(words, capsys), words
        assert [p.name for p in tmp_path.iterdir()] == ["nan.h5ad"]


class Jumping(datetime):
    """A clock that goes back a year whenever it is read."""

    now_is = datetime(2026, 1, 1, tzinfo=UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        cls.now_is -= timedelta(days=365)
        return cls.now_is


def test_a_clock_that_jumps(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Times of files and of day are noted, and decide nothing."""
    words = (
        f"benchmark --data {lab}/sim.h5ad --split {lab}/s.json --models NoChange --seeds 1 {METRICS} --out {tmp_path}/b"
    )
    network = WRITING["network"][1].format(f=lab, out=tmp_path)
    for module in ("cycseq.run.fitted", "cycseq.run.fitting", "cycseq.benchmarking.record"):
        monkeypatch.setattr(f"{module}.datetime", Jumping)
    monkeypatch.setattr("time.time", lambda: Jumping.now().timestamp())
    killed_after(network, tmp_path / "said", 0.5)
    for i, path in enumerate(tmp_path.rglob("*")):
        os.utime(path, (i % 2 * 4e9, i % 3 * 2e9))  # 1970 to 2096, in no order
    assert main(f"{network} --resume".split()) == SUCCESS
    assert main(words.split()) == SUCCESS
    assert main(words.split()) == SUCCESS  # all cells are there
    assert (tmp_path / "b" / "metrics.csv").read_text() == (lab / "bench" / "metrics.csv").read_text()
    honest = tmp_path / "honest"
    assert run(WRITING["network"][1].format(f=lab, out=honest), tmp_path / "said") == SUCCESS
    weights = [folder / "run" / "model" / "model.safetensors" for folder in (tmp_path, honest)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
