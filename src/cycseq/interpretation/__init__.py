"""What a response means: genes that differ, pathways that move, and whether the stated uncertainty holds."""

from cycseq.interpretation.genes import differential
from cycseq.interpretation.intervals import coverage
from cycseq.interpretation.pathways import PathwaySettings, pathway_scores, read_gmt, set_deltas

__all__ = ["PathwaySettings", "coverage", "differential", "pathway_scores", "read_gmt", "set_deltas"]
