"""Pipes, devices and sockets: reading them may never end, so that none is read as a file."""

from __future__ import annotations

import stat
from pathlib import Path

from cycseq.errors import FileError

KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def refuse_special(path: Path) -> Path:
    """The path, if a file or a folder is there, or nothing; raises `FileError` if it is a pipe, a device or a socket."""
    try:
        kind = KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):  # whoever reads it says what is wrong
        return path
    if kind is not None:
        raise FileError(f"{path} is {kind}, which may never end: write its contents to a file, and give that.")
    return path
