"""Memory between steps: what one step frees, the next one asks for again."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of two of the C library's parameters (`mallopt`)."""
KEPT_BYTES, LARGEST_BYTES = 1 << 30, 1 << 25
"""So much freed memory is kept, in blocks of at most this size (the most that the C library takes)."""
USUAL_BYTES = 2 * LARGEST_BYTES
"""So much is kept by a process that has freed large blocks, where nobody sets anything: glibc raises its own limits."""


@contextmanager
def keep_memory() -> Iterator[None]:
    """Let the C library keep freed memory while a network trains, and give it back in the end.

    Left to itself, glibc returns most of what a step frees to the system, and asks for it anew in the next one: the
    system then clears each page again, which takes up to half of the time of what is done to a large batch.
    Elsewhere than on Linux with glibc this does nothing.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        yield
        return
    assert library is not None
    library.mallopt(TRIM_THRESHOLD, KEPT_BYTES)
    library.mallopt(MMAP_THRESHOLD, LARGEST_BYTES)
    try:
        yield
    finally:
        library.mallopt(TRIM_THRESHOLD, USUAL_BYTES)  # what glibc starts with would slow down all that comes later
        library.malloc_trim(0)
