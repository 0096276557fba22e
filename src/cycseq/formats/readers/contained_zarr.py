"""What a zarr store may hold: files of its own, codecs whose size can be told, and chunks that are no more than they say."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from cycseq.formats.readers.chunks import SIZES, Bytes, unpacked_size
from cycseq.formats.readers.contained import MAX_ABSENT, MAX_MEMBERS, memory_of, refused
from cycseq.io.untrusted import check_unpacked, max_bytes

DEEPEST = 30
TEXTS = {"vlen-utf8", "vlen-bytes"}
"""Codecs whose chunks begin with the number of texts, for each of which room is made before one is read."""
SHARDS = "sharding_indexed"
PLAIN = {2: {"shuffle"}, 3: {"bytes", "transpose", "crc32c"}}
"""Codecs, by the store's format, that leave the size as it is, or (crc32c of format 3) add 4 bytes at the end."""
FEW = 64  # bytes that codecs may add to a chunk
RECORDS = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
NO_CHUNK = 2**64 - 1  # what the index of a shard says of a chunk that is not there


def open_zarr(path: Path) -> Any:
    """A zarr store, all of whose files and members were looked at before a value is read.

    What a store says of its members in one place (consolidated metadata) is not used: it may say something else than
    they do. Raises `FileError` if a file leads out of the store or is not a file, values are pickled or packed in ways whose size
    cannot be told, there are too many members, or the values would unpack to far more than the files.
    """
    import zarr

    packed, together = _check_files(path), _has_consolidated(path)
    store = zarr.open_group(path, mode="r", use_consolidated=False)
    n_bytes = n_members = 0
    groups = [(store, 0)]
    while groups:
        group, depth = groups.pop()
        if group.metadata.consolidated_metadata is not None:
            raise refused(path, f"{group.name} has consolidated metadata, as only the whole store may")
        for name, member in group.members():
            n_members += 1
            if depth > DEEPEST or n_members > MAX_MEMBERS:
                raise refused(path, "its groups are too many, or too deep, to be those of a data set")
            if isinstance(member, zarr.Group):
                groups.append((member, depth + 1))
                continue
            if together and "categories" in member.attrs:  # anndata reads these by what is said in one place
                raise refused(
                    path, f"{name!r} names its categories as old versions did, and the store has consolidated metadata"
                )
            chunk = prod(getattr(member, "shards", None) or member.chunks)
            n_bytes += prod(member.shape) * memory_of(member.dtype) + chunk * member.dtype.itemsize
            if n_bytes > packed:
                check_unpacked(path, n_bytes, packed)
            n_bytes += _Array(path, name, member, packed).check()
    if n_bytes > packed:
        check_unpacked(path, n_bytes, packed)
    return store


def _has_consolidated(path: Path) -> bool:
    """Whether the store says in one place, for either format, what its members are."""
    record = path / "zarr.json"
    return (path / ".zmetadata").exists() or (record.exists() and "consolidated_metadata" in record.read_text("utf-8"))


def _check_files(path: Path) -> int:
    """Bytes of all files of a store; raises `FileError` where one is none, or lies elsewhere."""
    inside, n_bytes = path.resolve(), 0
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            file = Path(folder, name)
            if file.is_symlink() and not file.resolve().is_relative_to(inside):
                raise refused(path, f"{file.relative_to(path)} leads out of it")
        for name in files:
            status = os.stat(Path(folder, name))  # noqa: PTH116  (a store has many)
            if not stat.S_ISREG(status.st_mode):
                raise refused(path, f"{Path(folder, name).relative_to(path)} is not a file of data")
            n_bytes += status.st_size
    return n_bytes


