"""Runs: one fitted model in its folder, its predictions and their scores."""
