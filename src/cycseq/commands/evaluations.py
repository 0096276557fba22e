"""What `cycseq evaluate` does: read both sides, compare them, write the scores, print the headline."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from cycseq.commands.cells import say_choices, say_reading
from cycseq.commands.parser import settings_of
from cycseq.commands.scores import headline, say_challenge
from cycseq.commands.terminal import say, table
from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, SettingsError
from cycseq.formats.effects.kind import is_effects
from cycseq.formats.effects.read import read_effects
from cycseq.formats.predicted import of_real, read_predicted
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import write_text
from cycseq.run.pairs import evaluate_pairs
from cycseq.run.scoring import evaluate_effects, evaluate_prediction
from cycseq.score.challenge.scale import ChallengeScale
from cycseq.score.metrics import chosen
from cycseq.score.settings import EvaluateSettings

SHOWN = 50  # conditions that are shown one by one; of more, the means over contexts


def compare_cells(options: Namespace) -> None:
    """Compare single cells, and write."""
    predicted, real = _read_cells(options)
    settings = settings_of(EvaluateSettings, options)
    scale = None if options.challenge_scale is None else ChallengeScale.read(options.challenge_scale)
    scores = evaluate_prediction(
        predicted, real, split=options.split, settings=settings, memory=options.memory, scale=scale
    )
    notes = scores.attrs["notes"]
    if options.pairs:
        paired = evaluate_pairs(predicted, real)
        scores = pd.concat([scores, paired], ignore_index=True)
    write_text(options.out, scores.to_csv(index=False), overwrite=options.overwrite)
    if scale is not None:
        scale.write(options.challenge_scale)
        say_challenge(scale.scores(scores))
    headline(scores, ["context", "perturbation"])
    if options.pairs:
        means = paired.groupby("metric", sort=False)["value"].mean()
        table(list(means.index), [list(means)], title="pseudo-pairs against true pairs: means over conditions")
    _say_end(options, scores, notes)


def _read_cells(options: Namespace) -> tuple[PerturbationData, PerturbationData]:
    """Predicted and real cells; the terminal is told how they were read."""
    reading = settings_of(ReadSettings, options)
    real = read(options.real, of_real(reading))
    of_predicted = replace(reading, scale=options.predicted_scale or reading.scale)
    predicted = read_predicted(options.predicted, of_predicted, real)
    of_counts = all("counts" in metric.needs for metric in chosen(options.metrics))
    for path, cells in ((options.predicted, predicted), (options.real, real)):
        (say_choices if of_counts else say_reading)(path, cells)
    if not any(condition.is_control for condition in real.conditions()):
        msg = f"{options.real} has no control cells, but a response is a difference to them: use --control LABEL."
        raise DataError(msg, option="--control LABEL")
    return predicted, real


def compare_effects(options: Namespace) -> None:
    """Compare effects of whole conditions, and write."""
    reading = settings_of(ReadSettings, options)
    for path in (options.real, options.predicted):
        if not is_effects(path, reading):
            raise DataError(
                f"{path} holds cells, and the other side effects: give both alike (cycseq summarize makes effects of cells), or use "
                "--kind effects if it is a table of effects."
            )
    real, predicted = (read_effects(path, reading) for path in (options.real, options.predicted))
    for path, effects in ((options.real, real), (options.predicted, predicted)):
        say_choices(path, effects)
    if options.pairs:
        raise SettingsError("--pairs compares cells, and these are effects of whole conditions: leave it out.")
    scores = evaluate_effects(predicted, real, split=options.split, settings=settings_of(EvaluateSettings, options))
    write_text(options.out, scores.to_csv(index=False), overwrite=options.overwrite)
    headline(scores, ["context", "perturbation"] if len(predicted.conditions()) <= SHOWN else ["context"])
    _say_end(options, scores, scores.attrs["notes"])


def _say_end(options: Namespace, scores: pd.DataFrame, notes: Sequence[str]) -> None:
    say([f"note: {note}" for note in notes])
    say(f"wrote {options.out}: {len(scores):,} values, {int(scores['value'].isna().sum())} of them undefined")
