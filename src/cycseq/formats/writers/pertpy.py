"""scGen in pertpy: obs `label` (`ctrl`, `stim`), `cell_type`, `replicate`, as in pertpy's Kang file (scverse/pertpy)."""

from __future__ import annotations

from cycseq.data.dataset import PerturbationData
from cycseq.formats.writers.base import Labels, controls_lacking, obs_of, one_h5ad, renamed


def to_pertpy(data: PerturbationData) -> Labels:
    """The labels of `SCGEN.setup_anndata(adata, batch_key="label", labels_key="cell_type")`."""
    obs = obs_of(data, label=renamed("ctrl"), cell_type="context", replicate="batch")
    n = len(data.perturbations)
    many = (f"{n} perturbations: scGen predicts one at a time, its stim_key",) if n > 1 else ()
    return Labels(obs, notes=(*many, *controls_lacking(data, "scGen")))


PERTPY = one_h5ad(
    "pertpy",
    tool="pertpy",
    what="one h5ad for pertpy's scGen: label (ctrl, ...), cell_type, replicate",
    labels=to_pertpy,
    advice={"counts": "scGen trains on log1p values: run cycseq prepare first"},
)
