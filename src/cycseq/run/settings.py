"""What the scores of an embedding look at."""

from dataclasses import dataclass
from typing import Literal

from cycseq.errors import check_at_least

Aim = Literal["score", "mse", "pds"]
"""What the amplitude of predicted counts is learned for: all members of the Virtual Cell Challenge, its error, or its retrieval."""
CellForm = Literal["cells", "counts"]
"""How cells are predicted: as a model makes them, log1p; or as counts of real depth around the effects that it predicts."""
Form = Literal["cells", "counts", "effects"]
"""What is predicted: cells in one of these forms, or effects of whole conditions."""


@dataclass(frozen=True)
class IntegrationSettings:
    """What an embedding shall mix, and what it shall keep apart."""

    mixed: Literal["batch", "context"] = "batch"
    """What shall be mixed."""
    kept: Literal["condition", "perturbation", "context"] = "condition"
    """What shall be kept apart; with `mixed` context, say perturbation."""
    score_cells: int = 5_000
    """Cells, drawn at random, that the scores are computed from at most."""
    score_seed: int = 0
    """Fixes which."""

    def __post_init__(self) -> None:
        check_at_least(100, score_cells=self.score_cells)
        check_at_least(0, score_seed=self.score_seed)
