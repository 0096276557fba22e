"""Figures, genes and gene sets that move, and the pages."""
