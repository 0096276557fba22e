"""Untrusted files: how far a file may unpack, JSON and YAML of any kind, and commands in records."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shlex
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any

from cycseq.errors import CycseqError, FileError, SettingsError
from cycseq.io.special_files import refuse_special

UNPACK = "CYCSEQ_UNPACK"  # environment variable: how many times its size a file may unpack to; ``none`` lifts the limit
RATIO = 200  # the limit where the variable says nothing; sparse counts as text, packed, come to about 50
ALWAYS = 256 << 20  # bytes that any file may unpack to
DEEPEST = 50  # lists and tables of a JSON text inside each other
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no name may hold: control characters (terminals obey them) and halves of characters (no file can hold them)."""


def max_bytes(packed: int) -> float:
    """How many bytes a file of this size may unpack to.

    Raises `SettingsError` if `CYCSEQ_UNPACK` is set to something else than a number above 0 or ``none``.
    """
    setting = os.environ.get(UNPACK, "").strip().lower()
    if setting == "none":
        return float("inf")
    if setting and not re.fullmatch(r"\d{1,9}", setting):
        msg = f"{UNPACK} is {setting!r}, but must be a whole number (times that a file may grow), or none for no limit."
        raise SettingsError(msg)
    return max(ALWAYS, (int(setting) if setting else RATIO) * packed)


def check_unpacked(path: Path, n_bytes: int, packed: int | None = None) -> None:
    """Raise `FileError` if a file claims to hold, or was found to hold, far more than its size."""
    packed = path.stat().st_size if packed is None else packed
    if n_bytes > max_bytes(packed):
        raise FileError(
            f"{path} has {packed:,} bytes but unpacks to {n_bytes:,} or more, more than is safe to read without being asked. If you "
            f"trust it, set {UNPACK}=none before the command."
        )


@contextmanager
def open_unpacked(path: Path) -> Iterator[io.BufferedIOBase]:
    """The bytes of a text file, unpacked if its name ends in ``.gz``; raises as `check_unpacked` once they are too many, and at a zero byte."""
    packed = refuse_special(path).suffix.lower() == ".gz"
    with (
        gzip.open(path, "rb") if packed else path.open("rb", buffering=0) as source,
        text_bytes(source, path) as reader,
    ):
        yield reader


def text_bytes(source: Any, path: Path) -> io.BufferedReader:
    """The bytes of an open text file, checked while they are read (`open_unpacked`).

    At a zero byte pandas 2.3 can read on beyond the end of the text: 400 bytes became nine million rows.
    """
    return io.BufferedReader(_Checked(source, path), 1 << 18)


