"""The comparison of seed 2: what networks reconstruct and generate of cells like those that they were trained on."""

from cycseq.comparison.compare import ComparisonResult, compare
from cycseq.comparison.scoring import summary
from cycseq.comparison.settings import CompareSettings

__all__ = ["CompareSettings", "ComparisonResult", "compare", "summary"]
