"""`cycseq summarize FILE [FILE ...] --out EFFECTS.h5ad`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.errors import count_of
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import check_output
from cycseq.preparation.settings import Response


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        help="Cells, bulk samples with replicates, or effects, of any format that cycseq reads; several files are several "
        "studies of one bank.",
    )
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument(
        "--response",
        type=Response,
        default="log1p",
        help="Differences of means of log1p values, or of log pseudobulk profiles: log(1 + 50,000 x share in the summed counts).",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Summarize, join, write."""
    from cycseq.data.dataset import DATA_ENDINGS
    from cycseq.formats.effects.from_cells import summarize
    from cycseq.formats.effects.kind import is_effects
    from cycseq.formats.effects.read import read_effects
    from cycseq.formats.load import default_context
    from cycseq.preparation.bank import join_studies

    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    reading = settings_of(ReadSettings, options)
    studies = []
    for file in options.files:
        effects_in_file = is_effects(file, reading)
        effects = (
            read_effects(file, reading) if effects_in_file else summarize(file, reading, response=options.response)
        )
        say([f"{file.name}:", *(f"  {note}" for note in effects.notes)])
        studies.append(effects)
    bank = join_studies(studies, [default_context(file) for file in options.files])
    bank.write(options.out, overwrite=options.overwrite)
    n_controls = len(bank.controls().conditions())
    controls = f", and the controls of {count_of(n_controls, 'context')}" if n_controls else ""
    layers = ", ".join(words for name, words in LAYERS.items() if bank.layer(name) is not None)
    say(
        [
            *(["bank:", *(f"  {note}" for note in bank.notes)] if len(studies) > 1 else []),
            f"wrote {options.out}: effects of {count_of(len(bank.conditions()) - n_controls, 'condition')} x {len(bank.genes):,} genes"
            f"{f' with {layers}' if layers else ''}"
            f"{controls}; {bank.scale}",
        ]
    )


LAYERS = {"se": "standard errors", "mean": "means", "variance": "variances"}  # what layers of effects hold, in words
