"""The splits of one kind with their verdicts, as the page and the command line show them."""

from dataclasses import dataclass, field
from typing import Self

import pandas as pd

from cycseq.benchmarking.tables import BenchmarkResult
from cycseq.score.contexts import ContextVerdict, by_context
from cycseq.score.metrics import METRICS
from cycseq.score.verdicts import Judgement, judge
from cycseq.show.report import sentences
from cycseq.show.report.certainty import Certainty, certainties
from cycseq.show.report.table import Headline, headline


@dataclass(frozen=True)
class Judged:
    """One kind of split of a benchmark."""

    metrics: pd.DataFrame  # every score
    summary: pd.DataFrame
    judgement: Judgement
    table: Headline
    metric: str  # by which contexts are judged
    contexts: list[ContextVerdict]
    certainties: list[Certainty] = field(default_factory=list)  # of every model with a posterior

    @classmethod
    def of(cls, result: BenchmarkResult, kind: str) -> Self:
        """Judge the splits of this kind."""
        splits_of_kind = [name for name in result.metrics["split"].unique() if str(name).split(":")[0] == kind]
        metrics = result.metrics[result.metrics["split"].isin(splits_of_kind)]
        summary = result.summary[result.summary["split"] == kind]
        calibrated = (
            result.record["data"].get("kind") != "effects"
        )  # of effects there are no halves to make a ceiling of
        judgement = judge(summary, result.differences, calibrated=calibrated)
        table = headline(summary, judgement.controls) if len(summary) else Headline((), (), ())
        metric = _telling(summary)
        contexts = by_context(metrics, judgement, table.best, metric)
        splits = [split["name"] for split in result.record["splits"] if split["kind"] == kind]
        calibrations = certainties(result.coverage, result.reliability, splits)
        return cls(metrics, summary, judgement, table, metric, contexts, calibrations)

    def in_short(self) -> list[str]:
        """The result in a few sentences: the finding, then where intervals and probabilities are not calibrated, then the rest."""
        short_of, met = (
            [s for c in self.certainties if c.sound is sound for s in c.sentences()] for sound in (False, True)
        )
        finding, *more = sentences.in_short(self.table, self.judgement, self.contexts)
        return [finding, *short_of, *more, *met]


def _telling(summary: pd.DataFrame) -> str:
    """The metric by which contexts are judged: the error beside no change's, or what there is."""
    candidates = [m for m in ("mse_ratio", "pearson_delta", "edistance") if m in set(summary["metric"])]
    return (candidates or [m for m in METRICS if m in set(summary["metric"])] or ["mse_ratio"])[0]
