"""Splits: a partition of conditions (or of cells), with the claim that it supports."""

from cycseq.data.split.base import KINDS, REFERENCE, Kind, Split, SplitParts, SplitSettings
from cycseq.data.split.controls import FEWEST_CONTROLS, GIVEN, against_reference, held_back_controls, shared_contexts
from cycseq.data.split.make import make_splits

__all__ = [
    "FEWEST_CONTROLS",
    "GIVEN",
    "KINDS",
    "REFERENCE",
    "Kind",
    "Split",
    "SplitParts",
    "SplitSettings",
    "against_reference",
    "held_back_controls",
    "make_splits",
    "shared_contexts",
]
