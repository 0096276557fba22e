"""kill -9 at any moment: the same command (with --resume for a fit) comes to the same result, and nothing is left lying."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
if os.name != "posix":
    pytest.skip("killing is done by signals", allow_module_level=True)

from killing import changes, gone, killed_after, leftovers, run, started

KILLED = -signal.SIGKILL
VAE = "--model VAE --model.num_epochs 3 --model.latent 4 --model.batch_size 64 --model.hidden [16]"
MANY = int(os.environ.get("CYCSEQ_FAULTS", "1"))
"""How many times as often everything is killed as in the usual tests."""
NOT_COMPARED = {"run.json", "environment.json", "benchmark.json", "report.html"}
"""Files that say when, where or how long."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, a split and a fitted run; and each command's whole result under `whole`."""
    f = tmp_path_factory.mktemp("killed")
    (f / "said").mkdir()
    for words in (
        f"simulate --contexts 2 --perturbations 3 --cells 240 --genes 40 --seed 3 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --context Line2 --validation 0 --out {f}/s.json",
        f"fit --data {f}/sim.h5ad --split {f}/s.json --model Ridge --run {f}/fitted",
    ):
        assert run(words, f / "said/first") == 0, words
    for name in COMMANDS:
        begun = time.monotonic()
        code = run(command(name, f, f / "whole" / name), f / "said" / name)
        assert code == 0, (f / "said" / name).with_suffix(".err").read_text()
        (f / "said" / name).with_suffix(".seconds").write_text(str(time.monotonic() - begun))
        assert leftovers(f / "whole") == []
    return f


COMMANDS = {
    "prepare": "prepare {f}/sim.h5ad --genes all --out {out}/data.h5ad",
    "prepare_zarr": "prepare {f}/sim.h5ad --genes all --out {out}/data.zarr",
    "predict": "predict --run {f}/fitted --cells 20 --out {out}/predicted.h5ad",
    "fit": "fit --data {f}/sim.h5ad --split {f}/s.json --model Ridge --run {out}/run --resume",
    "network": "fit --data {f}/sim.h5ad --split {f}/s.json " + VAE + " --run {out}/run --resume",
    "benchmark": "benchmark --data {f}/sim.h5ad --split {f}/s.json --models Ridge --seeds 2 --metrics mse,mse_ratio,pearson_delta --out {out}/b",
}


def command(name: str, f: Path, out: Path) -> str:
    return COMMANDS[name].format(f=f, out=out)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but those that say when; of a benchmark its tables."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in NOT_COMPARED]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if not {"tensorboard", "results"} & set(p.parts)}


def check_the_same(name: str, lab: Path, out: Path) -> None:
    """The command once more, where it had not ended: exit code 0, the whole result, nothing left lying."""
    said = lab / "said" / "again"
    code = run(command(name, lab, out), said)
    err = said.with_suffix(".err").read_text()
    if "exists already" in err:  # it had ended before it was killed
        assert name in {"prepare", "prepare_zarr", "predict"}
    else:
        assert (code, err) == (0, "")
    assert leftovers(out) == []
    assert contents(out) == contents(lab / "whole" / name)


@pytest.mark.parametrize(
    ("name", "times"), [("prepare", 1), ("prepare_zarr", 2), ("predict", 1), ("fit", 2), ("benchmark", 1)]
)
def test_killed_before_any_change_on_the_disk(name: str, times: int, lab: Path, tmp_path: Path):
    n = changes(lab / "said" / name)
    assert n > times
    for i in random.Random(name).choices(range(1, n + 1), k=times * MANY):
        out = tmp_path / str(i)
        if not out.exists():  # the same moment was drawn before
            assert run(command(name, lab, out), lab / "said" / "killed", die_before=i) == KILLED
            check_the_same(name, lab, out)


@pytest.mark.parametrize("name", ["network", "benchmark"] if MANY > 1 else ["network"])
def test_killed_again_and_again(name: str, lab: Path, tmp_path: Path):
    """Each attempt is killed before another of its changes, until one comes to the end."""
    chance, n = random.Random(1), changes(lab / "said" / name)
    codes = [
        run(command(name, lab, tmp_path / "out"), lab / "said" / "killed", die_before=chance.randrange(1, n))
        for _ in range(3 * MANY)
    ]
    assert KILLED in codes
    check_the_same(name, lab, tmp_path / "out")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["prepare", "predict", "network", "benchmark"])
