"""Predicted against real cells: one tidy table with every metric of every condition."""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.pseudobulk import Responses
from cycseq.real_side import EvaluateSettings, RealSide

__all__ = ["COLUMNS", "EvaluateSettings", "RealSide", "evaluate"]

COLUMNS = ("model", "split", "seed", "context", "perturbation", "metric", "value")


def evaluate(
    predicted: PerturbationData,
    real: PerturbationData | RealSide,
    control: PerturbationData | None = None,
    *,
    training: Responses | None = None,
    settings: EvaluateSettings | None = None,
    model: str = "predicted",
    split: str = "",
    seed: int = 0,
) -> pd.DataFrame:
    """Every metric of every predicted condition, with the columns `COLUMNS`.

    Parameters
    ----------
    predicted
        Predicted cells, log1p; control cells among them are ignored.
    real
        Real cells, log1p, or a `RealSide` made from them once for many models (then `control`, `training` and
        `settings` are those of the `RealSide`).
    control
        Real control cells; None takes those among the real cells.
    training
        Responses of the conditions that models learnt from; see `RealSide.of`.
    settings
        Which metrics, and how.
    model, split, seed
        What the table's columns of these names say.
    """
    raise NotImplementedError
