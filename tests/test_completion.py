"""The completion script does in bash what it should; other shells read the same script."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cycseq.cli import SUCCESS, main
from cycseq.commands import COMMANDS
from cycseq.models import MODELS

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is absent")


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    from cycseq.commands.completion import script as written

    path = tmp_path_factory.mktemp("completion") / "cycseq.bash"
    path.write_text(written("bash"))
    return path


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    typed = " ".join(f"'{word}'" for word in ("cycseq", *words))
    told = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _cycseq; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", told], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


@needs_bash
def test_commands(script):
    assert completed(script, "") == list(COMMANDS)
    assert completed(script, "eva") == ["evaluate"]


@needs_bash
def test_options_and_their_values(script):
    assert completed(script, "split", "--seen") == ["--seen-parts"]
    assert completed(script, "split", "--kind", "unseen-p") == ["unseen-pair", "unseen-perturbation"]
    assert completed(script, "fit", "--model", "") == list(MODELS)
    assert completed(script, "benchmark", "--models", "baselines,Cyc") == [
        f"baselines,{name}" for name in MODELS if name.startswith("Cyc")
    ]
    assert completed(script, "list", "mo") == ["models"]
    assert completed(script, "datasets", "info", "kang") == ["kang2018"]
    assert completed(script, "knowledge", "fetch", "hg") == ["hgnc"]
    assert completed(script, "fit", "--data", "prep") == [], "a file's name is left to the shell"


def test_every_command_is_in_the_script(script):
    text = script.read_text()
    assert all(f'"{name} "-*)' in text for name in COMMANDS)


def test_zsh_reads_it_through_its_own_bridge(capsys):
    assert main(["completion", "zsh"]) == SUCCESS
    assert "bashcompinit" in capsys.readouterr().out
