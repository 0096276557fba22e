"""What a response means: genes that differ, pathways that move, and whether the stated uncertainty holds."""

from cycseq.interpretation.genes import differential
from cycseq.interpretation.intervals import coverage, coverage_by_stratum, reliability
from cycseq.interpretation.pathways import PathwaySettings, pathway_scores, read_gmt, set_deltas

__all__ = [
    "PathwaySettings",
    "coverage",
    "coverage_by_stratum",
    "differential",
    "pathway_scores",
    "read_gmt",
    "reliability",
    "set_deltas",
]
