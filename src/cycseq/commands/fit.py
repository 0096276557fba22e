"""`cycseq fit --data DATA.h5ad [--split SPLIT.json] --model NAME --run RUN`, and `--resume`."""

from argparse import Namespace
from pathlib import Path

from cycseq.commands.options import add_data_option, add_model_option, short_name
from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.errors import count_of


def configure(parser: Parser, words: list[str]) -> None:
    add_data_option(parser)
    parser.add_argument(
        "--split",
        type=Path | None,
        help="JSON file that cycseq split wrote. Without it the model learns from all conditions: for prediction, as there is no test.",
    )
    parser.add_argument("--run", required=True, type=Path, help="Folder of the run.")
    parser.add_argument("--seed", type=int, default=0, help="Random seed.")
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the run if it exists.")
    parser.add_argument(
        "--resume",
        type=bool,
        default=False,
        help="Go on with the fit of this run where it was interrupted; all other options must be the same as then.",
    )
    add_model_option(parser, words)


def run(options: Namespace) -> None:
    """Fit and save."""
    from cycseq.commands.cells import read_data
    from cycseq.models import model_class
    from cycseq.run.fitting import fit_run, progress_of
    from cycseq.split.base import Split
    from cycseq.split.nothing import hold_out_nothing

    model = settings_of(model_class(short_name(options.model)), options, prefix="model.")
    known_split = None if options.split is None else Split.read(options.split)
    data = read_data(options.data, options)
    split = known_split or hold_out_nothing(data)
    progress = progress_of(options.run) if options.resume else "none"
    if options.resume:
        words = {"none": "there is no fit in it yet: it begins", "begun": "its fit was interrupted: it goes on"}
        say([f"{options.run}: {words[progress]}"] if progress in words else [])
    say(f"fitting {model.name} on {count_of(len(split.train), 'condition')}")
    try:
        result = fit_run(
            data,
            split,
            model,
            options.run,
            seed=options.seed,
            data_path=options.data.resolve(),
            command=options.typed,
            overwrite=options.overwrite,
            resume=options.resume,
        )
    except KeyboardInterrupt:
        if progress_of(options.run) == "begun":
            say(f"{options.run} keeps the last whole epoch: the same command with --resume goes on from there")
        raise
    if "process" in result.facts:
        say(f"process {result.facts['process']} has trained along; the first one writes {result.folder}")
        return
    sizes = f"{len(split.train)} training and {count_of(len(split.validation), 'validation condition')}"
    outcome = f"{result.folder} had ended already:" if progress == "ended" else f"wrote {result.folder}:"
    say([f"claim: {split.claim}", f"{outcome} {model.name} fitted on {sizes}"])
