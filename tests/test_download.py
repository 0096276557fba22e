"""Downloads against a local server that breaks off, is slow, sends something else, or has changed its mind."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from cycseq.errors import FileError, SettingsError
from cycseq.io.download import LOCK, DownloadSettings, RemoteFile, download

CONTENT = np.random.default_rng(0).bytes(3_000_000)
BREAK = 20 << 16
SHA = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves one content at any path; `plan` says what goes wrong with the next requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.version = '"first"'
        self.plan: list[str] = []
        self.ranges: list[str | None] = []

    def handle_error(self, *_: object) -> None:
        """A client that has gone away is not an error."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        what = self.server.plan.pop(0) if self.server.plan else "good"
        if what.isdigit():
            self.send_error(int(what))
            return
        body, start = self.server.content, 0
        asked = self.headers.get("Range")
        if asked and self.headers.get("If-Range") == self.server.version and what != "no range":
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        shown = start - 1000 if what == "another part" else start
        if start:
            self.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        stop = start + BREAK if what in {"break", "slow", "no version", "short range"} else len(body)
        self.send_header("Content-Length", str((stop if what == "short range" else len(body)) - start))
        self.send_header("Content-Type", "text/html; charset=utf-8" if what == "page" else "application/octet-stream")
        if what != "no version":
            self.send_header("ETag", self.server.version)
        self.end_headers()
        self.wfile.write(body[start:stop])
        if what == "slow":
            self.wfile.flush()
            time.sleep(1.5)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield serving
        serving.shutdown()


def settings(cache: Path, server: Server, **others: float) -> DownloadSettings:
    return DownloadSettings(**{"cache": cache, "mirror": server.url, "pause": 0.0, "attempts": 1, **others})


FILE = RemoteFile("https://host.example/deep/file.bin?x=1", "set/file.bin")


def left(cache: Path) -> list[str]:
    """All that lies in the cache, save the lock."""
    return sorted(str(p.relative_to(cache)) for p in cache.rglob("*") if p.is_file() and p.name != LOCK)


def test_good_download_is_locked_and_not_repeated(server: Server, tmp_path: Path) -> None:
    path = download(FILE, settings(tmp_path, server))
    assert path == tmp_path / "set/file.bin"
    assert path.read_bytes() == CONTENT
    assert json.loads((tmp_path / LOCK).read_text()) == {"set/file.bin": SHA}
    assert left(tmp_path) == ["set/file.bin"]
    assert download(FILE, settings(tmp_path, server)) == path
    assert server.ranges == [None]


def test_the_mirror_keeps_host_and_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DownloadSettings().url(FILE) == FILE.url
    assert DownloadSettings(mirror="http://m/").url(FILE) == "http://m/host.example/deep/file.bin"
    monkeypatch.setenv("CYCSEQ_MIRROR", "http://other")
    monkeypatch.setenv("CYCSEQ_CACHE", str(tmp_path))
    assert DownloadSettings().url(FILE).startswith("http://other/host.example/")
    assert DownloadSettings().folder() == tmp_path
    assert DownloadSettings(cache=tmp_path / "said").folder() == tmp_path / "said"


def test_interrupted_within_one_command(server: Server, tmp_path: Path) -> None:
    server.plan = ["break", "503", "break"]
    path = download(FILE, settings(tmp_path, server, attempts=4))
    assert path.read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert server.ranges[1] == server.ranges[2] == f"bytes={BREAK}-"
    assert server.ranges[3] == f"bytes={2 * BREAK}-"


def test_interrupted_command_is_resumed_by_the_next(server: Server, tmp_path: Path) -> None:
    server.plan = ["break"]
    with pytest.raises(FileError, match=r"completely: the connection broke off\. 1,310,720 bytes have arrived.*again"):
        download(FILE, settings(tmp_path, server))
    assert left(tmp_path) == ["set/.file.bin.part", "set/.file.bin.part.version"]
    assert not (tmp_path / LOCK).exists()
    assert download(FILE, settings(tmp_path, server)).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={BREAK}-"]
    assert left(tmp_path) == ["set/file.bin"]


def test_what_was_replaced_meanwhile_is_not_glued_together(server: Server, tmp_path: Path) -> None:
    server.plan = ["break"]
    with pytest.raises(FileError):
        download(FILE, settings(tmp_path, server))
    server.content, server.version = CONTENT[::-1], '"second"'
    assert download(FILE, settings(tmp_path, server)).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("what", ["no range", "another part", "short range"])
def test_servers_that_cannot_resume(server: Server, tmp_path: Path, what: str) -> None:
    server.plan = ["break", what]
    assert download(FILE, settings(tmp_path, server, attempts=4)).read_bytes() == CONTENT


def test_truncated(server: Server, tmp_path: Path) -> None:
    server.plan = ["break", "short range"]
    with pytest.raises(
        FileError, match=r"is truncated: 2,621,440 of 3,000,000 bytes arrived and are kept\. Run the same"
    ):
        download(FILE, settings(tmp_path, server, attempts=2))
    assert left(tmp_path) == ["set/.file.bin.part", "set/.file.bin.part.version"]


