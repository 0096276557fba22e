"""Running fuzz targets in tests: in a child process where a library might crash, so that a crash is one failed test."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
from pathlib import Path

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))

from target import Target, scratch  # noqa: E402
from targets import TARGETS  # noqa: E402

CORPUS = FUZZ / "corpus"
COMPILED = {"h5ad", "h5_bytes", "escapes", "chunks", "ten_x", "zarr", "arrays", "archives", "effects", "knowledge"}
"""Targets whose bytes reach compiled readers. The others stay here: networks do not survive a fork everywhere."""
SECONDS = 60

__all__ = ["CORPUS", "TARGETS", "survives"]


def survives(target: Target, inputs: list[bytes]) -> None:
    """Run the target on every input; an assertion fails if one of them breaks it, crashes or hangs."""
    if target.name not in COMPILED or not hasattr(os, "fork"):
        for data in inputs:
            _run(target, data)
        return
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = "fine"
        try:
            for data in inputs:
                _run(target, data)
        except BaseException:  # noqa: BLE001  (told to the parent)
            said = traceback.format_exc()
        os.write(writing, said.encode("utf-8", "backslashreplace")[-4000:])
        os._exit(0)
    os.close(writing)
    answered = bool(select.select([reading], [], [], SECONDS)[0])
    said = os.read(reading, 5000).decode("utf-8", "replace") if answered else f"no answer in {SECONDS} s"
    os.close(reading)
    if not answered:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert said == "fine", said or f"{target.name} ended the process (status {status}) at one of {inputs[:3]!r}"


def _run(target: Target, data: bytes) -> None:
    with scratch() as folder:
        target.run(data, folder)
