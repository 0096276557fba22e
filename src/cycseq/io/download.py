"""Files of the catalogue: downloaded once into a cache, resumed where they broke off, and checked by their hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cycseq.errors import FileError, SettingsError
from cycseq.io.files import FULL, write_text
from cycseq.io.progress import track
from cycseq.io.untrusted import parse_json

CACHE = "CYCSEQ_CACHE"
MIRROR = "CYCSEQ_MIRROR"
LOCK = "catalog.lock.json"
CHUNK = 1 << 16  # bytes that are written at a time; what breaks off loses no more than this
AGAIN = {408, 425, 429, 500, 502, 503, 504}  # answers of a server that is busy: the next attempt may succeed
RESUMES = "Run the same command again: it goes on from there."


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public data set."""

    url: str
    name: str  # what it is called in the cache, as `DATASET/FILE`
    known_hash: str | None = None  # ``sha256:...`` or ``md5:...`` where its publisher or several users of it say so


@dataclass(frozen=True)
class DownloadSettings:
    """Where files are downloaded from and to."""

    cache: Path | None = None
    """Folder of the downloaded files; `CYCSEQ_CACHE`, or else the user's cache."""
    mirror: str | None = None
    """Take the files from MIRROR/HOST/PATH instead of https://HOST/PATH; also `CYCSEQ_MIRROR`."""
    timeout: float = 60.0
    """Seconds that a server may be silent."""
    attempts: int = 4
    """How often a download that breaks off is taken up again."""
    pause: float = 2.0
    """Seconds before the next attempt; doubled each time."""

    def folder(self) -> Path:
        """The cache."""
        import pooch

        return Path(self.cache or os.environ.get(CACHE) or pooch.os_cache("cycseq")).expanduser()

    def url(self, file: RemoteFile) -> str:
        """Where the file is taken from."""
        mirror = self.mirror or os.environ.get(MIRROR)
        parts = urlsplit(file.url)
        return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}" if mirror else file.url


class _Interrupted(Exception):
    """An attempt broke off; what has arrived is kept."""


def download(file: RemoteFile, settings: DownloadSettings | None = None) -> Path:
    """The file in the cache, downloaded if it is not there, and checked in any case.

    The hash that it is checked against is the published one, where one is known; otherwise the SHA-256 that was
    written to `catalog.lock.json` in the cache at the first download. What has arrived of a download that broke off
    is kept beside (`.part`) and resumed by HTTP Range, if the server says that the file is still the same one. Raises `FileError`
    if the file cannot be had, is not whole, or is not what it was.
    """
    import requests

    settings = settings or DownloadSettings()
    if settings.attempts < 1 or settings.timeout <= 0:
        raise SettingsError("--attempts must be at least 1 and --timeout above 0.")
    cache = settings.folder()
    path = cache / file.name
    expected = file.known_hash or _locked(cache).get(file.name)
    url = settings.url(file)
    if path.exists():
        if expected is not None and (actual := _hash(path, expected)) != expected:
            raise _changed(path, expected, actual, pinned=bool(file.known_hash), url=None)
    else:
        part = path.with_name(f".{path.name}.part")
        try:
            _resume(url, part, settings)
            if expected is not None and (actual := _hash(part, expected)) != expected:
                part.unlink()
                raise _changed(path, expected, actual, pinned=bool(file.known_hash), url=url)
            part.replace(path)
        except requests.RequestException as err:
            why = "the server cannot be reached" if _unreachable(err) else " ".join(str(err).split())[:200]
            msg = f"{url} cannot be downloaded: {why}. Is this machine online? If not, put the file at {path}."
            raise FileError(msg) from err
        except OSError as err:
            cure = "the disk is full: free some space" if err.errno in FULL else err.strerror or str(err)
            msg = f"{path} could not be written: {cure}. --cache FOLDER or {CACHE} names another place."
            raise FileError(msg) from err
    if expected is None:
        table = dict(sorted({**_locked(cache), file.name: _hash(path, "sha256:")}.items()))
        write_text(cache / LOCK, json.dumps(table, indent=1) + "\n", overwrite=True)
    return path


def _resume(url: str, part: Path, settings: DownloadSettings) -> None:
    """Download to `part`, which survives what breaks off, together with what the server called this version."""
    version_file = part.with_name(f"{part.name}.version")
    for attempt in range(settings.attempts):
        try:
            _attempt(url, part, version_file, settings.timeout)
            break
        except _Interrupted as err:
            if attempt == settings.attempts - 1:
                raise FileError(str(err)) from err
            time.sleep(settings.pause * 2**attempt)
    version_file.unlink(missing_ok=True)


