"""Runs: one fitted model in its folder, its predictions and their scores."""

from cycseq.run.embedding import IntegrationSettings, embed, score_embeddings
from cycseq.run.facts import asked_otherwise
from cycseq.run.fitting import fit_run, progress_of
from cycseq.run.folder import Run
from cycseq.run.pairs import evaluate_pairs, pairs_of
from cycseq.run.parts import learnt_from, log1p_parts, with_others
from cycseq.run.record import environment
from cycseq.run.repeating import Compared, Repetition, repeat_run, table_compared
from cycseq.run.scoring import evaluate_prediction
from cycseq.run.tables import read_table

__all__ = [
    "Compared",
    "IntegrationSettings",
    "Repetition",
    "Run",
    "asked_otherwise",
    "embed",
    "environment",
    "evaluate_pairs",
    "evaluate_prediction",
    "fit_run",
    "learnt_from",
    "log1p_parts",
    "pairs_of",
    "progress_of",
    "read_table",
    "repeat_run",
    "score_embeddings",
    "table_compared",
    "with_others",
]
