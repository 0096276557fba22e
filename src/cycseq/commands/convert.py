"""`cycseq convert FILE --to LAYOUT --out OUT`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import check_output


def configure(parser: Parser, _words: list[str]) -> None:
    """Add the options of this command."""
    parser.add_argument("file", type=Path, help="Real or predicted cells, in any format that cycseq reads.")
    parser.add_argument("--to", required=True, type=str, help="Layout of the other tool (cycseq list layouts).")
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad, or a folder.")
    parser.add_argument("--contexts", type=list[str], default=[], help="Contexts to write; all if left out.")
    parser.add_argument("--real", type=Path, help="Real cells with their controls, for cell-eval.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Read and write."""
    from cycseq.formats.predicted import of_real, read_predicted
    from cycseq.formats.read import read
    from cycseq.formats.write import find_layout, select_contexts, write_as

    layout = find_layout(options.to)
    check_output(options.out, overwrite=options.overwrite, endings=layout.endings)
    reading = settings_of(ReadSettings, options)
    real = None if options.real is None else read(options.real, of_real(reading))
    data = read(options.file, reading) if real is None else read_predicted(options.file, reading, real)
    data = data.load("cycseq convert")
    data = select_contexts(data, options.contexts)
    notes = write_as(data, layout.name, options.out, real=real, overwrite=options.overwrite)
    size = f"{data.n_cells:,} cells x {len(data.genes):,} genes, {len(data.conditions())} conditions"
    say(
        [
            f"{options.file.name}: {size}",
            *(f"  {note}" for note in data.notes),
            f"wrote {options.out} for {layout.tool}",
            *(f"  {note}" for note in notes),
        ]
    )
