"""What commands print: sentences and tables on standard output, plain where it is not a terminal."""

import sys
from collections.abc import Iterable, Sequence

from cycseq.errors import printable

WIDTH = 160  # columns of a table that goes into a file or a pipe


def say(lines: Iterable[str] | str) -> None:
    """Print sentences as they are."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for line in [lines] if isinstance(lines, str) else lines:
        console.print("\n".join(map(printable, line.split("\n"))), markup=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    body = [[_cell(value) for value in row] for row in rows]
    shown = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for i, column in enumerate(columns):
        numeric = all(row[i] == "-" or row[i].lstrip("+-").replace(".", "", 1).isdigit() for row in body)
        shown.add_column(column, justify="right" if numeric and body else "left", no_wrap=i == 0, overflow="fold")
    for row in body:
        shown.add_row(*row)
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(shown)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3f}"  # noqa: PLR0124  (NaN is what differs from itself)
    return printable(str(value))
