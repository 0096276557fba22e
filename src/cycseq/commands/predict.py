"""`cycseq predict --run RUN --conditions NK:stim --out PREDICTED.h5ad`, and `--direction reverse`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from jsonargparse import Namespace

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say, say_counts
from cycseq.data.dataset import DATA_ENDINGS, PerturbationData
from cycseq.data.posterior import all_changes
from cycseq.data.readers import read
from cycseq.errors import SettingsError
from cycseq.files import check_output, write_text
from cycseq.run import Run, pairs_of

Direction = Literal["forward", "reverse"]
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
        "--controls", type=Path, help="Control cells of your own, prepared or counts; else those of the run's data."
    )
    parser.add_argument(
        "--direction",
        type=Direction,
        default="forward",
        help="From control to perturbed cells, or in reverse: perturbed cells back to control, by a model that does both.",
    )
    parser.add_argument(
        "--perturbed",
        type=Path,
        help="With --direction reverse: perturbed cells of your own, prepared or counts; else those of the run's data.",
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        help="Where to write the pseudo-pairs (.csv): predicted_cell, source_cell, context, perturbation.",
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
    for table in (options.genes_out, options.pairs):
        if table is not None:
            check_output(table, overwrite=options.overwrite, endings=(".csv",))
    opened = Run.open(options.run)
    if opened.broken:
        say(f"note: {opened.broken}")
    predicted = _made(opened, options)
    genes = None if options.genes_out is None else all_changes(predicted)
    pairs = None if options.pairs is None else pairs_of(predicted)
    predicted.write(options.out, overwrite=options.overwrite)
    conditions = ", ".join(map(str, predicted.conditions()[:8])) + (", ..." if len(predicted.conditions()) > 8 else "")
    say(
        f"wrote {options.out}: {predicted.n_cells:,} predicted cells x {len(predicted.genes):,} genes, {predicted.scale} ({conditions})"
    )
    if pairs is not None:
        write_text(options.pairs, pairs.to_csv(index=False), overwrite=options.overwrite)
        say(f"wrote {options.pairs}: {len(pairs):,} pseudo-pairs of a predicted cell and the cell it was made from")
    if genes is not None:
        write_text(options.genes_out, genes.to_csv(index=False, float_format="%.5g"), overwrite=options.overwrite)
        likely = int((genes["probability_changed"] > LIKELY).sum())
        say(
            f"wrote {options.genes_out}: {len(genes):,} rows (gene and condition), {likely:,} with probability_changed above {LIKELY}"
        )


def _made(opened: Run, options: Namespace) -> PerturbationData:
    """The cells that were asked for, in either direction."""
    if options.direction == "forward" and options.perturbed is not None:
        msg = "--perturbed cells are where --direction reverse starts from: say that, or give control cells with --controls."
        raise SettingsError(msg)
    controls, perturbed = _cells(options.controls), _cells(options.perturbed)
    told = {"controls": controls, "n_cells": options.cells, "seed": options.seed}
    if options.direction == "reverse":
        return opened.restore(options.conditions, perturbed=perturbed, **told)
    return opened.predict(options.conditions, **told)


def _cells(path: Path | None) -> PerturbationData | None:
    if path is None:
        return None
    cells = read(path)
    say_counts(path, cells)
    return cells
