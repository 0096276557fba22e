"""A finished benchmark: its record and tables, as they lie in its folder."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd

from cycseq.benchmarking.result import Result
from cycseq.benchmarking.work import Failure
from cycseq.errors import DataError, FileError, count_of
from cycseq.io.checksums import sha256
from cycseq.io.untrusted import as_file_error, cycseq_command, read_json
from cycseq.run.tables import read_table
from cycseq.score.certainty import COVERAGE, RELIABILITY
from cycseq.score.metrics import headline_of
from cycseq.score.reproducibility import COLUMNS as REPRODUCIBILITY
from cycseq.score.reproducibility import reproducible_rows
from cycseq.score.summary import paired_differences, summarize_scores

RESULTS, RECORD = "results", "benchmark.json"
TABLES = ("metrics", "summary", "differences", "skipped", "reproducibility", "coverage", "reliability")
LATER = ("reproducibility", "coverage", "reliability")  # which older versions did not write
KEYS = ("model", "split", "seed")
OF_REPRODUCIBLE = "summary_reproducible.csv"  # as `summary`, of the reproducible conditions alone
SKIPPED = (*KEYS, "reason")


@dataclass(frozen=True)
class BenchmarkResult:
    """A finished benchmark and its folder."""

    folder: Path
    record: dict[str, Any]
    """What `benchmark.json` says: settings, data, splits, models, versions, times."""
    metrics: pd.DataFrame
    """Tidy: model, split, seed, context, perturbation, metric, value."""
    summary: pd.DataFrame
    """As of `summarize_scores`: one row per kind of split, metric and model."""
    differences: pd.DataFrame
    """As of `paired_differences`: every model against every baseline."""
    skipped: pd.DataFrame
    """Models that do not apply to a split: model, split, seed, reason."""
    reproducibility: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(REPRODUCIBILITY)))
    """As of `cycseq.score.reproducibility`, of all conditions of the data; older versions wrote none."""
    coverage: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*KEYS, *COVERAGE]))
    """As of `cycseq.coverage_by_stratum`, of every model with a posterior, split and seed."""
    reliability: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*KEYS, *RELIABILITY]))
    """As of `cycseq.reliability`, of every model with a posterior, split, seed and context."""
    failed: tuple[Failure, ...] = ()
    """Results that broke; they are computed again when the benchmark is resumed."""
    results: tuple[Result, ...] = ()
    """Those of the first seed with their means, where the benchmark still holds them."""

    @property
    def of_effects(self) -> bool:
        """Whether effects of whole conditions were compared, and not cells."""
        return bool(self.record["data"].get("kind") == "effects")

    @property
    def table(self) -> pd.DataFrame:
        """The headline metrics of every model on every kind of split: means over test conditions (`summary` has intervals)."""
        metrics = self.summary["metric"].unique()
        rows = self.summary[self.summary["metric"].isin(headline_of(metrics) or metrics)]
        wide = rows.pivot_table(index=["split", "model"], columns="metric", values="mean", sort=False)
        return wide.rename_axis(columns=None)

    def __repr__(self) -> str:
        splits, models = len(self.record["splits"]), len(self.record["models"])
        return f"BenchmarkResult: {count_of(models, 'model')} on {count_of(splits, 'split')}\n{self.table.round(3)}"

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return self.table.round(3).to_html()

    def result(self, model: str, split: str) -> Result | None:
        """The first seed's result, with its means; None where there is none."""
        for result in self.results:
            if (result.model, result.split) == (model, split):
                return result
        for row in self.record["results"]:
            if (row["model"], row["split"], row["seed"]) == (model, split, 0):
                return Result.read(self.folder / RESULTS / Path(row["file"]).name)
        return None

    def reproducible_alone(self) -> Self:
        """The same benchmark over the conditions whose measured response is reproducible; its record says which.

        Raises
        ------
        DataError
            If no tested condition is, or an older version made the benchmark.
        """
        metrics = reproducible_rows(self.metrics, self.reproducibility)
        tested = {tuple(pair) for split in self.record["splits"] for pair in split["test"]}
        left = set(zip(metrics["context"], metrics["perturbation"], strict=True))
        if not left:
            raise DataError(
                f"none of {count_of(len(tested), 'tested condition')} of {self.folder} has a reproducible response "
                "(reproducibility.csv): leave out --stratum, or run the benchmark again if it has no such file."
            )
        splits = [
            {**split, "test": [pair for pair in split["test"] if tuple(pair) in left]}
            for split in self.record["splits"]
        ]
        baselines = self.record["baselines"]
        differences = paired_differences(metrics, baselines=baselines)
        return replace(
            self,
            record={
                **self.record,
                "splits": [split for split in splits if split["test"]],
                "stratum": f"{len(left)} of {count_of(len(tested), 'tested condition')}, whose response is reproducible",
            },
            metrics=metrics,
            summary=summarize_scores(metrics, baselines=baselines, differences=differences),
            differences=differences,
            coverage=self.coverage.iloc[:0],
            reliability=self.reliability.iloc[:0],
        )


def open_benchmark(folder: Path) -> BenchmarkResult:
    """A benchmark that was finished before, from its files.

    Raises
    ------
    FileError
        If the folder is not a benchmark, or one that has not ended.
    """
    path = folder / RECORD
    if not path.is_file():
        msg = f"{folder} is not a benchmark: it has no {RECORD}. Name the folder that cycseq benchmark --out wrote."
        raise FileError(msg)
    record = read_json(path, "Run the benchmark again with --overwrite true; finished results are kept.")
    if "seconds" not in record:
        msg = f"the benchmark in {folder} has not ended: resume it with {cycseq_command(record.get('command')) or 'the same command'}"
        raise FileError(msg)
    with as_file_error(path, "Run the same command again; finished results are kept."):
        for name, expected in record.get("checksums", {}).items():  # older versions wrote none
            if not (folder / name).is_file() or sha256(folder / name) != expected:
                msg = f"{folder / name} is missing, truncated or was altered: run the same command again; finished results are kept."
                raise FileError(msg)
        names = [name for name in TABLES if name not in LATER or (folder / f"{name}.csv").is_file()]
        tables = {name: read_table(folder / f"{name}.csv") for name in names}
        failed = tuple(Failure(**failure) for failure in record["failed"])
    return BenchmarkResult(folder, record, failed=failed, results=(), **tables)