def test_without_a_version_it_begins_anew(server: Server, tmp_path: Path) -> None:
    server.plan = ["no version"]
    assert download(FILE, settings(tmp_path, server, attempts=2)).read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_part_that_is_too_long_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/.file.bin.part").write_bytes(CONTENT + b"x")
    (tmp_path / "set/.file.bin.part.version").write_text(server.version)
    assert download(FILE, settings(tmp_path, server, attempts=2)).read_bytes() == CONTENT


def test_slow_server(server: Server, tmp_path: Path) -> None:
    server.plan = ["slow"]
    began = time.monotonic()
    with pytest.raises(FileError, match=r"no answer for 0\.3 seconds\. 1,\d+,\d+ bytes have arrived and are kept"):
        download(FILE, settings(tmp_path, server, timeout=0.3))
    assert time.monotonic() - began < 1.4
    assert download(FILE, settings(tmp_path, server)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("404", r"file\.bin is not there \(HTTP 404\)"),
        ("403", r"cannot be had: the server answered HTTP 403"),
        ("202", r"cannot be had: the server answered HTTP 202"),
        ("503", r"the server is busy \(HTTP 503\)"),
        ("page", r"is a web page instead of the file"),
    ],
)
def test_refused(server: Server, tmp_path: Path, answer: str, says: str) -> None:
    server.plan = [answer]
    with pytest.raises(FileError, match=says) as error:
        download(FILE, settings(tmp_path, server))
    assert "\n" not in str(error.value)
    assert left(tmp_path) == []
    assert not (tmp_path / LOCK).exists()


def test_nobody_there(tmp_path: Path) -> None:
    with Server() as gone:
        nobody = settings(tmp_path, gone, attempts=3, pause=60.0)
    began = time.monotonic()
    with pytest.raises(
        FileError, match=r"the server cannot be reached\. Is this machine online\? If not, put the file at"
    ):
        download(FILE, nobody)
    assert time.monotonic() - began < 5


def test_a_file_that_was_put_into_the_cache_by_hand(server: Server, tmp_path: Path) -> None:
    server.plan = ["403"]
    with pytest.raises(FileError, match=f"put it at {tmp_path}/set/file.bin"):
        download(FILE, settings(tmp_path, server))
    (tmp_path / "set").mkdir(exist_ok=True)
    (tmp_path / "set/file.bin").write_bytes(CONTENT)
    assert download(FILE, settings(tmp_path, server)).read_bytes() == CONTENT
    assert json.loads((tmp_path / LOCK).read_text()) == {"set/file.bin": SHA}


def test_altered_in_the_cache(server: Server, tmp_path: Path) -> None:
    path = download(FILE, settings(tmp_path, server))
    path.write_bytes(b"altered")
    own = f"sha256:{hashlib.sha256(b'altered').hexdigest()}"
    with pytest.raises(FileError, match="was altered") as error:
        download(FILE, settings(tmp_path, server))
    assert SHA in str(error.value)
    assert own in str(error.value)
    assert "Delete the file" in str(error.value)
    path.unlink()
    assert download(FILE, settings(tmp_path, server)).read_bytes() == CONTENT


def test_altered_at_the_publisher(server: Server, tmp_path: Path) -> None:
    download(FILE, settings(tmp_path, server)).unlink()
    server.content = b"new edition"
    own = f"sha256:{hashlib.sha256(b'new edition').hexdigest()}"
    with pytest.raises(FileError, match="is not what it was") as error:
        download(FILE, settings(tmp_path, server))
    assert SHA in str(error.value)
    assert own in str(error.value)
    assert f"delete its line in {LOCK}" in str(error.value)
    assert left(tmp_path) == []
    (tmp_path / LOCK).write_text("{}")
    assert download(FILE, settings(tmp_path, server)).read_bytes() == b"new edition"
    assert json.loads((tmp_path / LOCK).read_text()) == {"set/file.bin": own}


@pytest.mark.parametrize("known", [SHA, MD5])
def test_published_hashes(server: Server, tmp_path: Path, known: str) -> None:
    pinned = RemoteFile(FILE.url, FILE.name, known)
    assert download(pinned, settings(tmp_path, server)).read_bytes() == CONTENT
    assert not (tmp_path / LOCK).exists()
    server.content = CONTENT[:-1] + b"!"
    (tmp_path / FILE.name).unlink()
    with pytest.raises(FileError, match=f"published hash is {known}"):
        download(pinned, settings(tmp_path, server))
    assert left(tmp_path) == []


def test_bad_settings_and_damaged_lock(server: Server, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--attempts"):
        download(FILE, settings(tmp_path, server, attempts=0))
    (tmp_path / LOCK).write_text("[1, 2")
    with pytest.raises(FileError, match="damaged: it should be a JSON table"):
        download(FILE, settings(tmp_path, server))


def test_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(FileError, match="--cache FOLDER"):
        download(FILE, settings(tmp_path / "cache", server))
