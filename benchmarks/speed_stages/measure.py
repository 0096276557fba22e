"""Taking times: sides in processes of their own that take turns, and forms that take turns inside one process."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Callable[[], object]
"""What is timed; a dictionary that it returns is handed on to the one who asked."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)


@dataclass(frozen=True)
class Form:
    """One way to do a piece of work: a function of a file of this folder, which sets up and returns what is timed."""

    name: str
    """As the table says it."""
    stage: str
    """The file."""
    function: str
    arguments: Mapping[str, Any]
    python: str = sys.executable
    """Of the environment that has what the function imports."""
    whole: bool = False
    """Whether the process counts from its start to its end, imports and all."""


@dataclass(frozen=True)
class Taken:
    """What one run took."""

    wall: float
    """Seconds by the clock."""
    cpu: float
    """Seconds of the processor; they depend less on what else the machine does."""
    peak: float
    """Highest memory of the process, GiB."""
    said: dict[str, Any]
    """What the work returned."""


@dataclass(frozen=True)
class Row:
    """One line of the table: one form of one stage at one size."""

    stage: str
    size: str
    form: str
    kind: str
    """ours, peer, naive (an obvious way to write it) or limit (what the machine could do at best)."""
    wall_s: float
    cpu_s: float
    peak_gib: float
    times: float
    """Its processor seconds over ours: the median of the pairs. Above 1, ours is faster."""
    times_least: float
    times_most: float
    times_wall: float
    """The same of seconds by the clock."""
    runs: int


def run_once(form: Form) -> Taken:
    """One run in a process of its own."""
    command = [form.python, str(Path(__file__).with_name("child.py")), form.stage, form.function]
    command.append(json.dumps(dict(form.arguments)))
    environment = {**os.environ, **ONE_THREAD, "OMP_WAIT_POLICY": "PASSIVE"}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        msg = f"{form.name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
        raise RuntimeError(msg)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if form.whole:
        found["work"] = wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(*found["work"], found["peak"], found["said"])


def in_turn(forms: Sequence[Form], rounds: int) -> dict[str, list[Taken]]:
    """A B A B ...: every form in a process of its own, round by round."""
    found: dict[str, list[Taken]] = {form.name: [] for form in forms}
    for _ in range(rounds):
        for form in forms:
            found[form.name].append(run_once(form))
    return found


def together(form: Form) -> dict[str, list[Taken]]:
    """Forms that take turns inside one process, for work too short for one of its own; `child.turns` has taken them."""
    taken = run_once(form)
    return {name: [Taken(wall, cpu, taken.peak, {}) for wall, cpu in runs] for name, runs in taken.said.items()}


def rows(stage: str, size: str, found: Mapping[str, Sequence[Taken]], kinds: Mapping[str, str]) -> list[Row]:
    """Lines of the table: the best of all runs of each form, and ratios to the first form pair by pair."""
    ours = found[next(iter(kinds))]
    lines = []
    for name, kind in kinds.items():
        taken = found[name]
        ratios = [one.cpu / mine.cpu for one, mine in zip(taken, ours, strict=True)]
        walls = [one.wall / mine.wall for one, mine in zip(taken, ours, strict=True)]
        lines.append(
            Row(
                stage,
                size,
                name,
                kind,
                wall_s=min(one.wall for one in taken),
                cpu_s=min(one.cpu for one in taken),
                peak_gib=max(one.peak for one in taken),
                times=statistics.median(ratios),
                times_least=min(ratios),
                times_most=max(ratios),
                times_wall=statistics.median(walls),
                runs=len(taken),
            )
        )
    return lines


def at_best(stage: str, size: str, ours: Row, name: str, seconds: float) -> Row:
    """A line for a time that is computed, not run: bytes over bandwidth, or products over their peak."""
    times = seconds / ours.cpu_s
    return Row(stage, size, name, "limit", seconds, seconds, float("nan"), times, times, times, times, 0)
