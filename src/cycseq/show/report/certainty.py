"""Is the uncertainty calibrated? Coverage and reliability in sentences, a table and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from cycseq.score.certainty import GOAL, NEAR, off_diagonal, off_goal, pooled_coverage, pooled_reliability
from cycseq.score.coverage import EVENTS, MIN_IN_BIN, STRATA, THRESHOLDS_IN_WORDS
from cycseq.show import plots
from cycseq.show.report.figures import svg
from cycseq.show.report.numbers import listed, short
from cycseq.show.report.panels import Panel

ALL = "all contexts"
CLAUSES = {
    STRATA[0]: "the measured response of {share} of all genes",
    STRATA[1]: "that of {share} of genes whose measured response is significant",
    STRATA[2]: "the true response of {share} of all genes",
    STRATA[3]: "the true response of {share} of genes whose true response is beyond 0.2",
}
STATED = {EVENTS[0]: "of a rise", EVENTS[1]: "that a response is beyond the threshold"}


@dataclass(frozen=True)
class Share:
    """One coverage of the table."""

    value: float
    n: int
    judged: bool  # whether there are genes enough to hold it against the goal
    met: bool


@dataclass(frozen=True)
class Certainty:
    """Whether one model's intervals and probabilities are calibrated, over the splits of one kind."""

    model: str
    coverage: pd.DataFrame  # context (`ALL` first), stratum, observed, n
    reliability: pd.DataFrame  # event, stated, observed, n

    @classmethod
    def of(cls, coverage: pd.DataFrame, reliability: pd.DataFrame) -> list[Self]:
        """Each model's, from the tables of a benchmark; none where no model has a posterior."""
        by_model = []
        for model in dict.fromkeys(coverage["model"]):
            rows, bins = (table[table["model"] == model] for table in (coverage, reliability))
            over_all = pooled_coverage(rows.assign(context=ALL), ["context"])
            each = pooled_coverage(rows, ["context"])
            tables = [over_all, each] if each["context"].nunique() > 1 else [each]
            by_model.append(cls(str(model), pd.concat(tables, ignore_index=True), pooled_reliability(bins, [])))
        return by_model

    @property
    def sound(self) -> bool:
        """Whether every coverage and every bin that can be judged is where it should be."""
        return off_goal(self.coverage).empty and off_diagonal(self.reliability).empty

    @property
    def strata(self) -> list[str]:
        """The columns of the table."""
        return [stratum for stratum in STRATA if stratum in set(self.coverage["stratum"])]

    @property
    def rows(self) -> list[tuple[str, list[Share | None]]]:
        """Coverage of every stratum: all contexts together, then each, the worst first."""
        wrong = off_goal(self.coverage)
        order = dict.fromkeys([ALL, *wrong["context"], *self.coverage["context"]])
        wrong_places = set(zip(wrong["context"], wrong["stratum"], strict=True))
        shares = {
            (row["context"], row["stratum"]): Share(
                float(row["observed"]),
                int(row["n"]),
                bool(row["n"] >= MIN_IN_BIN),
                (row["context"], row["stratum"]) not in wrong_places,
            )
            for row in self.coverage.to_dict("records")
        }
        strata, contexts = self.strata, set(self.coverage["context"])
        return [
            (context, [shares.get((context, stratum)) for stratum in strata])
            for context in order
            if context in contexts
        ]

    def sentences(self) -> list[str]:
        """What to know before using an interval or a probability of this model."""
        return [*self._of_intervals(), *self._of_probabilities()]

    def panel(self) -> Panel:
        """The reliability curve."""
        image = svg(
            lambda ax: plots.reliability_curve(self.reliability, ax=ax),
            title=f"Reliability of {self.model}",
            width=4.2,
            height=4.4,
        )
        note = f"observed rate where {self.model} states a probability; the grey band is {short(NEAR, 1)} on both sides; {THRESHOLDS_IN_WORDS}"
        return Panel("Stated probabilities", note, image)

    def _of_intervals(self) -> list[str]:
        top = self.coverage["context"].iloc[0]
        over_all = self.coverage[self.coverage["context"] == top].set_index("stratum")
        clauses = [CLAUSES[name].format(share=percent(over_all.loc[name, "observed"])) for name in self.strata]
        off = off_goal(self.coverage)
        sentence = f"The 90 % intervals of {self.model} hold {listed(clauses)}"
        aim = f"{100 * GOAL[0]:.0f} to {100 * GOAL[1]:.0f} %"
        if off.empty:
            return [f"{sentence}; in every group that can be judged it is {aim}."]
        places = off[off["context"] != top]
        where = [
            f"{context} ({'; '.join(f'{name} {percent(share)}' for name, share in zip(part['stratum'], part['observed'], strict=True))})"
            for context, part in places.groupby("context", sort=False)
        ]
        short_of = f", not {aim} everywhere"
        return [f"{sentence}{short_of}{'. Outside this range: ' + listed(where, 4) if where else ''}."]

    def _of_probabilities(self) -> list[str]:
        if self.reliability.empty:
            return []
        wrong = off_diagonal(self.reliability)
        if wrong.empty:
            return [f"Its stated probabilities are within {short(NEAR, 1)} of the observed rates in every bin."]
        parts = []
        for event, bins in wrong.groupby("event", sort=False):
            worst = bins.iloc[0]
            parts.append(
                f"{STATED[str(event)]} by up to {short(abs(worst['stated'] - worst['observed']), 2)} "
                f"(stated {short(worst['stated'], 2)}, observed {short(worst['observed'], 2)})"
            )
        return [f"Its stated probabilities are off by more than {short(NEAR, 1)}: {listed(parts)}."]


def certainties(coverage: pd.DataFrame, reliability: pd.DataFrame, splits: Sequence[str]) -> list[Certainty]:
    """Of the splits of these names alone."""
    return Certainty.of(*(table[table["split"].isin(splits)] for table in (coverage, reliability)))


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{100 * float(share):.0f} %"
