"""Progress of long steps, shown on the terminal's error stream and silent where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, one by one, while a bar says how far they are; no bar where stderr is not a terminal.

    Parameters
    ----------
    items
        What is worked through.
    what
        What is being done, in a few words.
    total
        How many items there are, where `items` cannot tell.
    """
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(items, what, total=total, console=console, transient=True, disable=not console.is_terminal)
