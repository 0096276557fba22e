"""Everything that evaluation computes from the real cells alone: once for many models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cycseq.data.dataset import PerturbationData
from cycseq.data.pseudobulk import Responses


@dataclass
class EvaluateSettings:
    """How predicted cells are compared with real ones."""

    metrics: tuple[str, ...] = ("all",)
    """Metrics by name, or the groups all, headline and means (means: no metric that looks at single cells)."""
    keep_target: bool = False
    """Score a perturbed gene itself too; by default each condition leaves out the genes that it perturbs."""
    components: int = 50
    """Principal components (fitted on real control cells) for the distances between cells."""
    max_cells: int = 500
    """Cells drawn from each condition for metrics of single cells; one condition at a time is dense in memory."""
    deg_alpha: float = 0.05
    """A gene is differentially expressed below this Benjamini-Hochberg adjusted p-value."""
    seed: int = 0
    """Fixes which cells are drawn."""


@dataclass(frozen=True)
class RealSide:
    """The real cells of a split with all that is computed from them; made by `RealSide.of`."""

    data: PerturbationData
    settings: EvaluateSettings

    @classmethod
    def of(
        cls,
        real: PerturbationData,
        control: PerturbationData | None = None,
        *,
        training: Responses | None = None,
        settings: EvaluateSettings | None = None,
    ) -> Self:
        """Prepare the real side.

        Parameters
        ----------
        real
            Real cells of the test conditions (of more, where retrieval is to tell from more), log1p.
        control
            Real control cells of their contexts; None takes those among `real`.
        training
            Responses of everything that models learnt from, training and validation together (as ShiftModel.fit joins
            them), so that `PerturbedMean` scores 0 in `pearson_delta_specific`. None: two foreign files.
        settings
            Which metrics, and how.
        """
        raise NotImplementedError
