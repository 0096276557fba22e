"""`cycseq inspect FILE`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.formats.settings import ReadSettings


def configure(parser: Parser, _words: list[str]) -> None:
    """Options."""
    parser.add_argument("file", type=Path, help="h5ad, zarr, 10x folder or h5, CSV/TSV, NPY/NPZ, or a CycSeq folder.")
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Say what the file holds."""
    from cycseq.formats.inspect import inspect_file

    say(inspect_file(options.file, settings_of(ReadSettings, options)).text())
