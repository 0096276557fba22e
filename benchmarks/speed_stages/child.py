"""One measured process: `python child.py STAGE FUNCTION ARGUMENTS`, the arguments as JSON; prints one line of JSON.

It may run in a peer's environment, where CycSeq is not installed: only what the stage's function imports is needed.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path


def main() -> None:
    stage, function, arguments = sys.argv[1:]
    warnings.filterwarnings("ignore")
    sys.path[0] = str(Path(__file__).parents[1])
    work = getattr(importlib.import_module(f"speed_stages.{stage}"), function)(**json.loads(arguments))
    wall, cpu = time.perf_counter(), time.process_time()
    said = work()
    taken = time.perf_counter() - wall, time.process_time() - cpu
    found = {"work": taken, "peak": _peak(), "said": said if isinstance(said, dict) else {}}
    print("\n" + json.dumps(found))


def turns(
    forms: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1
) -> dict[str, list[tuple[float, float]]]:
    """`_clocks` of every form, round by round, after rounds that are not counted."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for i in range(warm + rounds):
        for name, work in forms.items():
            wall, cpu = _clocks()
            work()
            later = _clocks()
            if i >= warm:
                found[name].append((later[0] - wall, later[1] - cpu))
    return found


def _clocks() -> tuple[float, float]:
    """Seconds by the clock and of the processor; where a GPU works, both by the clock, once it is done."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter(), time.perf_counter()
    return time.perf_counter(), time.process_time()


def _peak() -> float:
    """Highest memory of this program, GiB; what its parent held before it does not count (as it would in `ru_maxrss`)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 2**20


if __name__ == "__main__":
    main()