def test_killed_or_interrupted_at_a_random_time(name: str, number: int, lab: Path, tmp_path: Path):
    """SIGINT goes to all processes of the command, as Ctrl-C does: one line, exit code 130, and it can go on.

    So with SIGTERM, whose exit code is 143.
    """
    said, chance = lab / "said" / "stopped", random.Random(f"{name}{number}")
    whole = float((lab / "said" / name).with_suffix(".seconds").read_text())
    for i in range(MANY):
        out = tmp_path / str(i)
        code = killed_after(command(name, lab, out), said, chance.uniform(0.1, 0.9) * whole, number)
        if number != signal.SIGKILL:
            check_interrupted(code, said, out, number)
        check_the_same(name, lab, out)


def check_interrupted(code: int, said: Path, out: Path, number: int = signal.SIGINT) -> None:
    err = said.with_suffix(".err").read_text()
    word = "interrupted" if number == signal.SIGINT else "ended by SIGTERM"
    assert (code, err) in {(128 + number, f"cycseq: {word}; nothing half-written was left.\n"), (0, "")}
    assert leftovers(out) == []


def test_an_overwritten_run_is_never_lost(lab: Path, tmp_path: Path):
    """Killed while one run takes another's place: the old one, or the new one, or one that can be resumed."""
    words = f"fit --data {lab}/sim.h5ad --split {lab}/s.json --model Ridge --run {tmp_path}/run"
    assert run(words, lab / "said/first") == 0
    old = contents(tmp_path / "run")
    other = words.replace("Ridge", "NoChange")
    assert run(f"{other} --overwrite", lab / "said/over") == 0
    new = contents(tmp_path / "run")
    n = changes(lab / "said/over")
    for i in random.Random(0).choices(range(1, n + 1), k=2 * MANY):
        assert run(f"{words} --overwrite", lab / "said/back") == 0
        assert run(f"{other} --overwrite", lab / "said/killed", die_before=i) == KILLED
        run(f"{other} --resume", lab / "said/resumed")  # which is refused where the old run came back
        assert contents(tmp_path / "run") in (old, new), i
        assert leftovers(tmp_path) == []


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers_of(pid: int) -> list[int]:
    """The processes of a benchmark that compute; on a busy machine they begin late."""
    for _ in range(2400):
        found = [p for p in children(pid) if b"LokyProcess" in Path(f"/proc/{p}/cmdline").read_bytes()]
        if len(found) == 2:
            return found
        time.sleep(0.05)
    pytest.fail("no workers were started")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here")
@pytest.mark.parametrize("victim", ["starter", "worker", "all by Ctrl-C"])
def test_death_among_the_processes_of_a_benchmark(victim: str, lab: Path, tmp_path: Path):
    words, said = command("benchmark", lab, tmp_path).replace("--seeds 2", "--seeds 4"), lab / "said" / "victim"
    process = started(f"{words} --jobs 2", said)
    workers = workers_of(process.pid)
    while not list(tmp_path.glob("b/results/*.npz")):
        time.sleep(0.05)
    if victim == "all by Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(process.pid if victim == "starter" else workers[0], signal.SIGKILL)
    process.join(60.0)
    if victim == "worker":
        assert process.exitcode == 2
        lines = [line for line in said.with_suffix(".err").read_text().splitlines() if line.startswith("cycseq: ")]
        assert len(lines) == 1
        assert "a process of the benchmark was killed" in lines[0]
        assert "Finished results are kept" in lines[0]
    elif victim == "all by Ctrl-C":
        check_interrupted(process.exitcode or 0, said, tmp_path)
    assert all(gone(pid) for pid in workers)
    kept = {p: p.read_bytes() for p in tmp_path.glob("b/results/*.npz")}
    assert kept
    assert run(words, lab / "said" / "again") == 0
    assert all(p.read_bytes() == content for p, content in kept.items())
    assert leftovers(tmp_path) == []
