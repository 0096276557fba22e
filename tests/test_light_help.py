"""Help answers at once: no command's help, and no settings that it shows, import what only work needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cycseq.commands import COMMANDS

HEAVY = (
    "anndata",
    "dask",
    "h5py",
    "matplotlib",
    "numpy",
    "optuna",
    "pandas",
    "rich",
    "scipy",
    "sklearn",
    "torch",
    "zarr",
)
SHOWN = """
import contextlib, io, sys
from cycseq.cli import main

heavy = set(sys.argv[1].split(","))
for command in sys.argv[2].split(","):
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        assert main([command, "--help"]) == 0, command
    assert told.getvalue().startswith(f"usage: cycseq {command}"), command
    print(command, *sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """The heavy packages that are there after the help of each command, in one process."""
    words = [sys.executable, "-c", SHOWN, ",".join(HEAVY), ",".join(COMMANDS)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


def test_help_imports_nothing_heavy(imported):
    assert list(imported) == list(COMMANDS)
    assert {command: names for command, names in imported.items() if names} == {}


def test_the_check_sees_what_a_command_that_works_imports():
    code = SHOWN.replace('[command, "--help"]', "command.split()").replace("usage: cycseq {command}", "")
    words = [sys.executable, "-c", code, ",".join(HEAVY), "list splits"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert "rich" in done.stdout.split()
