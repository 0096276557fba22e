"""`cycseq fit --data PREPARED.h5ad --split SPLIT.json --model NAME --run RUN`."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from cycseq.commands.model_option import add_model_option, chosen_model
from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say
from cycseq.data.readers import read
from cycseq.data.split import Split
from cycseq.run import fit_run


def configure(parser: Parser, words: list[str]) -> None:
    """Options."""
    parser.add_argument("--data", required=True, type=Path, help="Data that cycseq prepare wrote.")
    parser.add_argument("--split", required=True, type=Path, help="JSON file that cycseq split wrote.")
    parser.add_argument("--run", required=True, type=Path, help="Folder of the run.")
    parser.add_argument("--seed", type=int, default=0, help="Fixes everything random.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the run if it exists.")
    add_model_option(parser, words)


def run(options: Namespace) -> None:
    """Fit and save."""
    model = chosen_model(options)
    split = Split.read(options.split)
    data = read(options.data)
    fitted = fit_run(
        data,
        split,
        model,
        options.run,
        seed=options.seed,
        data_path=options.data.resolve(),
        command=options.typed,
        overwrite=options.overwrite,
    )
    learnt = f"{len(split.train)} training and {len(split.validation)} validation conditions"
    say([f"claim: {split.claim}", f"wrote {fitted.folder}: {model.name} fitted on {learnt}"])
