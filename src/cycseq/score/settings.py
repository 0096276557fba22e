"""How predicted cells are compared with real ones."""

from dataclasses import dataclass

from cycseq.errors import SettingsError, check_at_least


@dataclass
class EvaluateSettings:
    """How predicted cells are compared with real ones."""

    metrics: str | list[str] | tuple[str, ...] = "all"
    """Metrics by name, separated by commas, or the groups all, headline, means (none that looks at single predicted cells)
    and vcc2026 (the six of the Virtual Cell Challenge 2026, of counts; not among all)."""
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
        check_at_least(1, components=self.components)
        check_at_least(2, max_cells=self.max_cells)
        check_at_least(0, seed=self.seed)
        if not 0 < self.deg_alpha < 1:
            raise SettingsError(f"--deg-alpha must lie between 0 and 1, but is {self.deg_alpha:g}.")
