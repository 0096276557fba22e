"""cell-load and State: obs `gene` (`non-targeting`), `cell_type`, `gem_group`; var `gene_name`.

The columns are the defaults of `PerturbationDataModule` and `filter_on_target_knockdown` (ArcInstitute/cell-load).
"""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.formats.writers.base import Labels, Layout, column, controls_lacking, one_file, perturbations, renamed


def to_cell_load(data: PerturbationData) -> Labels:
    """The labels of `pert_col=gene`, `cell_type_key=cell_type`, `batch_col=gem_group`, `control_pert=non-targeting`."""
    obs = pd.DataFrame(
        {
            "gene": perturbations(data, renamed("non-targeting")),
            "cell_type": column(data, "context"),
            "gem_group": column(data, "batch"),
        },
        index=data.adata.obs.index,
    )
    combined = [c for c in data.conditions() if len(c.parts) > 1]
    several = (
        (f"{len(combined)} combinations (first: {combined[0]}): cell-load takes each for a perturbation of its own",)
        if combined
        else ()
    )
    return Labels(obs, var={"gene_name": data.genes}, notes=(*several, *controls_lacking(data, "cell-load")))


CELL_LOAD = Layout(
    name="cell-load",
    tool="cell-load",
    what="one h5ad for cell-load and State: gene (non-targeting), cell_type, gem_group",
    write=one_file(to_cell_load, "cell-load", "cell-load", compression=None),  # it reads rows while it trains
    advice={"counts": "State trains on log1p values: run cycseq prepare first, or state tx preprocess_train"},
)
