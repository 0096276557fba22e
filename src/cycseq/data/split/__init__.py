"""Splits: a partition of conditions (or of cells), with the claim that it supports."""

from cycseq.data.split.base import KINDS, REFERENCE, Kind, Split, SplitParts, SplitSettings
from cycseq.data.split.controls import FEWEST_CONTROLS
from cycseq.data.split.make import make_splits

__all__ = ["FEWEST_CONTROLS", "KINDS", "REFERENCE", "Kind", "Split", "SplitParts", "SplitSettings", "make_splits"]
