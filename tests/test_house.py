"""The map in docs/architecture.md: what it says of one file's way from a command to its page is what happens."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import anndata as ad
import pytest

import cycseq
from cycseq.cli import main

MAX_FILES = 19
HOUSE = str(Path(cycseq.__file__).parent) + os.sep


def steps() -> list[tuple[str, list[str]]]:
    """The table: files in its order, and their functions."""
    text = (Path(__file__).resolve().parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| `([^`]+)` \| ([^|]+) \|", text, re.MULTILINE)
    return [(file, re.findall(r"`([^`]+)`", functions)) for file, functions in rows]


def place(frame: FrameType) -> tuple[str, str] | None:
    """File and function of a frame of the house; None of any other, and of classes and modules that are being made."""
    code = frame.f_code
    if not code.co_filename.startswith(HOUSE) or code.co_name == "<module>" or "__module__" in frame.f_locals:
        return None
    return code.co_filename.removeprefix(HOUSE), code.co_qualname


def trace(files: set[str], run: Callable[[], object]) -> list[tuple[str, str, str | None]]:
    """Each function of these files when it is first entered, and the file among them that it was reached from."""
    entered: dict[tuple[str, str], str | None] = {}

    def enter(frame: FrameType, event: str, _: object) -> None:
        here = place(frame) if event == "call" else None
        if here is None or here[0] not in files or here in entered:
            return
        above = frame.f_back
        while above is not None and ((at := place(above)) is None or at[0] not in files or at[0] == here[0]):
            above = above.f_back
        entered[here] = None if above is None else at[0]

    sys.setprofile(enter)
    try:
        run()
    finally:
        sys.setprofile(None)
    return [(*here, caller) for here, caller in entered.items()]


@pytest.mark.slow
def test_one_file_is_followed_from_the_command_to_its_page(small_counts: ad.AnnData, tmp_path: Path):
    small_counts.write_h5ad(tmp_path / "cells.h5ad")
    words = f"benchmark --data {tmp_path}/cells.h5ad --split unseen-context --models ContextAdditive --seeds 1"
    words += f" --metrics mse_ratio --out {tmp_path}/out"
    files = [file for file, _ in steps()]
    seen = trace(set(files), lambda: main(words.split()))
    assert (tmp_path / "out" / "report.html").is_file()
    assert len(files) == len(set(files)) <= MAX_FILES
    for file, functions in steps():
        for function in functions:
            caller = next(caller for at, name, caller in seen if (at, name) == (file, function))
            assert caller is None or files.index(caller) < files.index(file), (
                f"{file} is called from {caller}, below it"
            )
    first = [
        next(i for i, (at, name, _) in enumerate(seen) if (at, name) == (file, functions[0]))
        for file, functions in steps()
    ]
    assert first == sorted(first), "the files stand in the order in which they are entered"
