"""`cycseq convert FILE --to LAYOUT --out OUT`."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.errors import DataError, SettingsError, count_of
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import check_output


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("file", type=Path, help="Real or predicted cells, in any format that cycseq reads.")
    parser.add_argument("--to", required=True, type=str, help="Layout of the other tool (cycseq list layouts).")
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad, .vcc, or a folder.")
    parser.add_argument("--contexts", type=list[str], default=[], help="Contexts to write; all if left out.")
    parser.add_argument("--real", type=Path, help="Real cells with their controls, for cell-eval.")
    parser.add_argument("--targets", type=Path, help="The challenge's pert_counts.csv, for vcc.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Read and write."""
    from cycseq.formats.predicted import of_real, read_predicted
    from cycseq.formats.read import read
    from cycseq.formats.write import find_layout, select_contexts, write_as

    reading = settings_of(ReadSettings, options)
    if options.to == "vcc":
        _write_entry(options, reading)
        return
    layout = find_layout(options.to)
    check_output(options.out, overwrite=options.overwrite, endings=layout.endings)
    real = None if options.real is None else read(options.real, of_real(reading))
    data = read(options.file, reading) if real is None else read_predicted(options.file, reading, real)
    data = data.load("cycseq convert")
    data = select_contexts(data, options.contexts)
    notes = write_as(data, layout.name, options.out, real=real, overwrite=options.overwrite)
    _say_written(options, data, layout.tool, notes)


def _write_entry(options: Namespace, reading: ReadSettings) -> None:
    """Write an entry of the Virtual Cell Challenge, which has no control cells."""
    from cycseq.data.usual_names import NO_CONTROL
    from cycseq.formats.read import read
    from cycseq.formats.write import select_contexts
    from cycseq.formats.writers.vcc import ENDINGS, Panel, write_entry

    check_output(options.out, overwrite=options.overwrite, endings=ENDINGS)
    if reading.genes_file is None or options.targets is None:
        msg = "an entry of the challenge is checked against its lists: use --genes-file gene_names.csv and --targets pert_counts.csv."
        raise SettingsError(msg)
    panel = Panel.read(reading.genes_file, options.targets)
    try:
        data = read(options.file, reading)
    except DataError as err:
        if reading.control or "--control" not in err.option:
            raise
        data = read(options.file, replace(reading, control=NO_CONTROL))
    data = select_contexts(data, options.contexts)
    notes = write_entry(data, panel, options.out, overwrite=options.overwrite)
    _say_written(options, data, "the Virtual Cell Challenge", notes)


def _say_written(options: Namespace, data: Any, tool: str, notes: Sequence[str]) -> None:
    """Say what was read and written."""
    size = f"{data.n_cells:,} cells x {len(data.genes):,} genes, {count_of(len(data.conditions()), 'condition')}"
    say(
        [
            f"{options.file.name}: {size}",
            *(f"  {note}" for note in data.notes),
            f"wrote {options.out} for {tool}",
            *(f"  {note}" for note in notes),
        ]
    )
