"""`cycseq simulate --out SIM.h5ad`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.errors import SettingsError, count_of
from cycseq.io.files import check_output
from cycseq.simulation.settings import SimulateSettings

LABELS = 1_500  # bytes that the labels and states of a simulated cell take until all are written, as measured


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_argument(
        "--memory",
        type=str | None,
        help="Memory for cells, for example 4GiB, beside the interpreter and its libraries: cells that take more than a quarter of it are written as they are drawn.",
    )
    parser.add_settings(SimulateSettings)


def run(options: Namespace) -> None:
    """Simulate and write."""
    from cycseq.data.dataset import DATA_ENDINGS
    from cycseq.formats.readers.stored import fits
    from cycseq.simulation.generate import simulate, simulate_to

    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    settings = settings_of(SimulateSettings, options)
    if fits(settings.max_bytes(), settings.cells, options.memory):
        data = simulate(settings)
        data.write(options.out, overwrite=options.overwrite)
        adata, notes = data.adata, data.notes
    else:
        piece = _piece(settings, options.memory)
        adata, notes = simulate_to(options.out, settings, overwrite=options.overwrite, piece=piece)
    n_conditions = len(adata.obs[["context", "perturbation"]].drop_duplicates())
    say(notes)
    say(
        f"wrote {options.out}: {adata.n_obs:,} cells x {adata.n_vars:,} genes, {count_of(n_conditions, 'condition')}, counts"
    )


def _piece(settings: SimulateSettings, memory: str | None) -> int:
    """Cells that are drawn at a time; raises `SettingsError`, with the least that would do, where memory has no room for labels."""
    from cycseq.formats.readers.stored import memory_bytes
    from cycseq.simulation.generate import BLOCK, PIECE

    labels, of_cell = LABELS * settings.cells, settings.max_bytes() / settings.cells
    least, allowed = labels + BLOCK * of_cell, memory_bytes(memory)
    if memory is not None and allowed < least:
        mib = int(-(-least // 2**20))
        raise SettingsError(
            f"--memory {memory} is too little for simulate, which needs at least {mib:,} MiB here: use --memory {mib}MiB, or "
            "fewer --cells.",
            option=f"--memory {mib}MiB",
        )
    return max(BLOCK, min(PIECE, int((allowed - labels) / of_cell)))
