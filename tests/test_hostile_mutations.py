"""Valid files with bytes changed, cut, doubled and mixed: sound data or one line, never anything else, a hang or a crash.

`CYCSEQ_EXAMPLES=1000` looks further than the few examples of every day; `fuzz/run.py` looks where coverage leads it.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile import TARGETS, survives

EXAMPLES = int(os.environ.get("CYCSEQ_EXAMPLES", "8"))
ODD = (
    b"\x00",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"nan",
    b"-1",
    b"1e999",
    b'"',
    b"\n",
    b"\t",
    b"{",
    b"[" * 40,
    b"\xf0\x9f\x92\xa9",
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 4), st.floats(0, 1), st.integers(1, 64), st.sampled_from(ODD)), min_size=1, max_size=4
)


def changed(data: bytes, other: bytes, changes: list[tuple[int, float, int, bytes]]) -> bytes:
    """The bytes after some changes, each at a place from the beginning (0) to the end (1)."""
    for kind, where, length, odd in changes:
        place = int(where * len(data))
        if kind == 0:
            data = data[:place] + odd + data[place + len(odd) :]
        elif kind == 1:
            data = data[:place] + data[place + length :]
        elif kind == 2:
            data = data[:place] + data[place : place + length] * 2 + data[place + length :]
        elif kind == 3:
            data = data[:place] + bytes(byte ^ length for byte in data[place : place + 1]) + data[place + 1 :]
        else:
            data = other[:length] + data[length:]
    return data


@pytest.mark.parametrize("name", list(TARGETS))
def test_changed_files_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.sampled_from(seeds), st.sampled_from(seeds), CHANGES)
    def read_or_refused(data: bytes, other: bytes, changes: list[tuple[int, float, int, bytes]]) -> None:
        survives(target, [changed(data, other, changes)])

    read_or_refused()