@dataclass(frozen=True)
class _Array:
    """One array of a store, whose chunks are looked at."""

    store: Path
    name: str
    array: Any
    packed: int  # bytes of the whole store

    def check(self) -> int:
        """Bytes of the texts in its chunks; raises `FileError` where a chunk unpacks to more than it stands for."""
        record = self.array.metadata.to_dict()
        if record.get("storage_transformers"):
            raise refused(self.store, f"{self.name!r} has storage transformers")
        codecs = [*(record.get("filters") or ()), record.get("compressor"), *(record.get("codecs") or ())]
        codecs = [codec for codec in codecs if codec is not None]
        self._check_codecs(codecs)
        chunk = getattr(self.array, "shards", None) or self.array.chunks
        fill = record.get("fill_value")  # stands for all that was not written
        n_bytes, n_files = len(fill) * prod(self.array.shape) if isinstance(fill, str) else 0, 0
        check_unpacked(self.store, n_bytes, self.packed)
        for file in (self.store / self.array.path).rglob("*"):
            if file.is_symlink() and file.is_dir():
                raise refused(self.store, f"{file.relative_to(self.store)} is a link in place of chunks")
            if file.name not in RECORDS and file.is_file():
                n_bytes += self._check_chunk(_mapped(file), codecs, prod(chunk))
                n_files += 1
                check_unpacked(self.store, n_bytes, self.packed)
        n_chunks = prod(-(-n // per_chunk) for n, per_chunk in zip(self.array.shape, chunk, strict=True))
        if n_chunks - n_files > MAX_ABSENT:
            raise refused(self.store, f"only {n_files:,} of {n_chunks:,} chunks of {self.name!r} are there")
        return n_bytes

    def _check_codecs(self, codecs: Sequence[dict[str, Any]], *, inside: bool = False) -> None:
        names = [_name(codec) for codec in codecs]
        allowed = PLAIN[self.array.metadata.zarr_format] | set(SIZES) | TEXTS | (set() if inside else {SHARDS})
        other = next((name for name in names if name not in allowed), None)
        if other is not None and "pickle" in other:
            raise refused(self.store, f"{self.name!r} holds pickled objects, which can run code when they are read")
        if other is not None or sum(name in SIZES for name in names) > 1:
            how = f"by {other!r}" if other is not None else "twice"
            raise refused(self.store, f"{self.name!r} is packed {how}, where one of {', '.join(SIZES)} is read")
        for codec in codecs:
            if _name(codec) == SHARDS:
                if len(codecs) > 1 or {_name(c) for c in codec["configuration"]["index_codecs"]} - {"bytes", "crc32c"}:
                    raise refused(self.store, f"{self.name!r} has shards of a kind that is not read")
                self._check_codecs(codec["configuration"]["codecs"], inside=True)

    def _check_chunk(self, chunk: Bytes, codecs: Sequence[dict[str, Any]], n: int) -> int:
        """Bytes of the texts in a chunk of so many entries."""
        names = [_name(codec) for codec in codecs]
        if names == [SHARDS]:
            return sum(self._check_chunk(*part) for part in _parts(chunk, codecs[0]["configuration"], n))
        has_texts = bool(TEXTS & set(names))
        limit = max_bytes(self.packed)
        declared = limit if has_texts else n * self.array.dtype.itemsize + FEW
        for name in reversed(names):
            if name == "crc32c":
                chunk = chunk[:-4]
            elif name in SIZES:
                if unpacked_size(name, chunk, declared) > declared:
                    self._refuse_size(n)
                if has_texts and len(chunk):
                    from numcodecs import get_codec

                    chunk = bytes(get_codec({"id": name}).decode(bytes(chunk)))
            elif name in TEXTS:
                if int.from_bytes(chunk[:4], "little") > n:
                    self._refuse_size(n)
                return len(chunk)
        return 0

    def _refuse_size(self, n: int) -> None:
        why = f"a chunk of {self.name!r} claims to hold more than the {n:,} values that it stands for"
        raise refused(self.store, why)


def _name(codec: dict[str, Any]) -> str:
    return str(codec.get("id", codec.get("name", "")))


def _parts(shard: Bytes, settings: dict[str, Any], n: int) -> Iterator[tuple[Bytes, Sequence[dict[str, Any]], int]]:
    """The chunks in a shard, by its index: for each where it begins and how long it is, 8 bytes each."""
    inner = prod(map(int, settings["chunk_shape"]))
    length = 16 * (n // inner)
    sums = 4 * any(_name(codec) == "crc32c" for codec in settings["index_codecs"])
    start = 0 if settings.get("index_location") == "start" else len(shard) - length - sums
    if start < 0 or length > len(shard):
        return  # zarr refuses it
    for at in range(start, start + length, 16):
        begin, size = (int.from_bytes(shard[at + i : at + i + 8], "little") for i in (0, 8))
        if begin != NO_CHUNK:
            yield shard[begin : begin + size], settings["codecs"], inner


def _mapped(file: Path) -> Bytes:
    """The bytes of a file, of which only what is looked at is read."""
    if not file.stat().st_size:
        return b""
    with file.open("rb") as stored:
        return memoryview(mmap.mmap(stored.fileno(), 0, access=mmap.ACCESS_READ))
