"""What a plain installation, without PyTorch, Lightning and Optuna, says and does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cycseq.models import MODELS

WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "lightning", "optuna"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from cycseq.cli import main
"""
NETWORKS = ("Autoencoder", "VAE", "GAN", "CycSeq")


def plain(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, check=False)


def test_every_network_is_refused_in_a_line_and_every_other_model_is_there() -> None:
    done = plain(
        "from cycseq.errors import MissingPackageError\n"
        "from cycseq.models import MODELS, build_model\n"
        "for name in MODELS:\n"
        "    try: build_model(name); print(name, 'built')\n"
        "    except MissingPackageError as err: print(name, err)\n"
    )
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert set(said) == set(MODELS), done.stderr
    assert {name for name, words in said.items() if words != "built"} == set(NETWORKS)
    assert all("needs torch" in said[name] and "pip install 'cycseq[networks]'" in said[name] for name in NETWORKS)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["fit", "--help"], 0, "--model"),
        (["fit", "--model", "VAE"], 2, "pip install 'cycseq[networks]'"),
        (["tune", "--help"], 0, "--trials"),
        (
            ["tune", "--model=Ridge", "--data=absent", "--split=absent", "--out=absent"],
            2,
            "pip install 'cycseq[networks]'",
        ),
        (["completion", "bash"], 0, "complete -"),
    ],
)
def test_commands_answer_without_a_traceback(words: list[str], code: int, said: str) -> None:
    done = plain(f"sys.exit(main({words}))")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stdout + done.stderr
