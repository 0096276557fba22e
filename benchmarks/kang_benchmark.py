"""The whole Kang benchmark: 8 held-out contexts, all baselines, all metrics, 4,805 genes. Aim: under 60 s on 2 cores and 2 GiB.

    python benchmarks/kang_benchmark.py [--seeds 3] [--jobs 2]

It runs the command line in a process of its own, as a user does, and watches that process and its children: wall time,
and the largest sum of their proportional set sizes (memory that processes share is counted once).
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KANG = Path(__file__).resolve().parents[2] / "shared" / "data" / "kang2018_pbmc_ifnb.h5ad"
MOST_SECONDS, MOST_GIB = 60.0, 2.0


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += family(int(child))
        except OSError:
            continue
    return found


def memory_gib(pid: int) -> float:
    """Proportional set size of the process and its children."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 2**20


def watched(words: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and peak memory of a command."""
    started, before, peak = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN), 0.0
    process = subprocess.Popen([sys.executable, "-m", "cycseq", *words])
    while process.poll() is None:
        peak = max(peak, memory_gib(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(process.returncode)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, busy, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="Folder for the benchmark; else it is thrown away.")
    options = parser.parse_args()
    if not KANG.exists():
        msg = "real data absent: kang2018_pbmc_ifnb.h5ad is not beside the project in ../shared/data"
        raise SystemExit(msg)
    folder = Path(tempfile.mkdtemp(prefix="kang-"))
    try:
        data, out = folder / "kang.h5ad", options.keep or folder / "out"
        prepared = watched(["prepare", str(KANG), "--genes", "all", "--out", str(data)])
        words = ["benchmark", "--data", str(data), "--split", "unseen-context", "--models", "baselines"]
        words += ["--seeds", str(options.seeds), "--jobs", str(options.jobs), "--out", str(out)]
        seconds, busy, gib = watched(words)
    finally:
        shutil.rmtree(folder)
    print(f"prepare    {prepared[0]:6.1f} s ({prepared[1]:5.1f} s of processor)   {prepared[2]:5.2f} GiB")
    print(
        f"benchmark  {seconds:6.1f} s ({busy:5.1f} s of processor)   {gib:5.2f} GiB   (aim: {MOST_SECONDS:.0f} s, {MOST_GIB:.0f} GiB)"
    )
    raise SystemExit(seconds > MOST_SECONDS or gib > MOST_GIB)


if __name__ == "__main__":
    main()
