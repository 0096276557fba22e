"""Checksums beside the files of a folder: what was truncated or altered is noticed before it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cycseq.errors import FileError

CHECKSUMS = "SHA256SUMS"  # one line a file, as `sha256sum --check` reads it

HASHED = 1 << 30  # bytes of a store up to which all of it is read to look for what was altered: a second or so


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Write the SHA-256 of these files of a folder beside them."""
    (folder / CHECKSUMS).write_text("".join([f"{sha256(folder / name)}  {name}\n" for name in names]), encoding="utf-8")


def check_checksum(path: Path, cure: str) -> None:
    """Raise `FileError` if a file is not what the checksums beside it say; a folder without checksums is older than they.

    `cure` says in a sentence what to do about it.
    """
    checksums = _read_checksums(path.parent)
    if checksums is None:
        return
    if path.name not in checksums:
        msg = f"{path.with_name(CHECKSUMS)} is truncated or was altered: it does not name {path.name}. {cure}"
        raise FileError(msg)
    _compare(path, checksums[path.name], cure)


def check_store(folder: Path, cure: str) -> None:
    """Raise `FileError` if a file of a folder is gone or, up to `HASHED` bytes in all, altered; see `check_checksum`.

    zarr takes a part of an array that is gone for zeros.
    """
    checksums = _read_checksums(folder) or {}
    outside = next((name for name in checksums if Path(name).is_absolute() or ".." in Path(name).parts), None)
    if outside is not None:
        raise FileError(f"{folder / CHECKSUMS} was altered: it names {outside}, which lies elsewhere. {cure}")
    missing = next((name for name in checksums if not (folder / name).is_file()), None)
    if missing is not None:
        raise FileError(f"{folder} is not whole: {missing} is missing. {cure}")
    if sum((folder / name).stat().st_size for name in checksums) <= HASHED:
        for name, digest in checksums.items():
            _compare(folder / name, digest, cure)


def _read_checksums(folder: Path) -> dict[str, str] | None:
    """The checksums by name; None where there are none."""
    file = folder / CHECKSUMS
    if not file.is_file():
        return None
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def _compare(path: Path, expected: str, cure: str) -> None:
    if sha256(path) != expected:
        msg = f"{path} is truncated or was altered: its SHA-256 is not the one in {CHECKSUMS}. {cure} If you changed it yourself, delete {CHECKSUMS}."
        raise FileError(msg)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
