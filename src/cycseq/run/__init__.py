"""Runs: one fitted model in its folder, its predictions and their scores."""

from cycseq.run.folder import Run, fit_run
from cycseq.run.record import environment
from cycseq.run.scoring import evaluate_prediction, learnt_from, with_others

__all__ = ["Run", "environment", "evaluate_prediction", "fit_run", "learnt_from", "with_others"]
