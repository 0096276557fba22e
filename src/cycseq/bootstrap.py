"""Means with paired bootstrap intervals over test conditions, ranks, wins, and calibrated scores."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def summarise(metrics: pd.DataFrame, *, baselines: Sequence[str], draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """One row per split group, metric and model.

    Columns: split (the kind: text before ":"), metric, model, mean, low, high, n_conditions, n_contexts, n_undefined,
    rank, ceiling, null, null_model, score, cannot_tell, beats, ties, loses_to (names of baselines, joined by ", ").
    """
    raise NotImplementedError


def paired_differences(
    metrics: pd.DataFrame, *, baselines: Sequence[str], draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """One row per split group, metric, model and baseline: difference (model minus baseline), low, high, verdict.

    Verdict: "beats", "loses", "ties" or "" where it is undefined.
    """
    raise NotImplementedError
