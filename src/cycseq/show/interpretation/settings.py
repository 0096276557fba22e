"""How pathways are tested."""

from dataclasses import dataclass

from cycseq.errors import SettingsError


@dataclass
class PathwaySettings:
    """How pathways are tested."""

    fewest: int = 5
    """Sets with fewer genes among those of the data are left out."""
    most: int = 1000
    """Sets with more genes among those of the data are left out."""
    correlation: float = 0.01
    """Assumed correlation of the ranks of genes of one set; 0 is Wilcoxon's test, which takes genes as independent."""

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            msg = f"sets of {self.fewest} to {self.most} genes make no sense: use --fewest 5 --most 1000."
            raise SettingsError(msg)
        if not 0 <= self.correlation < 1:
            raise SettingsError(f"--correlation is {self.correlation:g}, but must be at least 0 and below 1.")
