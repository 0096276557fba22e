"""Kriging over conditions: pure NumPy numerics, no AnnData and no torch."""
