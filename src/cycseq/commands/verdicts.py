"""What the terminal says of a finished benchmark: scores and verdicts of every split, and what to beware of."""

from cycseq.benchmarking.tables import BenchmarkResult
from cycseq.commands.scores import headline, say_challenge, with_coverage
from cycseq.commands.terminal import say
from cycseq.errors import count_of
from cycseq.score.ceiling import WRONG_TARGET
from cycseq.score.challenge.scale import MEAN_RESPONSE, ChallengeScale
from cycseq.score.reference import shared_controls
from cycseq.score.reproducibility import reproducible_rows
from cycseq.show.report.judged import Judged
from cycseq.show.report.sentences import about, list_weak_metrics
from cycseq.show.report.table import is_model
from cycseq.split.leakage import condense_warnings


def say_benchmark(result: BenchmarkResult) -> None:
    """Print everything but the names of the files."""
    for kind, rows in result.summary.groupby("split", sort=False):
        judgement = Judged.of(result, str(kind))
        title = f"{kind}: means over test conditions (summary.csv has intervals, {about(judgement.table)})"
        models = with_coverage(rows[~rows["model"].str.endswith(WRONG_TARGET)])
        headline(models.rename(columns={"mean": "value"}), ["model"], title=title)
        say([*judgement.in_short(), *list_weak_metrics(judgement.table, of_effects=result.of_effects)])
    for split, rows in result.metrics.groupby("split", sort=False):
        if MEAN_RESPONSE in set(rows["model"]):
            models = rows[is_model(rows["model"]) & (rows["model"] != MEAN_RESPONSE)]
            say_challenge(ChallengeScale.of(rows).scores(models), title=f"{split}: score of the challenge")
    _say_cautions(result)


def _say_cautions(result: BenchmarkResult) -> None:
    """Print what limits the claims: shared controls, possible leaks, models that do not apply, noisy responses."""
    splits = result.record["splits"]
    if contexts := sorted({context for split in splits for context in split["shared_controls"]}):
        say(f"note: {shared_controls(contexts)}")
    say([f"warning: {warning}" for warning in condense_warnings([split.get("warnings", []) for split in splits])])
    if len(result.skipped):
        names = ", ".join(dict.fromkeys(result.skipped["model"]))
        say(f"does not apply to every split: {names} (skipped.csv says why)")
    tested = result.metrics[["context", "perturbation"]].drop_duplicates()
    if len(result.reproducibility):
        say(
            f"{len(reproducible_rows(tested, result.reproducibility))} of {count_of(len(tested), 'tested condition')} have a reproducible "
            f"response (reproducibility.csv); for these alone, see summary_reproducible.csv or cycseq report {result.folder} --stratum "
            "reproducible"
        )
