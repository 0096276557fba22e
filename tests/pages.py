"""The code blocks of a page, and a session that runs them in the order in which they stand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cycseq.cli import SUCCESS, main

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\{code-block\} )?(python|sh)\n(?::caption: (\S+)\n\n)?(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    file: str | None
    """Under what name the page says that it is saved; None for what is run at once."""
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of Python and of the shell."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Block(found[2], found[3], found[4], text.count("\n", 0, found.start()) + 1)


def commands(block: Block) -> list[str]:
    """The lines of a shell block that call cycseq; continued lines are joined."""
    lines = block.code.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("cycseq ")]


def run_page(page: Path) -> dict[str, Any]:
    """Run everything in the current folder; the names that the Python of the page defined."""
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile("\n" * block.line + block.code, str(page), "exec"), names)
        else:
            for line in commands(block):
                assert main(shlex.split(line, comments=True)[1:]) == SUCCESS, line
    return names
