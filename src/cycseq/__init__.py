"""CycSeq: predict how single cells respond to perturbations, and say how far to trust it.

Everything below is imported when it is first used, so that ``import cycseq`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cycseq.benchmarking.benchmark import benchmark
    from cycseq.benchmarking.compare import compare
    from cycseq.benchmarking.settings import BenchmarkSettings, CompareSettings
    from cycseq.benchmarking.tuning.search import tune
    from cycseq.benchmarking.tuning.settings import TuneSettings
    from cycseq.data.dataset import Condition, PerturbationData
    from cycseq.data.effects import Effects
    from cycseq.formats.effects.from_cells import summarize
    from cycseq.formats.effects.kind import is_effects
    from cycseq.formats.effects.read import read_effects
    from cycseq.formats.inspect import inspect_file
    from cycseq.formats.read import read
    from cycseq.formats.settings import ReadSettings
    from cycseq.models import build_model, load_model
    from cycseq.preparation.bank import join_studies
    from cycseq.preparation.prepare import prepare
    from cycseq.preparation.settings import PrepareSettings
    from cycseq.run.fitting import fit_run
    from cycseq.run.folder import Run
    from cycseq.score.coverage import coverage, coverage_by_stratum, reliability
    from cycseq.score.evaluate import evaluate
    from cycseq.score.settings import EvaluateSettings
    from cycseq.score.summary import paired_differences, summarize_scores
    from cycseq.show import plots as pl  # noqa: F401  (for type checkers: `cycseq.pl`)
    from cycseq.show.interpretation.genes import differential
    from cycseq.show.interpretation.pathways import pathway_scores, read_gmt
    from cycseq.show.report.page import write_report
    from cycseq.simulation.generate import simulate
    from cycseq.simulation.settings import SimulateSettings
    from cycseq.split.base import Split
    from cycseq.split.make import make_splits
    from cycseq.split.settings import SplitSettings

_WHERE = {
    "cycseq.benchmarking.compare": ("compare",),
    "cycseq.benchmarking.settings": (
        "BenchmarkSettings",
        "CompareSettings",
    ),
    "cycseq.benchmarking.benchmark": ("benchmark",),
    "cycseq.benchmarking.tuning.search": ("tune",),
    "cycseq.benchmarking.tuning.settings": ("TuneSettings",),
    "cycseq.data.dataset": (
        "Condition",
        "PerturbationData",
    ),
    "cycseq.data.effects": ("Effects",),
    "cycseq.formats.effects.from_cells": ("summarize",),
    "cycseq.formats.effects.kind": ("is_effects",),
    "cycseq.formats.effects.read": ("read_effects",),
    "cycseq.formats.inspect": ("inspect_file",),
    "cycseq.formats.read": ("read",),
    "cycseq.formats.settings": ("ReadSettings",),
    "cycseq.models": (
        "build_model",
        "load_model",
    ),
    "cycseq.preparation.bank": ("join_studies",),
    "cycseq.preparation.prepare": ("prepare",),
    "cycseq.preparation.settings": ("PrepareSettings",),
    "cycseq.run.fitting": ("fit_run",),
    "cycseq.run.folder": ("Run",),
    "cycseq.score.coverage": (
        "coverage",
        "coverage_by_stratum",
        "reliability",
    ),
    "cycseq.score.evaluate": ("evaluate",),
    "cycseq.score.settings": ("EvaluateSettings",),
    "cycseq.score.summary": (
        "paired_differences",
        "summarize_scores",
    ),
    "cycseq.show.interpretation.genes": ("differential",),
    "cycseq.show.interpretation.pathways": (
        "pathway_scores",
        "read_gmt",
    ),
    "cycseq.show.report.page": ("write_report",),
    "cycseq.simulation.generate": ("simulate",),
    "cycseq.simulation.settings": ("SimulateSettings",),
    "cycseq.split.base": ("Split",),
    "cycseq.split.make": ("make_splits",),
    "cycseq.split.settings": ("SplitSettings",),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "BenchmarkSettings",
    "CompareSettings",
    "Condition",
    "Effects",
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
    "is_effects",
    "join_studies",
    "load_model",
    "make_splits",
    "paired_differences",
    "pathway_scores",
    "prepare",
    "read",
    "read_effects",
    "read_gmt",
    "reliability",
    "simulate",
    "summarize",
    "summarize_scores",
    "tune",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name == "pl":  # as scanpy calls its figures
        return import_module("cycseq.show.plots")
    if name not in _MODULE_OF:
        msg = f"module 'cycseq' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "pl"]
