"""Fuzz the readers and the model loader: `python fuzz/run.py --minutes 10`, or `--target NAME` for one of them.

Needs the extra `fuzz` (atheris). Targets take turns, in a process each. What is found is written to `--findings`, once
for each place in the code; `--keep` adds what reached new code to the corpus, which `tests/test_hostile_corpus.py` runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
SLOW, MEMORY_MB = 20, 3000
"""Seconds and MiB that one input may take."""


def main() -> int:
    """Run the targets in turn and say what they did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="in all, shared by the targets")
    parser.add_argument("--target", action="append", help="only this one (may be said several times)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--keep", action="store_true", help="add inputs that reached new code to the corpus")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return _child(options.child, options.findings, options.seconds)
    sys.path.insert(0, str(HERE))
    from targets import TARGETS

    names = options.target or list(TARGETS)
    for name in names:
        if name not in TARGETS:
            parser.error(f"no target {name!r}: there are {', '.join(TARGETS)}")
        _fuzz(name, options.minutes * 60 / len(names), options.findings, keep=options.keep)
    return 0


def _fuzz(name: str, seconds: float, findings: Path, *, keep: bool) -> None:
    """Run one target; a process that dies (a crash, a hang, memory) is counted, and the next goes on."""
    folder = findings / name
    folder.mkdir(parents=True, exist_ok=True)
    end, deaths = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 2:
        words = [sys.executable, __file__, "--child", name, "--findings", str(folder), "--seconds", str(left)]
        with (folder / "log.txt").open("ab") as log:
            done = subprocess.run([*words, *(["--keep"] if keep else [])], stdout=log, stderr=log, check=False)
        deaths += done.returncode != 0
        if deaths > 20:
            break
    json.loads((folder / "count.json").read_text()) if (folder / "count.json").is_file() else {"executions": 0}
    sorted(p.name for p in folder.glob("found-*.txt"))


def _child(name: str, folder: Path, seconds: float) -> int:
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["cycseq"]):
        from targets import TARGETS
    from target import scratch

    target = TARGETS[name]
    counted = folder / "count.json"
    state = {"executions": json.loads(counted.read_text())["executions"] if counted.is_file() else 0}
    end = time.monotonic() + seconds
    pool = folder / "pool"
    pool.mkdir(exist_ok=True)
    for seed in target.seeds():
        (pool / hashlib.sha1(seed).hexdigest()).write_bytes(seed)

    def test_one(data: bytes) -> None:
        state["executions"] += 1
        if state["executions"] % 50 == 0:
            counted.write_text(json.dumps(state))
        (folder / "last").write_bytes(data)
        try:
            with scratch() as place:
                target.run(data, place)
        except Exception as err:  # noqa: BLE001  (that is what is looked for)
            _record(folder, data, err)

    kept = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    limits = [
        f"-max_total_time={int(end - time.monotonic())}",
        f"-timeout={SLOW}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-max_len=20000",
        "-len_control=0",
    ]
    with tempfile.TemporaryDirectory():
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={folder}/died-", str(pool), *kept], test_one)
        atheris.Fuzz()
    return 0


def _record(folder: Path, data: bytes, err: Exception) -> None:
    """Keep the input and the traceback, once for each kind of error and place in the code of cycseq."""
    frames = traceback.extract_tb(err.__traceback__)
    ours = [f for f in frames if "cycseq" in f.filename] or list(frames)
    key = f"{type(err).__name__}-{Path(ours[-1].filename).stem}-{ours[-1].lineno}-{Path(frames[-1].filename).stem}-{frames[-1].name}"
    path = folder / f"found-{key.replace('<', '').replace('>', '')}.txt"
    if not path.exists():
        path.write_text("".join(traceback.format_exception(err))[-6000:], encoding="utf-8", errors="backslashreplace")
        path.with_suffix(".bin").write_bytes(data)


if __name__ == "__main__":
    raise SystemExit(main())
