"""CycSeq: predict how single cells respond to perturbations, and say how far to trust it.

Everything below is imported when it is first used, so that ``import cycseq`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cycseq import plots as pl  # noqa: F401  (for type checkers: `cycseq.pl`)
    from cycseq.benchmarking import BenchmarkSettings, benchmark
    from cycseq.comparison import CompareSettings, compare
    from cycseq.data.dataset import Condition, PerturbationData
    from cycseq.data.inspect import inspect_file
    from cycseq.data.prepare import PrepareSettings, prepare
    from cycseq.data.readers import ReadSettings, read
    from cycseq.data.simulate import SimulateSettings, simulate
    from cycseq.data.split import Split, SplitSettings, make_splits
    from cycseq.evaluation import EvaluateSettings, evaluate
    from cycseq.interpretation import coverage, coverage_by_stratum, differential, pathway_scores, read_gmt, reliability
    from cycseq.models import build_model, load_model
    from cycseq.report import write_report
    from cycseq.run import Run, fit_run
    from cycseq.score.summary import paired_differences, summarise
    from cycseq.tuning import TuneSettings, tune

_WHERE = {
    "cycseq.benchmarking": ("BenchmarkSettings", "benchmark"),
    "cycseq.score.summary": ("paired_differences", "summarise"),
    "cycseq.comparison": ("CompareSettings", "compare"),
    "cycseq.data.dataset": ("Condition", "PerturbationData"),
    "cycseq.data.inspect": ("inspect_file",),
    "cycseq.data.prepare": ("PrepareSettings", "prepare"),
    "cycseq.data.readers": ("ReadSettings", "read"),
    "cycseq.data.simulate": ("SimulateSettings", "simulate"),
    "cycseq.data.split": ("Split", "SplitSettings", "make_splits"),
    "cycseq.evaluation": ("EvaluateSettings", "evaluate"),
    "cycseq.interpretation": (
        "coverage",
        "coverage_by_stratum",
        "differential",
        "pathway_scores",
        "read_gmt",
        "reliability",
    ),
    "cycseq.models": ("build_model", "load_model"),
    "cycseq.report": ("write_report",),
    "cycseq.run": ("Run", "fit_run"),
    "cycseq.tuning": ("TuneSettings", "tune"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "BenchmarkSettings",
    "CompareSettings",
    "Condition",
    "EvaluateSettings",
    "PerturbationData",
    "PrepareSettings",
    "ReadSettings",
    "Run",
    "SimulateSettings",
    "Split",
    "SplitSettings",
    "TuneSettings",
    "benchmark",
    "build_model",
    "compare",
    "coverage",
    "coverage_by_stratum",
    "differential",
    "evaluate",
    "fit_run",
    "inspect_file",
    "load_model",
    "make_splits",
    "paired_differences",
    "pathway_scores",
    "prepare",
    "read",
    "read_gmt",
    "reliability",
    "simulate",
    "summarise",
    "tune",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name == "pl":  # as scanpy calls its figures
        return import_module("cycseq.plots")
    if name not in _MODULE_OF:
        msg = f"module 'cycseq' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "pl"]
