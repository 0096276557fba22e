"""`cycseq prepare FILE [FILE ...] --out PREPARED.h5ad`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.errors import count_of
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import check_output
from cycseq.preparation.settings import PrepareSettings


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("files", nargs="+", type=Path, help="One or several files; several become one data set.")
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_argument(
        "--scheduler",
        type=str | None,
        help="Dask cluster that reads and computes what does not fit into --memory: tcp://HOST:PORT, or local.",
    )
    parser.add_argument("--jobs", type=int, default=1, help="Processes of --scheduler local.")
    parser.add_settings(PrepareSettings)
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Read, prepare, write."""
    from cycseq.data.dataset import DATA_ENDINGS
    from cycseq.formats.readers.stored import memory_bytes
    from cycseq.matrix.cluster import cluster

    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    reading = settings_of(ReadSettings, options)
    room = None if reading.memory is None else memory_bytes(reading.memory)
    with cluster(options.scheduler, jobs=options.jobs, memory=room):
        _prepare(options, reading)


def _prepare(options: Namespace, reading: ReadSettings) -> None:
    from cycseq.formats.load import default_context
    from cycseq.formats.read import read
    from cycseq.preparation.prepare import prepare

    inputs = [read(file, reading) for file in options.files]
    for file, data in zip(options.files, inputs, strict=True):
        say([f"{file.name}: {data.n_cells:,} cells x {len(data.genes):,} genes", *(f"  {note}" for note in data.notes)])
    names = [default_context(file) for file in options.files]
    prepared = prepare(inputs, settings_of(PrepareSettings, options), names)
    prepared.write(options.out, overwrite=options.overwrite)
    new = [note for note in prepared.notes if all(note not in data.notes for data in inputs)]
    size = f"{prepared.n_cells:,} cells x {len(prepared.genes):,} genes, {count_of(len(prepared.conditions()), 'condition')}"
    say(["prepared:", *(f"  {note}" for note in new), f"wrote {options.out}: {size}, {prepared.scale}"])
