"""Frangieh 2021: Perturb-CITE-seq in melanoma cells, alone, with interferon-gamma and with T cells."""

from __future__ import annotations

import pandas as pd

from cycseq.data.usual_names import CONTROL
from cycseq.formats.catalog.base import UNASSIGNED, DataSet, Labelled, Sources, column, labelled
from cycseq.formats.catalog.layouts import PERTPY, read_h5ad
from cycseq.io.download import RemoteFile

CONTEXTS = {
    "control": "melanoma",
    "ifn\N{GREEK SMALL LETTER GAMMA}": "melanoma_IFNg",
    "co-culture": "melanoma_co-culture",
}
NO_GENE = r"(?i)^(?:NO_SITE|ONE_NON-GENE_SITE|ONE_INTERGENIC_SITE|non-targeting|control)"
NO_GUIDE = {"", "nan", "none", "na"}


def perturbation_of(guide: str) -> str:
    """``IFNGR2_2`` -> ``IFNGR2``; ``NO_SITE_12`` -> ``control``; ``nan`` -> none."""
    return UNASSIGNED if guide.casefold() in NO_GUIDE else guide.rpartition("_")[0] or guide


def read(sources: Sources) -> Labelled:
    """Obs `condition` is the context, `sgRNA` the perturbation; cells with several guides (obs `MOI`) have none."""
    adata = read_h5ad(sources.path("frangieh_2021.h5ad"))
    guide = column(adata, "sgRNA").astype(object).astype(str)
    perturbation = guide.map({name: perturbation_of(name) for name in guide.unique()})
    perturbation = perturbation.where(~guide.str.contains(NO_GENE), CONTROL)
    notes = []
    if "MOI" in adata.obs:
        several = pd.to_numeric(adata.obs["MOI"].astype(str), errors="coerce") > 1
        perturbation = perturbation.where(~several, UNASSIGNED)
        notes.append(f"{int(several.sum()):,} cells have several guides (obs MOI)")
    adata.obs["guide"] = guide
    condition = column(adata, "condition").astype(str)
    return labelled(
        adata,
        perturbation=perturbation,
        context=condition.map(lambda name: CONTEXTS.get(name.casefold(), f"melanoma_{name}")),
        notes=notes,
    )


FRANGIEH2021 = DataSet(
    name="frangieh2021",
    what="Melanoma cells alone, with interferon-gamma and with T cells, CRISPR knock-outs of 248 genes: 218,331 cells.",
    method="CRISPRko",
    publication="Frangieh et al. 2021, doi:10.1038/s41588-021-00779-1, SCP1064",
    read=read,
    files=(RemoteFile(f"{PERTPY}/frangieh_2021.h5ad", "frangieh2021/frangieh_2021.h5ad"),),
    size="about 1 GB",
    labels="context from obs condition (Control, IFN-gamma written with the Greek letter, Co-culture); perturbation from obs sgRNA (GENE_1; NO_SITE_1 and "
    "ONE_NON-GENE_SITE_1 are control); cells without a guide or with several are left out; no batch is known",
    checked="projects that list the columns condition, MOI and sgRNA (GENE_1); how control guides are called is the "
    "study's own naming and was not seen in this file",
)
