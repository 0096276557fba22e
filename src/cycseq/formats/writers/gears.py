"""GEARS: obs `condition` (`ctrl`, `A+ctrl`, `A+B`), `cell_type`, `dose_val`, `control`, `condition_name`; var `gene_name`.

The columns are those of `get_DE_genes` and `PertData.new_data_process` in GEARS' own code (snap-stanford/GEARS).
"""

from __future__ import annotations

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError
from cycseq.formats.writers.base import (
    Labels,
    controls_lacking,
    obs_of,
    one_h5ad,
    pooled_batches,
    pooled_contexts,
    text,
)

MAX_PARTS = 2
"""GEARS looks at the first two parts of a combination only."""


def to_gears(data: PerturbationData) -> Labels:
    """GEARS' labels; raises `DataError` for combinations of more than two."""
    obs = obs_of(data, condition=_condition, cell_type="context")
    paired = obs["condition"].str.contains("+", regex=False)
    obs["dose_val"] = paired.map({True: "1+1", False: "1"})
    obs["control"] = (~paired).astype(int)
    obs["condition_name"] = obs["cell_type"] + "_" + obs["condition"] + "_" + obs["dose_val"]
    obs["batch"] = text(data, "batch")
    absent = sorted({part for c in data.conditions() for part in c.parts} - set(data.genes))
    notes = (
        *pooled_contexts(data, "GEARS takes the control cells of all of them together; --contexts NAME writes one"),
        *pooled_batches(data, "GEARS"),
        *controls_lacking(data, "GEARS"),
        *((f"{len(absent)} perturbations name no gene of the data ({', '.join(absent[:3])})",) if absent else ()),
    )
    return Labels(obs, var={"gene_name": data.genes}, sparse=True, notes=notes)


def _condition(condition: Condition) -> str:
    if len(condition.parts) > MAX_PARTS:
        msg = (
            f"GEARS' layout cannot hold {condition}: it knows combinations of two genes, not of "
            f"{len(condition.parts)}. Leave it out with cycseq prepare --leave-out '{condition}'."
        )
        raise DataError(msg)
    return "ctrl" if condition.is_control else "+".join((*condition.parts, "ctrl")[:2])


GEARS = one_h5ad(
    "gears",
    tool="GEARS",
    what="one h5ad for PertData.new_data_process: condition (ctrl, A+ctrl, A+B), cell_type, var gene_name",
    labels=to_gears,
    advice={"counts": "GEARS trains on log1p values: run cycseq prepare first"},
)
