"""Tables of scores as commands print them."""

from collections.abc import Sequence

import pandas as pd

from cycseq.commands.terminal import say, table
from cycseq.score.metrics import METRICS, headline_of


def headline(scores: pd.DataFrame, index: Sequence[str], *, title: str | None = None) -> None:
    """Print the headline metrics of a table of scores: a row for each value of the index columns."""
    first = headline_of(scores["metric"].unique())
    scores = scores[scores["metric"].isin(first)] if scores["metric"].isin(first).any() else scores
    undefined = [str(m) for m, values in scores.groupby("metric", sort=False)["value"] if values.isna().all()]
    shown = scores.pivot_table(index=list(index), columns="metric", values="value", sort=False)
    rows = shown[[m for m in METRICS if m in shown]].reset_index()
    table([str(c) for c in rows.columns], rows.itertuples(index=False), title=title)
    if undefined:
        say(f"undefined here: {', '.join(undefined)} (cycseq list metrics says when)")


def with_coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """The model's name says over how many conditions its mean is, where that is not all."""
    covered = rows.groupby("model")["n_conditions"].transform("max")
    names = rows["model"] + " (" + covered.astype(str) + f" of {covered.max()} conditions)"
    return rows.assign(model=rows["model"].where(covered == covered.max(), names))


def say_challenge(scores: pd.DataFrame, title: str = "score of the challenge") -> None:
    """Print what each model's members are worth, over all contexts; rows as of `ChallengeScale.scores`."""
    shown = scores.pivot_table(index="model", columns="metric", values="score", sort=False)
    shown = shown[[m for m in METRICS if m in shown]]
    shown.insert(0, "score", scores.groupby("model", sort=False)["score"].mean())
    rows = shown.sort_values("score", ascending=False).reset_index()
    table(
        [str(c) for c in rows.columns],
        rows.itertuples(index=False),
        title=f"{title} (0: the mean response, 1: other real cells)",
    )
