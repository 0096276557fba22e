"""Start-up: processes that do nothing but import, or print their help."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

FULL, QUICK = {"rounds": 2, "commands": True}, {"rounds": 1, "commands": False}
LIMITS = {"python -c pass": None, "import cycseq": 1.0, "cycseq --help": 0.5}
COMMAND_LIMIT = 0.5
"""Seconds that the project allows, and for the help of each command."""


def stage(size: dict[str, Any]) -> list[dict[str, Any]]:
    """Best wall and processor seconds of each, taking turns."""
    from cycseq.commands import COMMANDS

    commands = {
        "python -c pass": ["-c", "pass"],
        "import cycseq": ["-c", "import cycseq"],
        "cycseq --help": ["-m", "cycseq", "--help"],
    }
    if size["commands"]:
        commands |= {f"cycseq {name} --help": ["-m", "cycseq", name, "--help"] for name in COMMANDS}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(size["rounds"]):
        for name, arguments in commands.items():
            taken[name].append(_once(arguments))
    return [
        {
            "what": name,
            "wall_s": min(wall for wall, _ in runs),
            "cpu_s": min(cpu for _, cpu in runs),
            "allowed_s": LIMITS.get(name, COMMAND_LIMIT),
        }
        for name, runs in taken.items()
    ]


def _once(arguments: list[str]) -> tuple[float, float]:
    import resource

    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
