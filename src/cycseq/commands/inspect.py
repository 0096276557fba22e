"""`cycseq inspect FILE`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.formats.settings import ReadSettings


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument(
        "file",
        type=Path,
        help="h5ad or zarr of cells or effects, 10x folder or h5, CSV/TSV, Parquet, GCT, NPY/NPZ, or a CycSeq folder.",
    )
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Say what the file holds."""
    from cycseq.formats.effects.inspect import inspect_effects
    from cycseq.formats.effects.kind import is_effects
    from cycseq.formats.inspect import inspect_file

    reading = settings_of(ReadSettings, options)
    if is_effects(options.file, reading):
        say(inspect_effects(options.file, reading))
        return
    say(inspect_file(options.file, reading).text())
