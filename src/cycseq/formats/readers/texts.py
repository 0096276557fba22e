"""Values of any length in an HDF5 file, measured before they are read: one long text may be named a million times."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from cycseq.errors import FileError
from cycseq.io.untrusted import check_unpacked, max_bytes

HEAP = b"GCOL\x01\0\0\0"  # how a collection of values of any length begins; its size in bytes follows
MAX_ENTRY_BYTES = 10_000  # texts in one entry of an array
UNKNOWN = b"values"  # a tag that HDF5 wants on bytes of which it knows no more


class Entry(NamedTuple):
    """An entry of an array as it is on the disk."""

    width: int  # bytes
    lengths: tuple[tuple[int, int], ...] = ()
    """Where in it a length stands, and how many bytes one of what it counts takes."""


class Texts:
    """The values of any length of one file.

    In an array stands, for each, its length and where it lies (4 bytes, an address, 4 bytes): lengths are summed. In
    attributes, and where a value stands for all that was not written, these cannot be read, so that each value may be as
    long as the longest in the file.
    """

    def __init__(self, file: h5py.File, path: Path) -> None:
        self.file, self.path = file, path
        self.width = 8 + file.id.get_create_plist().get_sizes()[0]

    def measure(self, array: h5py.Dataset) -> int:
        """Bytes of the values that an array names; raises `FileError` once they are too many."""
        entry = self.entry(array.id.get_type())
        if not entry.lengths:
            return 0
        plan = array.id.get_create_plist()
        if plan.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED or plan.get_layout() == h5py.h5d.COMPACT:
            self._check_number(prod(array.shape or ()) * len(entry.lengths))
        if plan.get_layout() == h5py.h5d.COMPACT:
            return 0
        n_bytes = 0
        for stored in self._stored(array, entry.width):
            rows = np.frombuffer(stored, dtype=np.uint8)[: len(stored) // entry.width * entry.width]
            for place, size in entry.lengths:
                lengths = np.ascontiguousarray(rows.reshape(-1, entry.width)[:, place : place + 4]).view("<u4")
                n_bytes += int(lengths.sum(dtype=np.int64)) * size
            check_unpacked(self.path, n_bytes)
        return n_bytes

    def check_attributes(self, member: Any) -> None:
        """Raise `FileError` if an attribute could hold far more than the file."""
        for name in member.attrs:
            attribute = member.attrs.get_id(name)
            n, entry = prod(attribute.shape or ()), self.entry(attribute.get_type())
            check_unpacked(self.path, n * entry.width)
            self._check_number(n * len(entry.lengths))

    def entry(self, kind: Any) -> Entry:
        """What an entry of this type is on the disk."""
        what = kind.get_class()
        if what == h5py.h5t.STRING and kind.is_variable_str():
            return Entry(self.width, ((0, 1),))
        if what == h5py.h5t.VLEN:
            if self.entry(kind.get_super()).lengths:
                raise self._refused()
            return Entry(self.width, ((0, kind.get_super().get_size()),))
        if what == h5py.h5t.ARRAY:
            inner, n = self.entry(kind.get_super()), prod(kind.get_array_dims())
            if inner.lengths and n > MAX_ENTRY_BYTES:
                raise self._refused()
            entries = range(n if inner.lengths else 0)
            places = tuple((i * inner.width + at, size) for i in entries for at, size in inner.lengths)
            return Entry(n * inner.width, places)
        if what != h5py.h5t.COMPOUND:
            return Entry(kind.get_size())
        lengths, wider = [], 0  # a value of any length takes more on the disk than in memory
        for start, i in sorted((kind.get_member_offset(i), i) for i in range(kind.get_nmembers())):
            member = kind.get_member_type(i)
            inner = self.entry(member)
            lengths += [(start + wider + at, size) for at, size in inner.lengths]
            wider += inner.width - member.get_size()
        return Entry(kind.get_size() + wider, tuple(lengths))

    def _check_number(self, n: int) -> None:
        size = self.path.stat().st_size
        if n * size > max_bytes(size):
            check_unpacked(self.path, n * self._longest)

    def _refused(self) -> FileError:
        return FileError(f"{self.path} is not read: it holds texts in lists inside each other.")

    @cached_property
    def _longest(self) -> int:
        """Bytes of the largest collection of values in the file."""
        longest, place = 0, -1
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            while (place := content.find(HEAP, place + 1)) >= 0:
                claimed = int.from_bytes(content[place + 8 : place + 16], "little")
                longest = max(longest, min(claimed, len(content) - place))
        return longest

    def _stored(self, array: h5py.Dataset, width: int) -> Iterator[bytes]:
        """The entries of an array as they are on the disk, a chunk at a time."""
        if array.chunks is None:
            start, remaining = array.id.get_offset(), array.id.get_storage_size()
            with self.path.open("rb") as file:
                while start is not None and remaining > 0:
                    n = min(remaining, (1 << 20) // width * width or width)
                    entries = os.pread(file.fileno(), n, start)
                    if not entries:
                        return
                    yield entries
                    start, remaining = start + len(entries), remaining - len(entries)
            return
        chunks: list[Any] = []
        array.id.chunk_iter(chunks.append)
        with h5py.File("unpacked", "w", driver="core", backing_store=False) as beside:
            unpack: dict[int, Callable[[bytes], bytes]] = {}
            for chunk in chunks:
                mask, packed = array.id.read_direct_chunk(chunk.chunk_offset)
                if mask not in unpack:
                    unpack[mask] = _unpacking(beside, array, width, mask)
                yield unpack[mask](packed)


def _unpacking(beside: h5py.File, array: h5py.Dataset, width: int, mask: int) -> Callable[[bytes], bytes]:
    """HDF5's own filters, on chunks of entries that are taken for bytes; ``mask`` has a bit for each that was left out."""
    plan, filters = h5py.h5p.create(h5py.h5p.DATASET_CREATE), array.id.get_create_plist()
    plan.set_chunk(array.chunks)
    for i in range(filters.get_nfilters()):
        if not mask >> i & 1:
            number, flags, values, _ = filters.get_filter(i)
            plan.set_filter(number, flags, values)
    kind = h5py.h5t.create(h5py.h5t.OPAQUE, width)
    kind.set_tag(UNKNOWN)
    place = h5py.h5d.create(beside.id, str(mask).encode(), kind, h5py.h5s.create_simple(array.chunks), plan)
    entries = np.empty(array.chunks, dtype=f"V{width}")

    def unpacked(packed: bytes) -> bytes:
        place.write_direct_chunk((0,) * len(array.chunks), packed)
        place.read(h5py.h5s.ALL, h5py.h5s.ALL, entries, mtype=kind)
        return entries.tobytes()

    return unpacked
