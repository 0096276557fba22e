"""What the pages of a Parquet file say of their size, told before one is unpacked: PyArrow makes room for whatever they claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

DATA, DICTIONARY, DATA_2 = 0, 2, 3  # kinds of pages
INSIDE = {DATA: (5, 2), DICTIONARY: (7, 2), DATA_2: (8, 4)}
"""By the kind: the field of a page's header that says what is in the page, and the field in it that names the encoding."""
MAX_HEADER = 1 << 20  # bytes; statistics may stand in it
DEEPEST = 8  # structures inside each other
STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
"""Types of Thrift's compact protocol; those between `BYTE` and `DOUBLE` are whole numbers."""
FOOTER = 8  # bytes at the end: the length of the footer, and a mark
ROW_GROUPS, COLUMNS, CHUNK = 4, 1, 3  # fields of the footer, of a group of rows, and of a column in it
N_VALUES, PACKED, DATA_AT, DICTIONARY_AT = 5, 7, 9, 11  # fields of what is said of a column's chunk


class Chunk(NamedTuple):
    """Where the pages of one column lie, of one group of rows."""

    start: int
    n_bytes: int  # packed
    n_values: int


class Page(NamedTuple):
    """One page of a column."""

    kind: int
    n_bytes: int  # unpacked
    n_values: int
    encoding: int


def chunks(file: BinaryIO) -> Iterator[list[Chunk]]:
    """The columns' chunks of every group of rows; raises `ValueError` where the footer makes no sense.

    PyArrow 26 ends the process where it is asked for a chunk whose statistics have another length than they should.
    """
    size = file.seek(0, 2)
    file.seek(max(size - FOOTER, 0))
    length = int.from_bytes(file.read(4), "little")
    if length > size - FOOTER:
        raise ValueError("the footer is longer than the file")
    file.seek(size - FOOTER - length)
    footer = _Compact(file.read(length)).struct()
    try:
        for group in footer[ROW_GROUPS]:
            of_group = []
            for column in group[COLUMNS]:
                facts = column[CHUNK]
                start = min(facts[DATA_AT], facts.get(DICTIONARY_AT) or facts[DATA_AT])
                of_group.append(Chunk(start, facts[PACKED], facts[N_VALUES]))
            yield of_group
    except (KeyError, AttributeError, TypeError) as err:
        raise ValueError("the footer is damaged") from err


def pages(file: BinaryIO, chunk: Chunk) -> Iterator[Page]:
    """The pages of a column's chunk until all its values have come; raises `ValueError` where a header makes no sense."""
    start, end, n = chunk.start, chunk.start + chunk.n_bytes, 0
    while start < end and n < chunk.n_values:
        file.seek(start)
        header = _Compact(file.read(min(MAX_HEADER, end - start)))
        fields = header.struct()
        try:
            kind, n_bytes, packed = fields[1], fields[2], fields[3]
            place, encoding = INSIDE.get(kind, (0, 0))
            inside = fields[place] if place else {1: 0}
            page = Page(kind, n_bytes, inside[1], inside.get(encoding, -1))
        except (KeyError, AttributeError, TypeError) as err:
            raise ValueError("the header of a page is damaged") from err
        if min(packed, page.n_bytes, page.n_values) < 0:
            raise ValueError("a page claims to be smaller than nothing")
        yield page
        n += page.n_values if kind in {DATA, DATA_2} else 0
        start += header.place + packed


class _Compact:
    """Structures of Thrift's compact protocol, as tables by the number of a field."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The structure that begins here."""
        if depth > DEEPEST:
            raise ValueError("the header of a page is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while (first := self._byte()) != STOP:
            number = number + (first >> 4) if first >> 4 else self._whole()
            fields[number] = self._value(first & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {TRUE, FALSE}:
            return kind == TRUE
        if kind == BYTE:
            return self._byte()
        if BYTE < kind < DOUBLE:
            return self._whole()
        if kind in {DOUBLE, BINARY}:
            size = 8 if kind == DOUBLE else self._varint()
            self.place += size
            return None
        if kind in {LIST, SET}:
            first = self._byte()
            n = first >> 4 if first >> 4 < 15 else self._varint()
            if n > len(self.content):
                raise ValueError("the header of a page is damaged")
            return [self._byte() if first & 15 in {TRUE, FALSE} else self._value(first & 15, depth) for _ in range(n)]
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise ValueError("the header of a page is damaged")

    def _byte(self) -> int:
        self.place += 1
        if self.place > len(self.content):
            raise ValueError("the header of a page has no end")
        return self.content[self.place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80 and shift < 64:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
        return value | byte << shift

    def _whole(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
