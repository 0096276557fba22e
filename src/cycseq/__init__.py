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
    from cycseq.data.posterior import changes
    from cycseq.formats.effects.from_cells import summarize
    from cycseq.formats.effects.kind import is_effects
    from cycseq.formats.effects.read import read_effects
    from cycseq.formats.inspect import inspect_file
    from cycseq.formats.read import read
    from cycseq.formats.settings import ReadSettings
    from cycseq.models import build_model, list_models, load_model
    from cycseq.preparation.bank import join_studies
    from cycseq.preparation.prepare import prepare
    from cycseq.preparation.settings import PrepareSettings
    from cycseq.run.answer.predict import Answer, predict
    from cycseq.run.fitting import fit_run
    from cycseq.run.folder import Run
    from cycseq.run.suggest import suggest
    from cycseq.score.coverage import coverage, coverage_by_stratum, reliability
    from cycseq.score.evaluate import evaluate
    from cycseq.score.settings import EvaluateSettings
    from cycseq.score.summary import paired_differences, summarize_scores
    from cycseq.show import plots as pl  # noqa: F401  (for type checkers: `cycseq.pl`)
    from cycseq.show.interpretation.genes import differential
    from cycseq.show.interpretation.pathways import pathway_scores, read_gmt
    from cycseq.show.report.answer_page import write_answer
    from cycseq.show.report.page import write_report
    from cycseq.simulation.generate import simulate
    from cycseq.simulation.settings import SimulateSettings
    from cycseq.split.base import Split
    from cycseq.split.make import make_splits
    from cycseq.split.settings import SplitSettings

_WHERE = {
    "benchmarking.compare": "compare",
    "benchmarking.settings": "BenchmarkSettings CompareSettings",
    "benchmarking.benchmark": "benchmark",
    "benchmarking.tuning.search": "tune",
    "benchmarking.tuning.settings": "TuneSettings",
    "data.dataset": "Condition PerturbationData",
    "data.effects": "Effects",
    "data.posterior": "changes",
    "formats.effects.from_cells": "summarize",
    "formats.effects.kind": "is_effects",
    "formats.effects.read": "read_effects",
    "formats.inspect": "inspect_file",
    "formats.read": "read",
    "formats.settings": "ReadSettings",
    "models": "build_model list_models load_model",
    "preparation.bank": "join_studies",
    "preparation.prepare": "prepare",
    "preparation.settings": "PrepareSettings",
    "run.answer.predict": "Answer predict",
    "run.fitting": "fit_run",
    "run.folder": "Run",
    "run.suggest": "suggest",
    "score.coverage": "coverage coverage_by_stratum reliability",
    "score.evaluate": "evaluate",
    "score.settings": "EvaluateSettings",
    "score.summary": "paired_differences summarize_scores",
    "show.interpretation.genes": "differential",
    "show.interpretation.pathways": "pathway_scores read_gmt",
    "show.report.answer_page": "write_answer",
    "show.report.page": "write_report",
    "simulation.generate": "simulate",
    "simulation.settings": "SimulateSettings",
    "split.base": "Split",
    "split.make": "make_splits",
    "split.settings": "SplitSettings",
}
"""The names of each module."""
_MODULE_OF = {name: f"cycseq.{module}" for module, names in _WHERE.items() for name in names.split()}

__all__ = [
    "Answer",
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
    "changes",
    "compare",
    "coverage",
    "coverage_by_stratum",
    "differential",
    "evaluate",
    "fit_run",
    "inspect_file",
    "is_effects",
    "join_studies",
    "list_models",
    "load_model",
    "make_splits",
    "paired_differences",
    "pathway_scores",
    "predict",
    "prepare",
    "read",
    "read_effects",
    "read_gmt",
    "reliability",
    "simulate",
    "suggest",
    "summarize",
    "summarize_scores",
    "tune",
    "write_answer",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name == "pl":  # as scanpy calls its figures
        return import_module("cycseq.show.plots")
    if name == "__version__":
        return import_module("importlib.metadata").version("cycseq")
    if name not in _MODULE_OF:
        msg = f"module 'cycseq' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(_MODULE_OF[name]), name)
    return _with_fields(value) if name.endswith("Settings") else value


def _with_fields(kind: type) -> type:
    """The class, its help with the text of every field, which Python itself does not show."""
    if "\n\nFields::\n" not in (kind.__doc__ or ""):
        texts = import_module("cycseq.settings").field_texts(kind).items()
        fields = "\n".join(f"    {name}\n        {' '.join(text.split())}" for name, text in texts)
        kind.__doc__ = f"{kind.__doc__}\n\nFields::\n\n{fields}\n"
    return kind


def __dir__() -> list[str]:
    return [*__all__, "pl"]
