"""`cycseq predict --run RUN --conditions NK:stim --out PREDICTED.h5ad`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say
from cycseq.data.dataset import DATA_ENDINGS
from cycseq.data.posterior import all_changes
from cycseq.data.readers import read
from cycseq.files import check_output, write_text
from cycseq.run import Run

LIKELY = 0.9
"""Probability from which a gene is counted as changed in what is said at the end."""


def configure(parser: Parser, _words: list[str]) -> None:
    """Options."""
    parser.add_argument("--run", required=True, type=Path, help="Folder that cycseq fit wrote.")
    parser.add_argument("--out", required=True, type=Path, help="Where to write: .h5ad or .zarr.")
    parser.add_argument(
        "--conditions",
        type=list[str],
        default=["test"],
        help="CONTEXT:PERTURBATION, several separated by commas (names with commas: a JSON list); 'test' is every test condition of the run's split.",
    )
    parser.add_argument("--cells", type=int, default=500, help="Cells of each condition.")
    parser.add_argument(
        "--controls", type=Path, help="Control cells of your own, prepared; else those of the run's data."
    )
    parser.add_argument(
        "--genes_out",
        type=Path,
        help="Where to write which genes change with what probability (.csv), from a model that knows its uncertainty.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Fixes which control cells are drawn.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")


def run(options: Namespace) -> None:
    """Predict and write."""
    check_output(options.out, overwrite=options.overwrite, endings=DATA_ENDINGS)
    if options.genes_out is not None:
        check_output(options.genes_out, overwrite=options.overwrite, endings=(".csv",))
    opened = Run.open(options.run)
    if opened.broken:
        say(f"note: {opened.broken}")
    controls = read(options.controls) if options.controls else opened.data()
    predicted = opened.predict(options.conditions, controls=controls, n_cells=options.cells, seed=options.seed)
    genes = None if options.genes_out is None else all_changes(predicted)
    predicted.write(options.out, overwrite=options.overwrite)
    conditions = ", ".join(map(str, predicted.conditions()[:8])) + (", ..." if len(predicted.conditions()) > 8 else "")
    say(
        f"wrote {options.out}: {predicted.n_cells:,} predicted cells x {len(predicted.genes):,} genes, {predicted.scale} ({conditions})"
    )
    if genes is not None:
        write_text(options.genes_out, genes.to_csv(index=False, float_format="%.5g"), overwrite=options.overwrite)
        likely = int((genes["probability_changed"] > LIKELY).sum())
        say(
            f"wrote {options.genes_out}: {likely:,} of {len(genes):,} genes of conditions change with probability above {LIKELY}"
        )
