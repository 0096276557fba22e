"""Runs: one fitted model in its folder, its predictions and their scores."""

from cycseq.run.fitting import fit_run, progress_of
from cycseq.run.folder import Run
from cycseq.run.parts import learnt_from, log1p_parts, with_others
from cycseq.run.record import environment
from cycseq.run.scoring import evaluate_prediction

__all__ = [
    "Run",
    "environment",
    "evaluate_prediction",
    "fit_run",
    "learnt_from",
    "log1p_parts",
    "progress_of",
    "with_others",
]
