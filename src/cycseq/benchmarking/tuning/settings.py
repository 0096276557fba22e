"""What is tuned, and how."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cycseq.errors import check_at_least

Objective = Literal["mse_ratio", "pearson_delta", "both"]


@dataclass(frozen=True)
class TuneSettings:
    """Which model, how many trials, and what makes one better than another."""

    model: str
    """The model (cycseq list models)."""
    trials: int = 20
    """Settings that are tried in all, those of earlier calls counted; the first are the model's defaults."""
    objective: Objective = "mse_ratio"
    """What is best: the lowest mse_ratio, the highest pearson_delta, or both: the lowest mean of mse_ratio and
    1 - pearson_delta."""
    folds: int | None = None
    """Inner folds, at most; without it, every training context in turn, or three draws where no context is held out."""
    space: Path | None = None
    """YAML or JSON file of ranges, which replace or join those of the model: a list of values to choose from for a
    setting (one value: it is fixed), or low, high and log."""
    seed: int = 0
    """Fixes what is tried, the inner folds and the fits."""

    def __post_init__(self) -> None:
        check_at_least(1, trials=self.trials, folds=self.folds)
        check_at_least(0, seed=self.seed)

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Whether a low or a high objective is best."""
        return "maximize" if self.objective == "pearson_delta" else "minimize"

    def value(self, mse_ratio: float, pearson_delta: float) -> float:
        """The objective of these scores."""
        if self.objective == "both":
            return (mse_ratio + 1.0 - pearson_delta) / 2.0
        return mse_ratio if self.objective == "mse_ratio" else pearson_delta
