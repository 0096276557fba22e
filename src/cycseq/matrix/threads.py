"""Work that releases Python's lock, on all processors, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_THREADS = 8  # more would hold more in memory than they save time


def map_in_threads(compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The result of every item, in order, with no more items in memory than twice the threads."""
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting = []
        for item in items:
            waiting.append(pool.submit(compute, item))
            if len(waiting) >= 2 * threads:
                yield waiting.pop(0).result()
        yield from (one.result() for one in waiting)
