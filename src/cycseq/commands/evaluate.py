"""`cycseq evaluate --predicted PREDICTED.h5ad --real REAL.h5ad --out METRICS.csv`."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from cycseq.commands.parser import Parser, settings_of
from cycseq.commands.terminal import say, table
from cycseq.data.settings import SaidScale
from cycseq.errors import DataError, SettingsError
from cycseq.formats.settings import ReadSettings
from cycseq.io.files import check_output, write_text
from cycseq.score.settings import EvaluateSettings

SHOWN = 50
"""Conditions that are shown one by one; of more, the means over contexts."""


def configure(parser: Parser, _words: list[str]) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--predicted", required=True, type=Path, help="Predicted cells: ours or another tool's, log1p or counts."
    )
    parser.add_argument("--real", required=True, type=Path, help="Real cells with their controls, log1p or counts.")
    parser.add_argument(
        "--out", required=True, type=Path, help="CSV: model, split, seed, context, perturbation, metric, value."
    )
    parser.add_argument(
        "--split", type=Path, help="The split that the model was fitted on, if the prediction does not say."
    )
    parser.add_argument(
        "--pairs",
        type=bool,
        default=False,
        help="Compare each predicted cell with the true pair of its source cell too: real cells of cycseq simulate only.",
    )
    parser.add_argument(
        "--predicted_scale",
        type=SaidScale | None,
        help="Scale of the predicted cells, if it differs from that of the real ones (see --scale).",
    )
    parser.add_argument(
        "--challenge_scale",
        type=Path,
        help="JSON of the challenge's scale for these real cells: read if it is there, else computed and written (five times the work of a score).",
    )
    parser.add_argument("--overwrite", type=bool, default=False, help="Replace the output if it exists.")
    parser.add_settings(EvaluateSettings)
    parser.add_settings(ReadSettings)


def run(options: Namespace) -> None:
    """Compare and write."""
    import pandas as pd

    from cycseq.commands.cells import say_choices, say_counts
    from cycseq.commands.scores import headline, say_challenge
    from cycseq.formats.effects.kind import is_effects
    from cycseq.formats.predicted import of_real, read_predicted
    from cycseq.formats.read import read
    from cycseq.run.pairs import evaluate_pairs
    from cycseq.run.scoring import evaluate_prediction
    from cycseq.score.challenge.scale import ChallengeScale
    from cycseq.score.metrics import chosen

    check_output(options.out, overwrite=options.overwrite)
    reading = settings_of(ReadSettings, options)
    in_own_file = options.predicted.suffix in {".h5ad", ".zarr"}  # beside cells, a table of text holds means of cells
    if is_effects(options.real, reading) or (in_own_file and is_effects(options.predicted, reading)):
        _evaluate_effects(options)
        return
    real = read(options.real, of_real(reading))
    predicted = read_predicted(
        options.predicted, replace(reading, scale=options.predicted_scale or reading.scale), real
    )
    settings = settings_of(EvaluateSettings, options)
    of_counts = all("counts" in metric.needs for metric in chosen(settings.metrics))
    for path, cells in ((options.predicted, predicted), (options.real, real)):
        (say_choices if of_counts else say_counts)(path, cells)
    if not any(condition.is_control for condition in real.conditions()):
        msg = f"{options.real} has no control cells, but a response is a difference to them: use --control LABEL."
        raise DataError(msg, option="--control LABEL")
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
    say([f"note: {note}" for note in notes])
    say(f"wrote {options.out}: {len(scores):,} values, {int(scores['value'].isna().sum())} of them undefined")


def _evaluate_effects(options: Namespace) -> None:
    """Compare effects of whole conditions, and write."""
    from cycseq.commands.cells import say_choices
    from cycseq.commands.scores import headline
    from cycseq.formats.effects.kind import is_effects
    from cycseq.formats.effects.read import read_effects
    from cycseq.run.scoring import evaluate_effects

    reading = settings_of(ReadSettings, options)
    for path in (options.real, options.predicted):
        if not is_effects(path, reading):
            msg = (
                f"{path} holds cells, and the other side effects: give both alike (cycseq summarize makes effects of cells), or use "
                "--kind effects if it is a table of effects."
            )
            raise DataError(msg)
    real, predicted = (read_effects(path, reading) for path in (options.real, options.predicted))
    for path, effects in ((options.real, real), (options.predicted, predicted)):
        say_choices(path, effects)
    if options.pairs:
        msg = "--pairs compares cells, and these are effects of whole conditions: leave it out."
        raise SettingsError(msg)
    scores = evaluate_effects(predicted, real, split=options.split, settings=settings_of(EvaluateSettings, options))
    write_text(options.out, scores.to_csv(index=False), overwrite=options.overwrite)
    headline(scores, ["context", "perturbation"] if len(predicted.conditions()) <= SHOWN else ["context"])
    say([f"note: {note}" for note in scores.attrs["notes"]])
    say(f"wrote {options.out}: {len(scores):,} values, {int(scores['value'].isna().sum())} of them undefined")
