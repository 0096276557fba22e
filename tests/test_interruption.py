"""Ctrl-C and SIGTERM at any moment: one line, exit codes 130 and 143, nothing half-written, the last good state there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cycseq.cli import SUCCESS, main
from cycseq.io.files import atomic_write, lock_folder, write_text
from cycseq.io.interruption import catch_signals

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
SENT_AT_IMPORT = """
import os, runpy, signal, sys
module, number = sys.argv[1], int(sys.argv[2])
sys.argv[1:] = sys.argv[3:]
signal.signal(signal.SIGINT, signal.default_int_handler)
sent = []

def look(event, args):
    if event == "import" and args[0] == module and not sent:
        sent.append(module)
        os.kill(os.getpid(), number)

sys.addaudithook(look)
runpy.run_module("cycseq", run_name="__main__")
"""
LINES = {
    signal.SIGINT: "cycseq: interrupted; nothing half-written was left.\n",
    signal.SIGTERM: "cycseq: ended by SIGTERM; nothing half-written was left.\n",
}


@pytest.mark.parametrize("number", list(LINES))
@pytest.mark.parametrize(
    "module", ["cycseq.cli", "cycseq.errors", "cycseq.commands.parser", "numpy", "numpy._core._multiarray_umath"]
)
def test_while_modules_are_imported(module: str, number: int) -> None:
    """Compiled modules make an error of their own of what is raised while they are imported."""
    words = [sys.executable, "-c", SENT_AT_IMPORT, module, str(int(number)), "inspect", "no-such-file.h5ad"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (128 + number, LINES[number])


@pytest.mark.parametrize("number", list(LINES))
def test_made_an_error_of_by_a_library(number: int, capsys, monkeypatch) -> None:
    def swallow(_words: list[str]) -> int:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt as err:
            msg = "import failed"
            raise ImportError(msg) from err
        return SUCCESS

    monkeypatch.setattr("cycseq.cli.run_command", swallow)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in processes of the background
    try:
        assert main(["list", "models"]) == 128 + number
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == LINES[number]


def test_signals_mean_what_they_did_before(monkeypatch) -> None:
    monkeypatch.setattr("cycseq.cli.run_command", lambda _words: SUCCESS)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        with catch_signals():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as nohup and shells in the background want it
        assert main(["list"]) == SUCCESS
        assert signal.getsignal(signal.SIGTERM) == before[1]
    finally:
        signal.signal(signal.SIGINT, before[0])


@pytest.mark.parametrize("writer", ["file", "folder", "lock"])
def test_before_or_after_any_call_to_the_system(writer: str, tmp_path: Path, monkeypatch) -> None:
    """A signal while a temporary folder or a lock is made, or is removed, leaves neither of them behind."""

    def write(out: Path) -> None:
        if writer == "file":
            write_text(out / "text", "whole", overwrite=True)
            return
        with atomic_write(out / "made", overwrite=True) if writer == "folder" else lock_folder(out / "made") as part:
            if part is not None:
                part.mkdir()
                (part / "run.json").write_text("{}")

    calls, moment = 0, -1

    def sending(call):
        def called(*args, **kwargs):
            nonlocal calls
            calls += 2
            for n in (calls - 1, calls):
                if n == moment:
                    os.kill(os.getpid(), signal.SIGINT)
                result = call(*args, **kwargs) if n % 2 else result
            return result

        return called

    for module, name in (
        *((os, name) for name in ("open", "close", "replace", "rename", "unlink", "rmdir")),
        *((tempfile, "mkdtemp"), (shutil, "rmtree")),
    ):
        monkeypatch.setattr(module, name, sending(getattr(module, name)))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with catch_signals():
            for out in (tmp_path / "once", tmp_path / "twice"):
                write(out)
            many, interrupted = calls // 2, 0
            for i in range(1, many + 1):
                calls, moment = 0, i
                with contextlib.suppress(KeyboardInterrupt):
                    write(tmp_path / "once")
                    interrupted -= 1
                interrupted += 1
                assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")], i
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted == many > 4


@pytest.mark.parametrize("number", list(LINES))
def test_in_a_training(number: int, tmp_path: Path, capsys, monkeypatch) -> None:
    """The last whole epoch is there, and the training goes on from it to the same numbers."""
    pytest.importorskip("lightning", reason="training needs lightning: pip install 'cycseq[networks]'")
    from safetensors.numpy import load_file

    from cycseq.models.networks.latent import LatentModel
    from cycseq.models.saved import TENSORS

    f = tmp_path
    for words in (
        f"simulate --contexts 2 --perturbations 3 --cells 240 --genes 40 --seed 3 --out {f}/sim.h5ad",
        f"split --data {f}/sim.h5ad --context Line2 --validation 0 --out {f}/s.json",
    ):
        assert main(words.split()) == SUCCESS
    fit = f"fit --data {f}/sim.h5ad --split {f}/s.json --model VAE --model.num_epochs 4 --model.hidden [16] "
    fit += "--model.batch_size 32 --run "
    assert main(f"{fit}{f}/whole".split()) == SUCCESS
    honest = LatentModel.step

    def step(self, net, batch, optimisers):
        if optimisers.done > 0.6:
            os.kill(os.getpid(), number)
        return honest(self, net, batch, optimisers)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    capsys.readouterr()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(LatentModel, "step", step)
            assert main(f"{fit}{f}/run".split()) == 128 + number
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr()
    assert said.err.endswith(LINES[number])
    assert said.err.count("\n") == 1
    assert "keeps the last whole epoch: the same command with --resume goes on from there" in said.out
    assert len((f / "run" / "history.csv").read_text().splitlines()) == 3
    assert main(f"{fit}{f}/run --resume".split()) == SUCCESS
    whole, resumed = (load_file(f / name / "model" / TENSORS) for name in ("whole", "run"))
    assert all((whole[name] == resumed[name]).all() for name in whole)
