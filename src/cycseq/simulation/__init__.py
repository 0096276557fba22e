"""Simulated cells whose true responses and true pairs are known."""
