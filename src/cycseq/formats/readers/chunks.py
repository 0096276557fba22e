"""What a packed chunk says it unpacks to, told before it is: libraries make room for whatever a chunk claims."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from math import inf

DEFLATE = 1032  # deflate cannot pack better than that
PIECE = 1 << 20  # bytes that are unpacked at a time where unpacking alone tells how many there are
ZSTD, SKIPPABLE, BLOCK = 0xFD2FB528, 0x184D2A50, 128 << 10
"""The first four bytes of a frame, and of one that is passed over (their last four bits are free); the largest block's bytes."""

Bytes = bytes | memoryview


def unpacked_size(codec: str, chunk: Bytes, most: float = inf) -> int:
    """How many bytes a chunk unpacks to at most, by its headers; 0 where it has none, so that its codec refuses it.

    Of gzip, which has no header to tell, no more is unpacked than shows that `most` is exceeded.
    """
    return SIZES[codec](chunk, most)


def _deflate(wbits: int) -> Callable[[Bytes, float], int]:
    def size(chunk: Bytes, most: float) -> int:
        if DEFLATE * len(chunk) <= most:
            return DEFLATE * len(chunk)
        n, packed = 0, bytes(chunk)
        while packed and n <= most:  # a file of gzip may have several members
            member = zlib.decompressobj(wbits)
            while not member.eof and n <= most and packed:
                try:
                    n += len(member.decompress(packed, PIECE))
                except zlib.error:
                    return n
                packed = member.unconsumed_tail
            packed = member.unused_data
        return n

    return size


def _number(chunk: Bytes, start: int, length: int) -> int:
    return int.from_bytes(chunk[start : start + length], "little")


def _zstd(chunk: Bytes, _most: float) -> int:
    """The sum over frames: what each claims, or may have in blocks if that is more (RFC 8878, 3.1.1)."""
    total = place = 0
    while place + 5 <= len(chunk):
        magic = _number(chunk, place, 4)
        if magic & 0xFFFFFFF0 == SKIPPABLE:
            place += 8 + _number(chunk, place + 4, 4)
            continue
        if magic != ZSTD:
            break
        flags = chunk[place + 4]
        single = bool(flags & 0x20)
        place += 5 + (not single) + (0, 1, 2, 4)[flags & 3]
        width = (int(single), 2, 4, 8)[flags >> 6]
        claimed = _number(chunk, place, width) + (256 if width == 2 else 0)
        place += width
        in_blocks, last = 0, False
        while not last and place + 3 <= len(chunk):
            header = _number(chunk, place, 3)
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            in_blocks += BLOCK if kind == 2 else size
            place += 3 + (1 if kind == 1 else size)
        total += max(claimed, 0 if width else in_blocks)
        place += 4 * (flags >> 2 & 1)
    return total


SIZES: dict[str, Callable[[Bytes, float], int]] = {
    "gzip": _deflate(31),
    "zlib": _deflate(15),
    "zstd": _zstd,
    "blosc": lambda chunk, _most: _number(chunk, 4, 4),
    "lz4": lambda chunk, _most: _number(chunk, 0, 4),  # numcodecs' own header
}
"""Every codec that is read."""