def _attempt(url: str, part: Path, version_file: Path, timeout: float) -> None:
    import requests

    version = version_file.read_text(encoding="utf-8") if version_file.exists() and part.exists() else ""
    have = part.stat().st_size if version else 0
    headers = {"Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={have}-", "If-Range": version} if have else {}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
            _receive(answer, have, url, part, version_file)
    except (requests.Timeout, requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as err:
        if _unreachable(err):
            raise
        why = f"no answer for {timeout:g} seconds" if _timed_out(err) else "the connection broke off"
        arrived = part.stat().st_size if part.exists() else 0
        progress = f" {arrived:,} bytes have arrived and are kept." if arrived else ""
        raise _Interrupted(f"{url} could not be downloaded completely: {why}.{progress} {RESUMES}") from err


def _receive(answer: Any, have: int, url: str, part: Path, version_file: Path) -> None:
    if answer.status_code in AGAIN:
        raise _Interrupted(f"{url}: the server is busy (HTTP {answer.status_code}). Try again later.")
    if answer.status_code == 416:  # what is there reaches beyond the end: begin anew
        part.unlink()
        msg = f"{url}: what had arrived did not fit the file and was dropped. Run the same command again."
        raise _Interrupted(msg)
    _check_answer(answer, url, part.with_name(part.name[1:-5]))
    resumed = answer.status_code == 206
    if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        part.unlink(missing_ok=True)
        msg = f"{url}: the server sent a different part of the file than requested. Run the same command again."
        raise _Interrupted(msg)
    header = answer.headers.get("Content-Length", "")
    length = header if header.isdecimal() else None
    part.parent.mkdir(parents=True, exist_ok=True)
    etag = answer.headers.get("ETag", "")  # a weak one does not do for If-Range; without any there is no resuming
    version = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
    version_file.write_text(str(version), encoding="utf-8")
    with part.open("ab" if resumed else "wb") as out:
        blocks = None if length is None else -(-int(length) // CHUNK)
        for block in track(answer.iter_content(CHUNK), f"Downloading {part.name[1:-5]}", blocks):
            out.write(block)
    arrived = part.stat().st_size
    total = answer.headers.get("Content-Range", "").rpartition("/")[2] if resumed else length
    if total and total.isdigit() and arrived != int(total):
        msg = f"{url} is truncated: {arrived:,} of {int(total):,} bytes arrived and are kept. {RESUMES}"
        raise _Interrupted(msg)


def _check_answer(answer: Any, url: str, path: Path) -> None:
    status = answer.status_code
    if status in {200, 206} and not answer.headers.get("Content-Type", "").startswith("text/html"):
        return
    if status in {404, 410}:
        why = f"is not there (HTTP {status})"
    elif status in {200, 206}:
        why = "is a web page instead of the file (a log-in, a proxy?)"
    else:
        why = f"cannot be had: the server answered HTTP {status}"
    raise FileError(f"{url} {why}. If you can get the file elsewhere, in a browser for example, put it at {path}.")


def _changed(path: Path, expected: str, actual: str, *, pinned: bool, url: str | None) -> FileError:
    where = "the published hash is" if pinned else f"{path.parent.parent / LOCK} has"
    if url is None:
        cure = "Delete the file, and it is downloaded again."
    elif pinned:
        cure = "Try again, or tell us if it stays so: its publisher may have replaced it."
    else:
        cure = f"If its publisher replaced it and you want the new one, delete its line in {LOCK}."
    what = f"{path} was altered" if url is None else f"{url} is not what it was"
    return FileError(f"{what}: {where} {expected}, but its own is {actual}. {cure}")


def _hash(path: Path, like: str) -> str:
    algorithm = like.partition(":")[0]
    with path.open("rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _locked(cache: Path) -> dict[str, str]:
    lock = cache / LOCK
    if not lock.exists():
        return {}
    try:
        hashes = parse_json(lock.read_text(encoding="utf-8"))
        if not all(isinstance(one, str) and re.fullmatch(r"(sha256|md5):[0-9a-f]+", one) for one in hashes.values()):
            raise ValueError("a hash is none")
        return hashes
    except ValueError as err:
        raise FileError(f"{lock} is damaged: it should be a JSON table of files and hashes. Fix or delete it.") from err


def _timed_out(err: Exception) -> bool:
    return "timed out" in str(err).lower()


def _unreachable(err: Exception) -> bool:
    """No connection came about: another attempt in a few seconds would not fix it."""
    return "Max retries exceeded" in str(err) and not _timed_out(err)
