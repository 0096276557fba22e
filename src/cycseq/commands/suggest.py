"""`cycseq suggest --run RUN --n 10 --out NEXT.csv`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from jsonargparse import Namespace

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say, table
from cycseq.data.dataset import Condition
from cycseq.files import check_output, whole, write_text
from cycseq.run import Run
from cycseq.suggest import COLUMNS, suggest

DRAWN = (".png", ".pdf", ".svg")


def configure(parser: Parser, _words: list[str]) -> None:
    """Options."""
    parser.add_argument(
        "--run", required=True, type=Path, help="Folder that cycseq fit wrote: ConditionKriging or CycleTransport."
    )
    parser.add_argument("--out", required=True, type=Path, help="Where to write the table: .csv.")
    parser.add_argument("--plot", type=Path, help="Where to draw it: .png, .pdf or .svg; not drawn if not said.")
    parser.add_argument("--n", type=int, default=10, help="How many conditions can be measured next.")
    parser.add_argument(
        "--conditions",
        type=list[str] | None,
        help="CONTEXT:PERTURBATION, several separated by commas: what could be measured. If not said, every "
        "perturbation in every context where the training data lack it; 'test' is every test condition of its split.",
    )
    parser.add_argument("--genes", type=int, default=200, help="Genes, drawn at random, that stand for all.")
    parser.add_argument("--seed", type=int, default=0, help="Fixes which genes.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the outputs if they exist.")


def run(options: Namespace) -> None:
    """Choose, write, draw."""
    check_output(options.out, overwrite=options.overwrite, endings=(".csv",))
    if options.plot is not None:
        check_output(options.plot, overwrite=options.overwrite, endings=DRAWN)
    opened = Run.open(options.run)
    candidates: list[Condition] | None = None
    if options.conditions is not None:
        candidates = [
            c
            for word in options.conditions
            for c in (opened.split.test if word == "test" else [Condition.parse(word, opened.model.learned.contexts)])
        ]
    chosen = suggest(opened.model, options.n, candidates=candidates, n_genes=options.genes, seed=options.seed)
    write_text(options.out, chosen.to_csv(index=False), overwrite=options.overwrite)
    table(COLUMNS, chosen.itertuples(index=False))
    left = chosen["variance_left"].iloc[-1]
    say(f"wrote {options.out}: the batch of {len(chosen)} is expected to leave {left:.0%} of the posterior variance")
    if options.plot is not None:
        _draw(chosen, options.plot, overwrite=options.overwrite)
        say(f"wrote {options.plot}")


def _draw(chosen: pd.DataFrame, path: Path, *, overwrite: bool) -> None:
    from matplotlib.figure import Figure

    from cycseq.plots import variance_left

    figure = Figure(figsize=(5.6, 0.9 + 0.28 * len(chosen)), layout="constrained")
    variance_left(chosen, ax=figure.subplots())
    with whole(path, overwrite=overwrite) as part:
        figure.savefig(part, format=path.suffix[1:], dpi=170)
