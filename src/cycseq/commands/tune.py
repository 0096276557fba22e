"""`cycseq tune --data PREPARED.h5ad --split SPLIT.json --model VAE --trials 20 --out DIR`."""

import shlex
from argparse import Namespace
from pathlib import Path

from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.commands.options import add_data_option
from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table
from cycseq.errors import count_of

BEST, FIGURE = "best.yaml", "trials.png"


def configure(parser: Parser, _words: list[str]) -> None:
    add_data_option(parser, beside=", and beside what models and metrics hold of a context")
    parser.add_argument("--split", required=True, type=Path, help="JSON file that cycseq split wrote.")
    parser.add_argument("--out", required=True, type=Path, help="Folder of the search; an interrupted one is resumed.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace a search with other settings.")
    parser.add_settings(TuneSettings)


def run(options: Namespace) -> None:
    """Search, print what was best, write it as a configuration for `cycseq fit`."""
    from cycseq.benchmarking.tuning.search import tune
    from cycseq.commands.cells import read_cells
    from cycseq.split.base import Split

    settings = settings_of(TuneSettings, options)
    split = Split.read(options.split)
    data = read_cells(options.data, options)
    result = tune(data, split, settings, options.out, overwrite=options.overwrite)
    result.write_config(options.out / BEST, data=options.data.resolve(), split=options.split.resolve())
    result.draw(options.out / FIGURE)
    defaults = result.trials.loc[0]
    table(
        ["setting", "first trial", "best"],
        [[n, defaults[n], result.trials.loc[result.best_trial, n]] for n in result.best],
    )
    states = result.trials["state"].value_counts()
    counts = ", ".join(f"{states.get(state, 0)} {state}" for state in ("complete", "pruned", "failed"))
    say(f"{count_of(len(result.trials), 'trial')}: {counts}")
    failed = result.trials[result.trials["state"] == "failed"]
    if len(failed):
        say(f"the last failure: {failed['reason'].iloc[-1]}")
    was = "" if result.default_value is None else f" (defaults: {result.default_value:.3f})"
    say(
        [
            f"best: trial {result.best_trial}, {settings.objective} {result.best_value:.3f} over inner folds{was}. The "
            "best of many trials looks better than it is: evaluate it on the test part, which is still unseen.",
            f"wrote {options.out}: trials.csv, folds.csv, {BEST}, {FIGURE}",
            f"next: {shlex.join(['cycseq', 'fit', '--config', str(options.out / BEST), '--run', str(options.out / 'run')])}",
        ]
    )
