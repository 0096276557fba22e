"""What every reader of effects gives: rows x genes as they stand in the file, with what the file says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cycseq.data.effects import EffectValues

PERTURBATIONS = ("pert_iname", "pert_name", "cmap_name", "sm_name", "compound", "pert_id")
"""Columns of perturbations besides those that files of cells have."""
CONTEXTS = ("cell_iname", "cell_id", "cell", "tissue")
ORIGINS = ("batch", "plate", "well", "pool_id", "det_plate", "donor", "study")
"""Columns that tell what conditions have in common besides biology: of several rows all are named, joined by ``|``."""
ERRORS = ("se", "lfcse", "std_error", "stderr", "standard_error", "sem")
"""Layers and columns of standard errors, in lower case."""


@dataclass(frozen=True)
class EffectTable:
    """A table of effects as it is: nothing renamed, nothing converted."""

    values: EffectValues
    """Rows x genes, NaN where nothing was measured."""
    obs: pd.DataFrame
    """Labels of the rows."""
    genes: pd.Index
    se: EffectValues | None = None
    """Standard errors of `values`, in their unit."""
    uns: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of itself."""
    source: str = ""
    """Where the values stand, in a word that may tell their scale: the name of a layer or column."""
    format: str = ""
    """In words, for people."""
    notes: tuple[str, ...] = ()
