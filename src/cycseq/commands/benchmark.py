"""`cycseq benchmark --data PREPARED.h5ad --split unseen-context --models NoChange,ContextAdditive --out OUT`."""

from argparse import Namespace
from pathlib import Path

from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.commands.options import add_data_option
from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.errors import ModelError, count_of
from cycseq.score.settings import EvaluateSettings
from cycseq.split.settings import SplitSettings


def configure(parser: Parser, _words: list[str]) -> None:
    add_data_option(parser, beside=", and beside what models and metrics hold of a context")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="Folder for the tables and the report; an interrupted benchmark is resumed.",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace a benchmark that has other settings.")
    parser.add_settings(BenchmarkSettings)
    parser.add_settings(SplitSettings, skip={"kind", "seed"})
    parser.add_settings(EvaluateSettings)


def run(options: Namespace) -> None:
    """Compute what is missing, print scores and verdicts, write the report."""
    from cycseq.benchmarking.benchmark import benchmark
    from cycseq.commands.cells import read_data
    from cycseq.commands.verdicts import say_benchmark
    from cycseq.show.report.page import write_benchmark

    result = benchmark(
        read_data(options.data, options),
        settings_of(BenchmarkSettings, options),
        options.out,
        splitting=settings_of(SplitSettings, options),
        evaluation=settings_of(EvaluateSettings, options),
        data_path=options.data.resolve(),
        command=options.typed,
        overwrite=options.overwrite,
    )
    say_benchmark(result)
    page = write_benchmark(result)
    say(f"wrote {options.out}: metrics.csv ({len(result.metrics):,} values), summary.csv, {page.name}")
    if result.failed:
        first = result.failed[0]
        msg = f"{count_of(len(result.failed), 'result')} broke (first: {first.model} on {first.split}: {first.error}); run the same command to try them again."
        raise ModelError(msg)
