"""scPerturb: obs `perturbation` (`control`, `A_B`), `nperts`, `celltype`, `ncounts`, `ngenes`.

The columns are those of scPerturb's published files (sanderlab/scPerturb; its Norman file as listed in CPA's tutorial).
"""

from __future__ import annotations

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.formats.writers.base import Labels, obs_of, one_h5ad
from cycseq.preparation.normalise import library_sizes
from cycseq.preparation.quality import genes_expressed


def to_scperturb(data: PerturbationData) -> Labels:
    """The labels of scPerturb. Combinations are `A_B`, or `A+B` where a part's own name has an underscore."""
    obs = obs_of(data, perturbation=_perturbation, nperts=lambda c: len(c.parts), celltype="context", batch="batch")
    if data.scale == "counts":
        obs["ncounts"] = library_sizes(data.x)
        obs["ngenes"] = genes_expressed(data.x)
    odd = [str(c) for c in data.conditions() if len(c.parts) > 1 and "_" in c.perturbation]
    return Labels(
        obs,
        notes=(
            *((f"{len(odd)} combinations keep their + ({odd[0]}): a part's name has an underscore",) if odd else ()),
            "organism, tissue_type, disease, perturbation_type and the like are not known here: add them yourself",
        ),
    )


def _perturbation(condition: Condition) -> str:
    whole = len(condition.parts) < 2 or "_" in condition.perturbation
    return condition.perturbation if whole else "_".join(condition.parts)


SCPERTURB = one_h5ad(
    "scperturb",
    tool="scPerturb",
    what="one h5ad: perturbation (control, A_B), nperts, celltype, of counts also ncounts and ngenes",
    labels=to_scperturb,
    advice={"log1p": "scPerturb's own files hold counts"},
)
