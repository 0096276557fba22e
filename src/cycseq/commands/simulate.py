"""`cycseq simulate --out SIM.h5ad`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.data.dataset import DATA_ENDINGS
from cycseq.data.simulate import SimulateSettings, simulate
from cycseq.files import check_output


def configure(parser: Parser, _words: list[str]) -> None:
    """Options."""
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_class_arguments(SimulateSettings)


def run(options: Namespace) -> None:
    """Simulate and write."""
    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    data = simulate(settings_of(SimulateSettings, options))
    data.write(options.out, overwrite=options.overwrite)
    say(data.notes)
    say(
        f"wrote {options.out}: {data.n_cells:,} cells x {len(data.genes):,} genes, {len(data.conditions())} conditions, counts"
    )
