"""What a metric is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from cycseq.arrays import Cells, Mask, Profile, Profiles

FLAT = 1e-5
"""A delta whose largest absolute value is below this is no change at all (float32 rounding), in log1p units."""

Scores = Float[np.ndarray, "conditions"]


@dataclass(frozen=True)
class Comparison:
    """Predicted and real conditions of ONE context, side by side; row i of everything is perturbation i."""

    context: str
    perturbations: tuple[str, ...]
    genes: tuple[str, ...]
    real_mean: Profiles
    predicted_mean: Profiles
    control_mean: Profile
    reference_mean: Profiles | None
    """mu_all of each condition: mean of the other TRAINING perturbations, as `PerturbedMean` predicts it;
    None where fewer than two training perturbations exist."""
    kept: Mask
    """False at the genes that a condition perturbs, which its scores leave out."""
    others_mean: Profiles
    """Means of all real perturbations of the context that retrieval may confuse (the compared ones among them)."""
    others: tuple[str, ...]
    real_cells: tuple[Cells, ...]
    predicted_cells: tuple[Cells, ...]
    control_cells: Cells
    seed: int = 0
    """Fixes which cells are drawn where a metric needs equal numbers."""
    cache: dict[str, object] = field(default_factory=dict, compare=False, repr=False)
    """Results that several metrics share (tests of differential expression, principal components)."""


@dataclass(frozen=True)
class Metric:
    """A named formula with its source, best value and direction."""

    name: str
    compute: Callable[[Comparison], Scores]
    """One value per perturbation; NaN where the metric is undefined."""
    best: float
    direction: Literal["higher", "lower", "target"]
    """``target``: nearer to `best` is better."""
    formula: str
    source: str
    caution: str
    """How it can be gamed."""
    costly: bool = False
    """Looks at cells, not only at means."""
