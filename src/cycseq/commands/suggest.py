"""`cycseq suggest --run RUN --n 10 --out NEXT.csv`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.options import add_plot_option, check_plot, write_plot
from cycseq.commands.parser import Parser
from cycseq.commands.terminal import say, table
from cycseq.io.files import check_output, write_text


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("--run", required=True, type=Path, help="Folder that cycseq fit wrote: ConditionKriging.")
    parser.add_argument("--out", required=True, type=Path, help="Where to write the table: .csv.")
    add_plot_option(parser)
    parser.add_argument("--n", type=int, default=10, help="How many conditions can be measured next.")
    parser.add_argument(
        "--conditions",
        type=list[str] | None,
        help="CONTEXT:PERTURBATION, several separated by commas: what could be measured. If not given, every "
        "perturbation in every context where the data lack it; 'test' is every test condition of the run's split, which is "
        "measured already.",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the outputs if they exist.")


def run(options: Namespace) -> None:
    """Choose, write, draw."""
    from cycseq.run.folder import Run
    from cycseq.run.predicting import conditions_of_words
    from cycseq.run.suggest import COLUMNS, suggest

    check_output(options.out, overwrite=options.overwrite, endings=(".csv",))
    check_plot(options.plot, overwrite=options.overwrite)
    model_run = Run.open(options.run)
    contexts, test = model_run.model.learned.contexts, model_run.split.test
    candidates = options.conditions and conditions_of_words(options.conditions, contexts, (), test=lambda: test)
    batch = suggest(model_run.model, options.n, candidates=candidates, held_out=test)
    write_text(options.out, batch.to_csv(index=False), overwrite=options.overwrite)
    table(COLUMNS, batch.itertuples(index=False))
    variance = batch["variance_left"].iloc[-1]
    say(f"wrote {options.out}: the batch of {len(batch)} is expected to leave {variance:.0%} of the posterior variance")
    if options.plot is not None:
        from cycseq.show.plots import variance_left

        height = 0.9 + 0.28 * len(batch)
        write_plot(
            lambda ax: variance_left(batch, ax=ax), options.plot, width=5.6, height=height, overwrite=options.overwrite
        )
