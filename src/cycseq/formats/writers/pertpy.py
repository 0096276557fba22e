"""scGen in pertpy: obs `label` (`ctrl`, `stim`), `cell_type`, `replicate`, as in pertpy's Kang file (scverse/pertpy)."""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.formats.writers.base import Labels, Layout, column, controls_lacking, one_file, perturbations, renamed


def to_pertpy(data: PerturbationData) -> Labels:
    """The labels of `SCGEN.setup_anndata(adata, batch_key="label", labels_key="cell_type")`."""
    obs = pd.DataFrame(
        {
            "label": perturbations(data, renamed("ctrl")),
            "cell_type": column(data, "context"),
            "replicate": column(data, "batch"),
        },
        index=data.adata.obs.index,
    )
    n = len(data.perturbations)
    many = (f"{n} perturbations: scGen predicts one at a time, its stim_key",) if n > 1 else ()
    return Labels(obs, notes=(*many, *controls_lacking(data, "scGen")))


PERTPY = Layout(
    name="pertpy",
    tool="pertpy",
    what="one h5ad for pertpy's scGen: label (ctrl, ...), cell_type, replicate",
    write=one_file(to_pertpy, "pertpy", "pertpy"),
    advice={"counts": "scGen trains on log1p values: run cycseq prepare first"},
)
