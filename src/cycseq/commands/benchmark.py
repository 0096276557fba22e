"""`cycseq benchmark --data PREPARED.h5ad --split unseen-context --models NoChange,ContextAdditive --out OUT`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.commands.options import add_data_option
from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say
from cycseq.errors import ModelError
from cycseq.score.settings import EvaluateSettings
from cycseq.split.settings import SplitSettings


def configure(parser: Parser, _words: list[str]) -> None:
    """Add the options of this command."""
    add_data_option(parser)
    parser.add_argument(
        "--out", required=True, type=Path, help="Folder of the tables and the report; an interrupted one is resumed."
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace a benchmark with other settings.")
    parser.add_settings(BenchmarkSettings)
    parser.add_settings(SplitSettings, skip={"kind", "seed"})
    parser.add_settings(EvaluateSettings)


def run(options: Namespace) -> None:
    """Compute what is missing, print the main table, write the report."""
    from cycseq.benchmarking.benchmark import benchmark
    from cycseq.commands.cells import read_data
    from cycseq.commands.scores import headline, say_challenge, with_coverage
    from cycseq.score.ceiling import SPLIT_HALF, WRONG_TARGET
    from cycseq.score.challenge.scale import MEAN_RESPONSE, ChallengeScale
    from cycseq.score.reference import shared_controls
    from cycseq.score.reproducibility import reproducible_rows
    from cycseq.show.report.judged import Judged
    from cycseq.show.report.page import write_benchmark
    from cycseq.show.report.sentences import about, list_weak_metrics
    from cycseq.split.leakage import condense_warnings

    data = read_data(options.data, options)
    result = benchmark(
        data,
        settings_of(BenchmarkSettings, options),
        options.out,
        splitting=settings_of(SplitSettings, options),
        evaluation=settings_of(EvaluateSettings, options),
        data_path=options.data.resolve(),
        command=options.typed,
        overwrite=options.overwrite,
    )
    for split, rows in result.summary.groupby("split", sort=False):
        judgement = Judged.of(result, str(split))
        title = f"{split}: means over test conditions (summary.csv has intervals, {about(judgement.table)})"
        rows_shown = with_coverage(rows[~rows["model"].str.endswith(WRONG_TARGET)])
        headline(rows_shown.rename(columns={"mean": "value"}), ["model"], title=title)
        say([*judgement.in_short(), *list_weak_metrics(judgement.table, of_effects=result.of_effects)])
    for split, of_split in result.metrics.groupby("split", sort=False):
        if MEAN_RESPONSE in set(of_split["model"]):
            is_model = ~of_split["model"].isin((MEAN_RESPONSE, SPLIT_HALF)) & ~of_split["model"].str.endswith(
                WRONG_TARGET
            )
            scores = ChallengeScale.of(of_split).scores(of_split[is_model])
            say_challenge(scores, title=f"{split}: score of the challenge")
    if shared := sorted({context for split in result.record["splits"] for context in split["shared_controls"]}):
        say(f"note: {shared_controls(shared)}")
    say(
        [
            f"warning: {warning}"
            for warning in condense_warnings([split.get("warnings", []) for split in result.record["splits"]])
        ]
    )
    if len(result.skipped):
        names = ", ".join(dict.fromkeys(result.skipped["model"]))
        say(f"does not apply to every split: {names} (skipped.csv says why)")
    tested = result.metrics[["context", "perturbation"]].drop_duplicates()
    if len(result.reproducibility):
        say(
            f"{len(reproducible_rows(tested, result.reproducibility))} of {len(tested)} tested conditions have a reproducible "
            f"response (reproducibility.csv); for these alone, see summary_reproducible.csv or cycseq report {options.out} --stratum "
            "reproducible"
        )
    page = write_benchmark(result)
    say(f"wrote {options.out}: metrics.csv ({len(result.metrics):,} values), summary.csv, {page.name}")
    if result.failed:
        failed = result.failed[0]
        msg = f"{len(result.failed)} results broke (first: {failed.model} on {failed.split}: {failed.error}); run the same command to try them again."
        raise ModelError(msg)
