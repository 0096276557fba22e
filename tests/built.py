"""What `make docs` and `make package` have built: where it is newer than all that it is made from, no test builds it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pages import ROOT

MADE = {"_build", "__pycache__", "build", "dist", "htmlcov", "out", "runs"}
"""Folders that hold what is made; those whose name begins with a dot are passed over too."""


def sources(folder: Path = ROOT) -> Iterator[Path]:
    """Every file of the checkout that nothing here has made."""
    for path in folder.iterdir():
        if path.name in MADE or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from sources(path)
        else:
            yield path


def is_fresh(built: Path) -> bool:
    """Whether the file is there, and no source is newer."""
    return built.exists() and built.stat().st_mtime > max(path.stat().st_mtime for path in sources())
