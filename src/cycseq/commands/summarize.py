"""`cycseq summarize CELLS.h5ad --out EFFECTS.h5ad`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import check_output


def configure(parser: Parser, _words: list[str]) -> None:
    """Options."""
    parser.add_argument(
        "file", type=Path, help="Cells, or bulk samples with replicates, of any format that cycseq reads."
    )
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Summarize and write."""
    from cycseq.data.dataset import DATA_ENDINGS
    from cycseq.errors import DataError
    from cycseq.formats.effects.from_cells import summarize
    from cycseq.formats.effects.kind import is_effects

    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    reading = settings_of(ReadSettings, options)
    if is_effects(options.file, reading):
        msg = f"{options.file} holds effects already: every command takes them as they are (or say --kind cells)."
        raise DataError(msg)
    effects = summarize(options.file, reading)
    effects.write(options.out, overwrite=options.overwrite)
    n_controls = len(effects.controls().conditions())
    say(
        [
            f"{options.file.name}:",
            *(f"  {note}" for note in effects.notes),
            f"wrote {options.out}: effects of {len(effects.conditions()) - n_controls:,} conditions x {len(effects.genes):,} genes with "
            f"standard errors, means and variances, and the controls of {n_controls} contexts; {effects.scale}",
        ]
    )
