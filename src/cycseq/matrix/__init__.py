"""Matrices of cells, in memory or in their file: sums over groups of cells, blocks, a cluster to compute on."""
