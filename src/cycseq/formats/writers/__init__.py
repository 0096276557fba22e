"""Other tools' layouts that are written: one layout, one file, one line in `LAYOUTS`. Readers take them all back."""

from __future__ import annotations

from cycseq.formats.writers import cell_eval, cell_load, cpa, cycseq_folder, gears, pertpy, perturbench, scperturb
from cycseq.formats.writers.base import Layout

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        gears.GEARS,
        scperturb.SCPERTURB,
        pertpy.PERTPY,
        perturbench.PERTURBENCH,
        cell_load.CELL_LOAD,
        cpa.CPA,
        cycseq_folder.CYCSEQ,
        cell_eval.CELL_EVAL,
    )
}
"""Name -> layout."""
