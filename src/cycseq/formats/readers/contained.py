"""What an HDF5 file may hold: nothing of other files, nothing entangled or out of reach, and no more than it says."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py

from cycseq.errors import FileError
from cycseq.formats.readers.chunks import DEFLATE, unpacked_size
from cycseq.formats.readers.texts import Texts
from cycseq.io.untrusted import check_unpacked, max_bytes

MAX_MEMBERS = 100_000
PACKERS = {1: "zlib", 32000: "lzf", 32001: "blosc", 32015: "zstd"}
"""Filters of HDF5 that pack, by their numbers; lzf, which packs 88 times at best, cannot pass the limit of a file."""
SHUFFLE, FLETCHER32 = 2, 3  # filters that leave the size as it is, or add 4 bytes
FEW = 64  # bytes that filters may add to a chunk


def check_h5(file: h5py.File, path: Path) -> None:
    """Look at all members of an HDF5 file before their values are read.

    Raises `FileError` if a member lies in another file (an external link, external or virtual values), a group lies inside itself
    or in two places, a reference leads to what no name leads to, values are packed in ways whose size cannot be told, or they
    would unpack to far more than the file.
    """
    places: set[tuple[int, int]] = set()
    references: list[tuple[str, Any]] = []
    n_bytes = 0
    texts = Texts(file, path)
    for name, member in _members(file, path, places):
        references += _references(member, name, path)
        if isinstance(member, h5py.Dataset):
            n_bytes += prod(member.shape or ()) * member.dtype.itemsize
            n_bytes += prod(member.chunks or (0,)) * member.dtype.itemsize
            check_unpacked(path, n_bytes)
            _check_chunks(member, name, path, prod(member.chunks or ()) * texts.entry(member.id.get_type()).width)
            n_bytes += texts.measure(member)
        texts.check_attributes(member)
    check_unpacked(path, n_bytes)
    for name, reference in references:
        if reference and _place(h5py.h5r.dereference(reference, file.id)) not in places:
            raise refused(path, f"an attribute of {name!r} leads to what has no name in the file")


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


def _check_chunks(member: h5py.Dataset, name: str, path: Path, declared: int) -> None:
    """Refuse filters that may unpack to anything, and chunks that unpack to more than the bytes that a chunk stands for."""
    plan = member.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    packers = [PACKERS[number] for number in filters if number in PACKERS]
    other = next((number for number in filters if number not in {*PACKERS, SHUFFLE, FLETCHER32}), None)
    if other is not None or len(packers) > 1:
        how = f"by filter {other}" if other is not None else "twice"
        raise refused(path, f"{name!r} is packed {how}, where gzip, lzf, blosc or zstd are read")
    if not packers or packers == ["lzf"]:
        return
    limit = max_bytes(path.stat().st_size)
    if packers == ["zlib"] and DEFLATE * member.id.get_storage_size() <= limit:
        return

    def check(chunk: Any) -> None:
        if packers == ["zlib"] and DEFLATE * chunk.size <= limit:
            return
        packed = member.id.read_direct_chunk(chunk.chunk_offset)[1]
        if unpacked_size(packers[0], packed, limit) > declared + FEW:
            raise refused(path, f"a chunk of {name!r} unpacks to more than the {declared:,} bytes that it stands for")

    member.id.chunk_iter(check)
