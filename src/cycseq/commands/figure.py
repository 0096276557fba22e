"""`--plot`: the figure that a command draws beside its table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say
from cycseq.io.files import atomic_write, check_output

DRAWN = (".png", ".pdf", ".svg")


def add_plot_option(parser: Parser) -> None:
    """Add `--plot`."""
    parser.add_argument("--plot", type=Path, help="Where to draw it: .png, .pdf or .svg; not drawn if not given.")


def check_plot(path: Path | None, *, overwrite: bool) -> None:
    """Raise `FileError`, before anything is computed, if the figure could not be written."""
    if path is not None:
        check_output(path, overwrite=overwrite, endings=DRAWN)


def write_plot(draw: Callable[[Any], object], path: Path, *, width: float, height: float, overwrite: bool) -> None:
    """Write a figure in the format that the file's name ends in, and say so.

    Parameters
    ----------
    draw
        Draws into the matplotlib axes that it is given.
    path
        Where to write.
    width, height
        Inches.
    overwrite
        Whether the file may be replaced.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False}):  # names may hold a $
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        with atomic_write(path, overwrite=overwrite) as part:
            figure.savefig(part, format=path.suffix[1:], dpi=170)
    say(f"wrote {path}")
