"""Figures of results. Every function draws into the axes it is given (or new ones) and returns them.

``cycseq.pl`` is this package: ``cycseq.pl.delta_scatter(...)``.
"""

from cycseq.show.plots.base import BLUE, GREEN, INK, LINE, MUTED, ORANGE, PALETTE, PURPLE, SKY, VERMILION, new_axes
from cycseq.show.plots.distributions import gene_distribution, gene_means, mean_variance, zero_fractions
from cycseq.show.plots.doses import dose_response
from cycseq.show.plots.embedding import Plane, cells_map, pca_plane, points_map, umap_plane
from cycseq.show.plots.gene_sets import pathways
from cycseq.show.plots.responses import delta_scatter, top_genes, volcano
from cycseq.show.plots.retrieval import retrieval_heatmap
from cycseq.show.plots.scores import bars_with_ceiling, dot_intervals, loss_curves
from cycseq.show.plots.uncertainty import calibration_curve, reliability_curve, variance_left

__all__ = [
    "BLUE", "GREEN", "INK", "LINE", "MUTED", "ORANGE", "PALETTE", "PURPLE", "SKY", "VERMILION", "Plane",
    "bars_with_ceiling", "calibration_curve", "cells_map", "delta_scatter", "dose_response", "dot_intervals",
    "gene_distribution", "gene_means", "loss_curves", "mean_variance", "new_axes", "pathways", "pca_plane",
    "points_map", "reliability_curve", "retrieval_heatmap", "top_genes", "umap_plane", "variance_left", "volcano",
    "zero_fractions",
]  # fmt: skip
