"""Splits: a partition of conditions (or of cells), with the claim that it supports."""

from cycseq.data.split.base import KINDS, Kind, Split, SplitParts, SplitSettings
from cycseq.data.split.make import make_splits

__all__ = ["KINDS", "Kind", "Split", "SplitParts", "SplitSettings", "make_splits"]
