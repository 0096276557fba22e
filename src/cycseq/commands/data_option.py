"""`--data` and `--memory`: the cells that a command works on, and how much of them may be in memory."""

from __future__ import annotations

import shlex
from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say_counts
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.formats.readers import ReadSettings, read


def add_data_option(parser: Parser) -> None:
    """Add both."""
    parser.add_argument("--data", required=True, type=Path, help="Data that cycseq prepare wrote, or counts.")
    add_memory_option(parser)


def add_memory_option(parser: Parser) -> None:
    """Add `--memory` alone."""
    parser.add_argument(
        "--memory",
        type=str | None,
        help="How much memory may be used, for example 4GiB: values of an h5ad or zarr file that take more than a quarter of "
        "it stay in the file and are read in parts. All that the machine has if left out.",
    )


def read_cells(path: Path, options: Namespace) -> PerturbationData:
    """The cells of a file, within the memory that was said; the terminal is told how they were read, and where they are counts.

    Raises
    ------
    DataError
        If the labels or values are not what they must be; where an option of `cycseq prepare` mends that, it is named.
    """
    cells = read_plainly(path, options)
    say_counts(path, cells)
    return cells


def read_plainly(path: Path, options: Namespace) -> PerturbationData:
    """As `read_cells`, and nothing is said."""
    try:
        return read(path, ReadSettings(memory=options.memory))
    except DataError as err:
        if not err.option or "cycseq prepare" in str(err):
            raise
        msg = f"{err} This command reads files as they are: cycseq prepare {shlex.quote(str(path))} {err.option} --out PREPARED.h5ad makes one."
        raise DataError(msg, option=err.option) from err
