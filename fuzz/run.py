"""Fuzz the readers and the model loader: `python fuzz/run.py --minutes 60`, or `--target NAME` for one of them.

Needs the extra `fuzz` (atheris). Targets take turns, each in a process of its own. What is found is kept in the folder
`--findings`, once for each place in the code. `--keep` adds to `fuzz/corpus` what reached code that nothing there reaches;
`tests/test_hostile_corpus.py` runs that corpus without atheris.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
LIMITS = ("-timeout=30", "-rss_limit_mb=3000", "-max_len=20000", "-len_control=0")
"""Seconds, MiB and bytes of one input."""
KEPT, KEPT_BYTES, LONGEST_KEPT = 50, 90_000, 8_000
"""Inputs and bytes of a target's corpus, and bytes of one input in it."""
MAX_DEATHS = 20


def main() -> int:
    """Run the targets in turn and say what they did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="in all, shared by the targets")
    parser.add_argument("--target", action="append", help="only this one (may be said several times)")
    parser.add_argument("--findings", type=Path, default=Path("out/fuzz"), help="folder for what is found")
    parser.add_argument("--keep", action="store_true", help="add to the corpus")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    if options.child:
        return _child(options.child[0], options.findings, options.child[1])
    from targets import TARGETS

    names = options.target or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            parser.error(f"no target {name!r}: there are {', '.join(TARGETS)}")
        folder = options.findings / name
        folder.mkdir(parents=True, exist_ok=True)
        _fuzz(name, options.minutes * 60 / len(names), folder)
        if options.keep:
            _keep(CORPUS / name, folder / "pool", set(TARGETS[name].seeds()))
    return 0


def _fuzz(name: str, seconds: float, folder: Path) -> None:
    """Run one target; where its process dies (a crash, a hang, memory), a new one goes on."""
    end, deaths = time.monotonic() + seconds, 0
    before, used = _executions(folder), _processor_seconds()
    while (left := int(end - time.monotonic())) > 1 and deaths < MAX_DEATHS:
        deaths += _run_child(name, folder, str(left)) != 0
    found = len(list(folder.glob("found-*.txt")))
    done, took = _executions(folder) - before, _processor_seconds() - used
    print(
        f"{name}: {done:,} executions in {took:.0f} s of processor time, {found} findings, {deaths} deaths", flush=True
    )


def _run_child(name: str, folder: Path, seconds: str) -> int:
    with (folder / "log.txt").open("ab") as log:
        words = [sys.executable, __file__, "--findings", str(folder), "--child", name, seconds]
        return subprocess.run(words, stdout=log, stderr=log, check=False).returncode


def _executions(folder: Path) -> int:
    counted = folder / "count.json"
    return int(json.loads(counted.read_text())) if counted.is_file() else 0


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _keep(kept: Path, pool: Path, seeds: set[bytes]) -> None:
    """Add the inputs that reached more code than those before them to the corpus, the smallest first; no seeds."""
    kept.mkdir(parents=True, exist_ok=True)
    known = {file.read_bytes() for file in kept.iterdir()}
    room, places = KEPT_BYTES - sum(map(len, known)), KEPT - len(known)
    for data in sorted({file.read_bytes() for file in pool.iterdir()} - known - seeds, key=len)[: max(0, places)]:
        room -= len(data)
        if room < 0 or len(data) > LONGEST_KEPT:
            break
        (kept / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


def _child(name: str, folder: Path, seconds: str) -> int:
    """Fuzz for so many seconds."""
    import atheris

    with atheris.instrument_imports(include=["cycseq"]):
        from targets import TARGETS
    from target import scratch

    target, done = TARGETS[name], _executions(folder)
    pool, kept = folder / "pool", CORPUS / name
    for place in (pool, kept):
        place.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (pool / hashlib.sha1(seed).hexdigest()).write_bytes(seed)

    def test_one(data: bytes) -> None:
        nonlocal done
        done += 1
        if done % 20 == 0:
            (folder / "count.json").write_text(str(done))
        try:
            with scratch() as place:
                target.run(data, place)
        except Exception as err:
            _record(folder, data, err)

    words = [*LIMITS, f"-artifact_prefix={folder}/died-", f"-max_total_time={seconds}", str(pool), str(kept)]
    atheris.Setup([sys.argv[0], *words], test_one)
    atheris.Fuzz()
    return 0


def _record(folder: Path, data: bytes, err: Exception) -> None:
    """Keep the input and the traceback, once for each kind of error and place in the code of cycseq."""
    frames = traceback.extract_tb(err.__traceback__)
    ours = [frame for frame in frames if "cycseq" in frame.filename] or list(frames)
    where, last = ours[-1], frames[-1]
    key = "-".join([type(err).__name__, Path(where.filename).stem, str(where.lineno), last.name.strip("<>")])
    path = folder / f"found-{key}.txt"
    if not path.exists():
        path.write_text("".join(traceback.format_exception(err))[-6000:], encoding="utf-8", errors="backslashreplace")
        path.with_suffix(".bin").write_bytes(data)


if __name__ == "__main__":
    raise SystemExit(main())
