"""Cells at real depth and sparsity around a predicted mean."""
