"""Splits: a partition of conditions (or of cells), with the claim that it supports."""
