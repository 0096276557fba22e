"""What an HDF5 file may hold: nothing of other files, nothing entangled or out of reach, and no more than it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from math import prod
from pathlib import Path
from random import SystemRandom
from typing import Any, NamedTuple

import h5py
import numpy as np

from cycseq.errors import FileError
from cycseq.formats.readers.chunks import DEFLATE, unpacked_size
from cycseq.formats.readers.texts import Texts
from cycseq.io.untrusted import check_unpacked, max_bytes

MAX_MEMBERS = 100_000
MAX_ABSENT = 100_000  # chunks of an array that may be absent, all of their values being alike; each is looked for
MAX_ATTRIBUTES = 1_000  # of one member; HDF5 looks for each among all
NUMBER, TEXT = 4, 64
"""Bytes of memory that a number takes at least once it is read, as values become float32, and a text beside its letters."""
PACKERS = {1: "zlib", 32000: "lzf", 32001: "blosc", 32015: "zstd"}
"""Filters of HDF5 that pack, by their numbers."""
SHUFFLE, FLETCHER32 = 2, 3  # filters that leave the size as it is, or add 4 bytes
FEW = 64  # bytes that filters may add to a chunk
SAMPLE = 64  # chunks that are unpacked; of a file that unpacks by gzip to more than it may, one in five bytes at least lies in such a chunk


def check_h5(file: h5py.File, path: Path) -> None:
    """Look at all members of an HDF5 file before their values are read.

    Raises `FileError` if a member lies in another file (an external link, external or virtual values), a group lies inside itself
    or in two places, a reference leads to what no name leads to, values are packed in ways whose size cannot be told, or they
    would unpack to far more than the file.
    """
    places: set[tuple[int, int]] = set()
    references: list[tuple[str, Any]] = []
    arrays: list[h5py.Dataset] = []
    n_bytes = 0
    texts, deflated = Texts(file, path), _Deflated()
    for name, member in _members(file, path, places):
        if len(member.attrs) > MAX_ATTRIBUTES:
            raise refused(path, f"{name!r} has {len(member.attrs):,} attributes")
        references += _references(member, name, path)
        if isinstance(member, h5py.Dataset):
            n_bytes += prod(member.shape or ()) * memory_of(member.dtype)
            n_bytes += prod(member.chunks or (0,)) * member.dtype.itemsize
            check_unpacked(path, n_bytes)
            declared = prod(member.chunks or ()) * texts.entry(member.id.get_type()).width
            _check_chunks(member, name, path, declared, deflated)
            arrays.append(member)
        texts.check_attributes(member)
    deflated.check(path)
    for member in arrays:
        n_bytes += texts.measure(member)
        check_unpacked(path, n_bytes)
    for name, reference in references:
        if reference and _place(h5py.h5r.dereference(reference, file.id)) not in places:
            raise refused(path, f"an attribute of {name!r} leads to what has no name in the file")


def memory_of(kind: np.dtype) -> int:
    """Bytes of memory that a value of this type takes once it is read, the letters of texts of any length aside."""
    if kind.subdtype is not None:
        return prod(kind.shape) * memory_of(kind.subdtype[0])
    if kind.names is not None:
        return max(kind.itemsize, sum(memory_of(kind[name]) for name in kind.names))
    if kind.kind in "OSTU":
        return TEXT + kind.itemsize * (4 if kind.kind == "S" else 1)
    return max(NUMBER, kind.itemsize)


def holds(group: h5py.Group, *names: str) -> bool:
    """Whether members of these names lie in a group itself; links, which may lead into other files, are not followed."""
    return all(isinstance(group.get(name, getlink=True), h5py.HardLink) for name in names)


def refused(path: Path, why: str) -> FileError:
    """The error for a file that holds what is not read."""
    msg = f"{path} is not read: {why}. A data set stands by itself: write it anew with the tool that made it."
    return FileError(msg)


def _members(file: h5py.File, path: Path, places: set[tuple[int, int]]) -> Iterator[tuple[str, Any]]:
    """Every group, array and type with its name; where they lie is noted in ``places``."""
    groups: list[tuple[str, h5py.Group]] = [("/", file["/"])]
    n_members = 0
    while groups:
        where, group = groups.pop()
        n_members += len(group)
        if _place(group.id) in places or n_members > MAX_MEMBERS:
            raise refused(path, "its groups lie inside each other, or are too many to be those of a data set")
        places.add(_place(group.id))
        yield where, group
        for name in group:
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                raise refused(path, f"{name!r} is a link to another file")
            member = group.get(name)  # None where a link leads nowhere: whoever needs it says so
            if isinstance(member, h5py.Group):
                groups.append((name, member))
            elif member is not None:
                if isinstance(member, h5py.Dataset) and (member.external or member.is_virtual):
                    raise refused(path, f"the values of {name!r} lie in another file")
                places.add(_place(member.id))
                yield name, member


def _place(member: Any) -> tuple[int, int]:
    where = h5py.h5o.get_info(member)
    return where.fileno, where.addr


def _references(member: Any, name: str, path: Path) -> Iterator[tuple[str, Any]]:
    """References to objects in the attributes, as anndata 0.7 wrote them for categories; all other kinds are refused."""
    if isinstance(member, h5py.Dataset) and _refers(member.id.get_type()):
        raise refused(path, f"{name!r} holds references instead of values")
    for key in member.attrs:
        kind = member.attrs.get_id(key).get_type()
        if not _refers(kind):
            continue
        if not kind.equal(h5py.h5t.STD_REF_OBJ):
            raise refused(path, f"the attribute {key!r} of {name!r} holds references of a kind that is not read")
        value = member.attrs[key]
        yield from ((name, reference) for reference in ([value] if isinstance(value, h5py.Reference) else value.flat))


def _refers(kind: Any) -> bool:
    """Whether references are among the values of a type."""
    return bool(kind.get_class() == h5py.h5t.REFERENCE or kind.detect_class(h5py.h5t.REFERENCE))


class _Chunk(NamedTuple):
    """A packed chunk of an array."""

    array: h5py.Dataset
    name: str
    offset: tuple[int, ...]
    declared: int  # bytes that it stands for

    def check(self, codec: str, path: Path) -> None:
        """Raise `FileError` if it unpacks to more than it stands for."""
        most = self.declared + FEW
        if unpacked_size(codec, self.array.id.read_direct_chunk(self.offset)[1], most) > most:
            raise self.too_long(path)

    def too_long(self, path: Path) -> FileError:
        """The error for a chunk that unpacks to more than it stands for."""
        why = f"a chunk of {self.name!r} unpacks to more than the {self.declared:,} bytes that it stands for"
        return refused(path, why)


@dataclass
class _Deflated:
    """The chunks of a file that gzip packed, and some of them, drawn at random: the more bytes one has, the likelier.

    They have no header that says what they unpack to, and to unpack all would double the time of reading.
    """

    n_bytes: int = 0  # of all
    drawn: list[tuple[float, int, _Chunk]] = field(default_factory=list)  # a heap
    rng: SystemRandom = field(default_factory=SystemRandom)

    def add(self, chunk: _Chunk, size: int) -> None:
        """Note a chunk of so many bytes."""
        self.n_bytes += size
        entry = (-self.rng.expovariate(max(1, size)), self.n_bytes, chunk)
        (heappush if len(self.drawn) < SAMPLE else heappushpop)(self.drawn, entry)

    def check(self, path: Path) -> None:
        """Raise `FileError` if a chunk that was drawn unpacks to more than it stands for, unless all together could do no harm."""
        if DEFLATE * self.n_bytes > max_bytes(path.stat().st_size):
            for _, _, chunk in self.drawn:
                chunk.check("zlib", path)


def _check_chunks(member: h5py.Dataset, name: str, path: Path, declared: int, deflated: _Deflated) -> None:
    """Refuse filters that may unpack to anything, and chunks that unpack to more than the bytes that a chunk stands for."""
    plan = member.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    packers = [PACKERS[number] for number in filters if number in PACKERS]
    other = next((number for number in filters if number not in {*PACKERS, SHUFFLE, FLETCHER32}), None)
    if other is not None or len(packers) > 1:
        how = f"by filter {other}" if other is not None else "twice"
        raise refused(path, f"{name!r} is packed {how}, where gzip, lzf, blosc or zstd are read")
    if member.chunks:
        n_chunks = prod(-(-n // per_chunk) for n, per_chunk in zip(member.shape, member.chunks, strict=True))
        if n_chunks > MAX_ABSENT and n_chunks - (n_there := member.id.get_num_chunks()) > MAX_ABSENT:
            raise refused(path, f"only {n_there:,} of {n_chunks:,} chunks of {name!r} are there")
    if not packers:
        return

    def check(stored: Any) -> None:
        chunk = _Chunk(member, name, stored.chunk_offset, declared)
        if packers == ["zlib"]:
            deflated.add(chunk, stored.size)
        elif packers != ["lzf"]:
            chunk.check(packers[0], path)
        elif stored.size > declared + FEW:  # lzf packs 88 times at best, and leaves what it would make longer
            raise chunk.too_long(path)

    member.id.chunk_iter(check)
