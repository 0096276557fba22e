"""What an answer rests on, how predictions of its kind did, and what it cannot say, in sentences."""

import numpy as np
import pandas as pd

from cycseq.errors import count_of, join_names, was
from cycseq.run.answer.check import AVERAGE, SURE, Check
from cycseq.run.answer.predict import Answer
from cycseq.split.settings import Kind

AMOUNTS_TO: dict[Kind, str] = {
    "unseen-context": "Only control cells were measured in the context",
    "unseen-pair": "Context and perturbation were each measured, but not together",
    "unseen-perturbation": "The perturbation was never measured",
    "unseen-combination": "The combination was never measured",
    "unseen-dose": "The perturbation was measured, but not at this dose",
    "unseen-time": "The perturbation was measured, but not at this time",
}
"""What is predicted, by kind of condition."""
MANY = 10  # above so many conditions left out, their middle half is told instead of the extremes
FEW = 6  # below so many conditions left out, their average says little of a further one


def rests_on(answer: Answer) -> list[str]:
    """What the prediction was made from, and what its uncertainty rests on."""
    learned = answer.split.train
    contexts = sorted({c.context for c in learned})
    names = {c.perturbation for c in answer.conditions}
    sharing = sorted({c.context for c in learned if c.perturbation in names})
    held_out = count_of(len(answer.split.test), "condition")
    what = "all that was measured: " if not answer.split.test else ""
    rest = "Nothing was held out for a test" if not answer.split.test else f"Its split held out {held_out} for a test"
    lines = [
        f"{answer.model.name} was fitted on {what}{count_of(len(learned), 'condition')} in {count_of(len(contexts), 'context')} "
        f"({join_names(contexts)}). {rest}."
    ]
    if sharing:
        lines.append(
            f"{'The same perturbation was' if len(names) == 1 else 'The same perturbations were'} measured in {join_names(sharing)}."
        )
    source = "the spread of the errors that it made where measured conditions were left out"
    if answer.own_uncertainty:
        source = "the model's own posterior: on how far measured conditions differ from each other, and on the noise of their measurement"
    return [*lines, f"Its standard deviations, intervals and probabilities rest on {source}."]


def how_well(check: Check) -> list[str]:
    """How predictions of a kind did when measured conditions were left out."""
    if check.why_not:
        return [f"How well such predictions do was not checked: {check.why_not}"]
    table = check.table
    places = list(dict.fromkeys(table["context"]))
    in_turn = check.kind in ("unseen-context", "unseen-pair")
    where = f" of {count_of(len(places), 'context')} ({join_names(places)})" if in_turn else ""
    lines = [
        f"{count_of(len(table), 'measured condition')}{where} {was(len(table))} left out, predicted by the same "
        f"model from the rest, and compared: {_captured(table)}."
    ]
    calls, correct = int(table["called"].sum()), int(table["right"].sum())
    if calls:
        lines.append(
            f"Of {count_of(calls, 'gene')} called there (lfsr at most {SURE}), {correct / calls:.1%} moved as predicted."
        )
    inside = table["inside"].astype(float).mean()
    if np.isfinite(inside):
        lines.append(f"{inside:.0%} of all measured effects were inside their 90 % intervals.")
    if len(table) < FEW:
        lines.append(
            f"{count_of(len(table), 'condition').capitalize()} left out {'is' if len(table) == 1 else 'are'} few: the next may do better or worse."
        )
    return lines


def cannot_tell(answer: Answer) -> list[str]:
    """What must not be read into the table."""
    genes, lines = answer.genes, []
    measured = [str(c) for c, kind in answer.kinds.items() if kind is None]
    if measured:
        lines.append(
            f"{join_names(measured)}: measured already. The model has seen its cells, so this is an estimate, not a prediction."
        )
    silent = int((~genes["informative"].astype(bool)).sum())
    lines.append(
        f"Of {count_of(len(genes), 'row')} (gene and condition), {silent:,} have no direction that could be told: an effect near 0 there "
        "means that nothing is known, not that nothing changes."
    )
    lines.append(
        "Effects are changes of mean expression within a context: not of its composition, nor of what single cells do, nor of "
        "anything that the measured conditions do not share (another dose, time, protocol or species)."
    )
    if answer.cells is not None:
        lines.append(
            "The predicted cells are control cells moved by the predicted effect; their spread is that of controls."
        )
    return lines


def with_captured(table: pd.DataFrame) -> pd.DataFrame:
    """The table of a `Check` with `captured` and `average_captured`: shares of the response that model and plain average predicted."""
    metric = _metric(table)
    return table.assign(
        captured=1.0 - table[metric].astype(float), average_captured=1.0 - table[f"average_{metric}"].astype(float)
    )


def _metric(table: pd.DataFrame) -> str:
    """The error beyond measurement noise where noise is known, else the whole error."""
    return "mse_unbiased_norm" if table["mse_unbiased_norm"].notna().any() else "mse_ratio"


def _captured(table: pd.DataFrame) -> str:
    """The share of the response that was predicted, beside that of the plain average."""
    noise = ", its noise included" if _metric(table) == "mse_ratio" else " beyond measurement noise"
    shares, average_shares = (with_captured(table)[name].dropna() for name in ("captured", "average_captured"))
    average = f"the plain average of the others ({AVERAGE})"
    other = (
        f"{average} captured {average_shares.median():.0%}"
        if average_shares.median() > 0
        else f"{average} was worse than no change"
    )
    if shares.median() <= 0:
        return f"the predictions were no better than no change at all (median over conditions); {other}"
    few = len(shares) <= MANY
    low, high = (shares.min(), shares.max()) if few else shares.quantile([0.25, 0.75])
    span = (
        f" ({'' if few else 'median; half of them '}{round(low, 2) + 0.0:.0%} to {round(high, 2) + 0.0:.0%})"
        if len(shares) > 1
        else ""
    )
    return f"the predictions captured {shares.median():.0%}{span} of the response{noise}; {other}"


def summary(answer: Answer) -> list[str]:
    """The whole in a few sentences, for the terminal."""
    return [*rests_on(answer), *kinds_in_words(answer), *(line for check in answer.checks for line in how_well(check))]


def kinds_in_words(answer: Answer) -> list[str]:
    """How many conditions of each kind were predicted."""
    counts: dict[Kind, int] = {}
    for kind in answer.kinds.values():
        if kind is not None:
            counts[kind] = counts.get(kind, 0) + 1
    return [f"{AMOUNTS_TO[kind]}: {count_of(n, 'condition')}." for kind, n in counts.items()]
