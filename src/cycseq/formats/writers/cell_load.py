"""cell-load and State: obs `gene` (`non-targeting`), `cell_type`, `gem_group`; var `gene_name`.

The columns are the defaults of `PerturbationDataModule` and `filter_on_target_knockdown` (ArcInstitute/cell-load).
"""

from __future__ import annotations

from cycseq.data.dataset import PerturbationData
from cycseq.formats.writers.base import Labels, controls_lacking, obs_of, one_h5ad, renamed


def to_cell_load(data: PerturbationData) -> Labels:
    """The labels of `pert_col=gene`, `cell_type_key=cell_type`, `batch_col=gem_group`, `control_pert=non-targeting`."""
    obs = obs_of(data, gene=renamed("non-targeting"), cell_type="context", gem_group="batch")
    combined = [c for c in data.conditions() if len(c.parts) > 1]
    several = (
        (f"{len(combined)} combinations (first: {combined[0]}): cell-load takes each for a perturbation of its own",)
        if combined
        else ()
    )
    return Labels(obs, var={"gene_name": data.genes}, notes=(*several, *controls_lacking(data, "cell-load")))


CELL_LOAD = one_h5ad(
    "cell-load",
    tool="cell-load",
    what="one h5ad for cell-load and State: gene (non-targeting), cell_type, gem_group",
    labels=to_cell_load,
    compression=None,  # it reads rows while it trains
    advice={"counts": "State trains on log1p values: run cycseq prepare first, or state tx preprocess_train"},
)
