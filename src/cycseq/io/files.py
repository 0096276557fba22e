"""Files are written whole or not at all, and a folder by one process at a time."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cycseq.errors import FileError
from cycseq.io.interruption import postpone_signals
from cycseq.io.special_files import refuse_special

OURS = ("run.json", "answer.json", "benchmark.json", "model.json", "convert.json", "zarr.json", ".zgroup")
"""What a folder must hold to be replaced: one of the files that mark a run, a benchmark, a model, a conversion or a zarr store."""
PART, REPLACED, LOCK = ".part", "replaced", ".lock"
"""How the folder ends in which a file is made; what a folder is called there that is being replaced; whose lock says that
the process lives."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def text_of_path(path: Path | str) -> str:
    r"""A path, or words with paths, as records hold them: bytes of names that are not UTF-8 stand there as ``\xe9``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def path_of_text(text: str) -> Path:
    """The path that `text_of_path` wrote."""
    if Path(text).exists():
        return Path(text)
    plain = re.sub(rb"\\x([89a-f][0-9a-f])", lambda hex_: bytes.fromhex(hex_[1].decode()), os.fsencode(text))
    return Path(os.fsdecode(plain))


def clear(folder: Path) -> None:
    """Remove the temporary folders that killed processes left in a folder; what one had just moved aside comes back."""
    for leftover in folder.glob(f".*{PART}"):
        name = re.fullmatch(rf"\.(.+)\.[a-z0-9_]{{8}}\{PART}", leftover.name)
        if name is None or not leftover.is_dir():
            continue
        with suppress(OSError):  # what cannot be looked at, or has gone meanwhile, is left to others
            lock = os.open(leftover / LOCK, os.O_RDWR | os.O_CREAT)
            if _locked(lock, unknown=False):
                if (leftover / REPLACED).exists() and not (folder / name[1]).exists():
                    (leftover / REPLACED).rename(folder / name[1])
                shutil.rmtree(leftover, ignore_errors=True)
            os.close(lock)


def check_output(path: Path, *, overwrite: bool = False, endings: tuple[str, ...] = ()) -> Path:
    """The path, if something may be written there; what killed processes left beside it is removed.

    Raises `FileError` if it exists and ``overwrite`` is false, is a folder of something else, its folder is a file, or its name
    has none of the endings.
    """
    clear(path.parent)
    if endings and path.suffix not in endings:
        raise FileError(f"{path} cannot be written: its name must end in {' or '.join(endings)}.")
    if path.exists() and not overwrite:
        raise FileError(f"{path} exists already: choose another name, or use --overwrite true to replace it.")
    if path.is_dir() and any(path.iterdir()) and not any((path / name).exists() for name in OURS):
        msg = f"{path} is a folder that cycseq did not write, and is not replaced: name another, or remove it yourself."
        raise FileError(msg)
    _check_parents(path)
    return path


def check_space(path: Path, n_bytes: int) -> None:
    """Raise `FileError` if a file of this size would not fit where the path lies.

    HDF5 cannot be stopped cleanly once a disk is full, so that room for uncompressed values is asked for before it starts.
    """
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        msg = f"{path} was not written: the disk is full, with {free / 2**20:,.0f} MiB free where up to {n_bytes / 2**20:,.0f} MiB are needed: free some space."
        raise FileError(msg)


def require_file(path: Path) -> Path:
    """The path, if it is there and no pipe, device or socket; raises `FileError` otherwise."""
    if not path.exists():
        beside = path.parent.glob("*") if path.parent.is_dir() else ()
        near = sorted(p.name for p in beside if p.suffix == path.suffix)[:5]
        hint = f" Beside it: {', '.join(near)}." if near else ""
        raise FileError(f"{path} does not exist.{hint}")
    return refuse_special(path)


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and vanishes when it does not.

    Works for files and for folders (a zarr store, a saved model). Raises `FileError` if the path exists (see `check_output`),
    cannot be written, or the disk is full.
    """
    with postpone_signals():
        try:
            _check_parents(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            check_output(path, overwrite=overwrite)
            folder, lock = _workplace(path)
        except OSError as err:
            raise _unwritable(path, err) from err
        part, replaced = folder / path.name, folder / REPLACED
        try:
            with postpone_signals(postponed=False):
                yield part
            check_output(path, overwrite=overwrite)  # another process may have written it meanwhile
            if path.is_dir() and not path.is_symlink():
                path.rename(replaced)
            os.replace(part, path)  # noqa: PTH105  (Path.replace is the same call; os.replace says that it is atomic)
        except OSError as err:
            if err.errno in FULL or err.errno in {errno.EACCES, errno.EPERM, errno.EROFS} or "write" in str(err):
                raise _unwritable(path, err) from err
            raise
        finally:
            if replaced.exists() and not path.exists():
                replaced.rename(path)
            os.close(lock)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lock_folder(path: Path) -> Iterator[None]:
    """Keep other processes from working at ``path`` while the block runs; the lock vanishes with its process.

    Raises `FileError` if another process works there, or nothing can be written beside it.
    """
    _check_parents(path)
    file = path.absolute().parent / f".{path.absolute().name}.lock"
    with postpone_signals():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            clear(file.parent)
            lock = _opened(file)
        except OSError as err:
            raise _unwritable(path, err) from err
        if lock is None:
            msg = f"another cycseq process is working in {path}: wait until it has ended, or name another folder."
            raise FileError(msg)
        try:
            with postpone_signals(postponed=False):
                yield
        finally:
            with suppress(OSError):  # on Windows, where it is still open
                file.unlink()
            os.close(lock)


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text file whole, in UTF-8."""
    with atomic_write(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="utf-8")


def _check_parents(path: Path) -> None:
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not parent.is_dir():
        raise FileError(f"{path} cannot be written: {parent} is a file, not a folder.")


def _workplace(path: Path) -> tuple[Path, int]:
    """A folder beside the path, and the lock that says that its process lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent))
        with suppress(FileNotFoundError):  # another process may take it for a dead one's before it is locked
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
            if _locked(lock) and folder.exists():
                return folder, lock
            os.close(lock)


def _opened(file: Path) -> int | None:
    """The lock file, opened and locked; None if another process holds it."""
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        if not _locked(lock):
            os.close(lock)
            return None
        try:
            if os.path.samestat(os.fstat(lock), file.stat()):
                return lock
        except FileNotFoundError:  # its last holder removed it before it was locked here
            pass
        os.close(lock)


def _locked(lock: int, *, unknown: bool = True) -> bool:
    """Whether the lock could be had; ``unknown`` where system or file system know no locks."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        return unknown
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return unknown
    return True


def _unwritable(path: Path, err: OSError) -> FileError:
    full = err.errno in FULL or "No space left" in str(err)
    cure = "the disk is full: free some space" if full else (err.strerror or str(err))
    return FileError(f"{path} could not be written, and nothing was left there: {cure}.")
