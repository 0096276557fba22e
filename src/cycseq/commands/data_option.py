"""`--data` and `--memory`: the cells that a command works on, and how much of them may be in memory."""

from __future__ import annotations

from pathlib import Path

from cycseq.commands.parser import Parser


def add_data_option(parser: Parser) -> None:
    """Add `--data` and `--memory`."""
    parser.add_argument("--data", required=True, type=Path, help="Data that cycseq prepare wrote, or counts.")
    add_memory_option(parser)


def add_memory_option(parser: Parser) -> None:
    """Add `--memory`."""
    parser.add_argument(
        "--memory",
        type=str | None,
        help="How much memory may be used, for example 4GiB: values of an h5ad or zarr file that take more than a quarter of "
        "it stay in the file and are read in parts. All that the machine has if left out.",
    )
