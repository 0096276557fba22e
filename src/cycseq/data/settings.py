"""What users may say of a file's labels and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SaidScale = Literal["counts", "log1p", "log2", "normalised", "scaled"]
"""What users say of a file: `log2` is log2(1 + x), and `normalised` has no logarithm; both become `log1p`."""
SaidEffectScale = Literal["log_pseudobulk", "log_fold_change", "log2_fold_change", "z", "rank"]
"""What users say of a table of effects, besides `log1p`: logarithms to base 2 become natural ones."""
OtherControls = Literal["leave-out", "keep"]


@dataclass(frozen=True)
class ObsKeys:
    """Which obs columns to use; what is left out is found by its usual names."""

    perturbation: str | None = None
    """Column of the perturbation label of each cell."""
    context: str | None = None
    """Column of the cell line or cell type."""
    batch: str | None = None
    """Column of the batch, donor or replicate."""
    control: str | Sequence[str] | None = None
    """Label of the control cells; several (a sequence, or joined by commas) are one control together, and each may be a
    pattern (``non-targeting*``); `none` where the file has no control cells."""
    other_controls: OtherControls = "leave-out"
    """What becomes of cells with a label that looks like a control and is not among `control`: they are left out, or
    kept as a perturbation."""
    guide_suffix: str | None = None
    """What the labels of guides end in, as a regular expression (``_g\\d+``), or ``auto``: the guides of a gene are then
    one perturbation."""
    split_by: str | None = None
    """Column, such as the time, each level of which is a context of its own: ``K562_time_24``."""
