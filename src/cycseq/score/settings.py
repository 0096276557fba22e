"""How predicted cells are compared with real ones."""

from __future__ import annotations

from dataclasses import dataclass

from cycseq.errors import SettingsError


@dataclass
class EvaluateSettings:
    """How predicted cells are compared with real ones."""

    metrics: str | list[str] | tuple[str, ...] = "all"
    """Metrics by name, separated by commas, or the groups all, headline and means (means: none that looks at single
    predicted cells)."""
    keep_target: bool = False
    """Score a perturbed gene itself too; by default each condition leaves out the genes that it perturbs."""
    components: int = 50
    """Principal components (fitted on real control cells) for distances between cells."""
    max_cells: int = 500
    """Cells drawn from each condition for metrics of cells, and ten times as many controls; about 500 MB hold them dense
    at once, whatever the size of the data."""
    deg_alpha: float = 0.05
    """A gene is differentially expressed below this Benjamini-Hochberg adjusted p-value."""
    seed: int = 0
    """Fixes which cells are drawn."""

    def __post_init__(self) -> None:
        for name, least in (("components", 1), ("max_cells", 2), ("seed", 0)):
            if getattr(self, name) < least:
                msg = f"--{name.replace('_', '-')} is {getattr(self, name)}, but must be at least {least}."
                raise SettingsError(msg)
        if not 0 < self.deg_alpha < 1:
            msg = f"--deg-alpha must lie between 0 and 1, but is {self.deg_alpha:g}."
            raise SettingsError(msg)
