"""Other tools' layouts that are written, one line each in `LAYOUTS`. Readers take them all back."""

from __future__ import annotations

from cycseq.formats.writers.base import Layout
from cycseq.formats.writers.cell_eval import CELL_EVAL
from cycseq.formats.writers.cycseq_folder import CYCSEQ
from cycseq.formats.writers.h5ad_layouts import CELL_LOAD, CPA, GEARS, PERTPY, PERTURBENCH, SCPERTURB

LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (GEARS, SCPERTURB, PERTPY, PERTURBENCH, CELL_LOAD, CPA, CYCSEQ, CELL_EVAL)
}
"""Name -> layout."""
