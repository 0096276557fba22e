"""Progress of long steps, shown on the terminal's error stream and silent where there is none."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, one by one, while a bar says how far they are; no bar where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(items, what, total=total, console=console, transient=True, disable=not console.is_terminal)


def show_steps(total: int) -> Generator[None, tuple[int, str], None]:
    """A bar that is sent how many steps are done and what the last one was, in a few words; it shows the time left.

    Start it with `next`; it goes when it is closed or deleted. No bar where stderr is not a terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        while True:
            done, what = yield
            progress.update(task, completed=done, description=what)
