"""Positive and negative controls: what the best and the worst possible prediction would score."""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.real_side import RealSide

SPLIT_HALF = "SplitHalf"
WRONG_TARGET = " (wrong target)"


def split_half(real: RealSide, *, split: str = "", repeats: int = 10) -> pd.DataFrame:
    """A random half of the real cells predicts the other half; rows as of `evaluate`, seed is the number of the repeat."""
    raise NotImplementedError


def wrong_target(
    predicted: PerturbationData,
    real: RealSide,
    *,
    model: str,
    split: str = "",
    seed: int = 0,
    costly: bool = False,
) -> pd.DataFrame:
    """A model's own predictions, shuffled among the perturbations of each context; rows of model "<model> (wrong target)".

    `costly` scores metrics of single cells too.
    """
    raise NotImplementedError
