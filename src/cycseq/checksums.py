"""Checksums beside the files of a folder: what was truncated or altered is noticed before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cycseq.errors import FileError

CHECKSUMS = "SHA256SUMS"
"""One line a file, as `sha256sum --check` reads it."""


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Write the SHA-256 of these files of a folder beside them."""
    lines = [f"{sha256(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def check_checksum(path: Path, cure: str) -> None:
    """Raise `FileError` if a file is not what the checksums beside it say; a folder without checksums is older than they.

    Parameters
    ----------
    path
        A file that is there.
    cure
        What to do about it, as a sentence.
    """
    said = path.with_name(CHECKSUMS)
    if not said.is_file():
        return
    text = said.read_text(encoding="utf-8", errors="replace")
    known = {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}
    if path.name not in known:
        msg = f"{said} is truncated or was altered: it does not name {path.name}. {cure}"
        raise FileError(msg)
    if sha256(path) != known[path.name]:
        msg = (
            f"{path} is truncated or was altered: its SHA-256 is not the one in {CHECKSUMS}. {cure} If you changed it "
            f"yourself, delete {CHECKSUMS}."
        )
        raise FileError(msg)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