class _Checked(io.RawIOBase):
    """Unpacked bytes, counted and looked at while they are read."""

    def __init__(self, source: Any, path: Path) -> None:
        self.source, self.path, self.done = source, path, 0
        self.packed = path.stat().st_size
        self.most = max_bytes(self.packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = int(self.source.readinto(buffer))
        self.done += n
        if self.done > self.most:
            check_unpacked(self.path, self.done, self.packed)
        if b"\0" in bytes(memoryview(buffer)[:n]):
            msg = f"{self.path} holds a zero byte, as no text does: it is damaged, or not saved as UTF-8 text."
            raise FileError(msg)
        return n


def parse_json(text: str) -> dict[str, Any]:
    """A JSON object, as `json.loads` reads it.

    Raises `ValueError` if the text is not JSON, is not an object, is nested beyond reason, names a key twice, or holds what is
    not a character.
    """
    try:
        content = json.loads(text, object_pairs_hook=_each_key_once)
    except RecursionError as err:
        raise ValueError("it is nested too deeply") from err
    if not isinstance(content, dict):
        raise ValueError(f"it holds {'a list' if isinstance(content, list) else 'one value'} where a table is expected")
    if _deeper(content, DEEPEST):
        raise ValueError("it is nested too deeply")
    if re.search(r"\\u[dD][89a-fA-F]", text):
        json.dumps(content, ensure_ascii=False).encode()  # raises UnicodeEncodeError, which is a ValueError
    return content


def read_json(path: Path, cure: str) -> dict[str, Any]:
    """The JSON object in a file; raises `FileError` if `parse_json` refuses it; ``cure`` is a sentence that says what to do."""
    try:
        return parse_json(refuse_special(path).read_text(encoding="utf-8"))
    except ValueError as err:
        raise FileError(f"{path} is damaged ({err}). {cure}") from err


def parse_yaml(text: str) -> Any:
    """What a YAML (or JSON) text says: plain values, lists and tables.

    Raises `ValueError` if it is not YAML, is nested beyond reason, names a key twice (YAML's readers take the last one in
    silence), or repeats parts by ``*name``: a few lines of that grow without limit.
    """
    import yaml  # type: ignore[import-untyped]

    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError("it is nested too deeply")
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it repeats parts of itself by *name: write them out")
        _check_yaml_keys(yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except yaml.YAMLError as err:
        raise ValueError(" ".join(str(err).split())) from err


def _check_yaml_keys(node: Any) -> None:
    """Raise `ValueError` if a table of a YAML text names a key twice."""
    children = node.value if node is not None and isinstance(node.value, list) else []
    pairs = [child for child in children if isinstance(child, tuple)]
    _each_key_once([(str(key.value), None) for key, _ in pairs], [key.start_mark.line + 1 for key, _ in pairs])
    for child in children:
        for part in child if isinstance(child, tuple) else (child,):
            _check_yaml_keys(part)


def _each_key_once(pairs: list[tuple[str, Any]], lines: Sequence[int] = ()) -> dict[str, Any]:
    """The object of these pairs; raises `ValueError` where a key occurs twice, with the line if it is known."""
    table: dict[str, Any] = {}
    for i, (key, value) in enumerate(pairs):
        if key in table:
            where = f" (the second time in line {lines[i]})" if lines else ""
            raise ValueError(f"it says {key[:60]!r} twice{where}: keep one of them")
        table[key] = value
    return table


@contextmanager
def as_file_error(path: Path, cure: str) -> Iterator[None]:
    """Raise any error of the block as one `FileError`: for records whose form cannot be checked before they are used.

    Checksums tell of accidents; whoever means harm has made them anew. `path` would be at fault; `cure` says in a sentence what
    to do.
    """
    try:
        yield
    except (CycseqError, MemoryError, OSError):
        raise
    except Exception as err:
        why = f"{type(err).__name__}: {' '.join(str(err).split())[:200]}"
        msg = f"{path} cannot be used ({why}): it is damaged, was altered, or another version made it. {cure}"
        raise FileError(msg) from err


def cycseq_command(command: Any) -> str:
    """A recorded command line, each word quoted, as a user may copy it; empty where it is none of cycseq."""
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        words = []
    return shlex.join(words) if words[:1] == ["cycseq"] else ""


def wrong_kinds(record: dict[str, Any], kinds: Mapping[str, type | UnionType | tuple[type, ...]]) -> list[str]:
    """The names whose value is missing from an object, or is of another kind than it must be.

    A list of texts is said as ``(list, str)``.
    """

    def fits(value: Any, kind: Any) -> bool:
        if isinstance(kind, tuple):
            return isinstance(value, list) and all(isinstance(part, kind[1]) for part in value)
        return isinstance(value, kind)

    return [name for name, kind in kinds.items() if name not in record or not fits(record[name], kind)]


def _deeper(value: dict[str, Any] | list[Any], levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(part, levels - 1) for part in inside if isinstance(part, dict | list))


def check_members(path: Path, members: Iterable[zipfile.ZipInfo]) -> None:
    """Raise `FileError` if members of a zip file claim far more than its size, or are packed in ways that it does not tell.

    Of LZMA and bzip2, Python unpacks all that it has read, without a limit.
    """
    members = list(members)
    odd = next((m for m in members if m.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}), None)
    if odd is not None:
        raise FileError(f"{path} is not read: {odd.filename!r} in it is neither stored as it is nor packed by deflate.")
    check_unpacked(path, sum(member.file_size for member in members))
