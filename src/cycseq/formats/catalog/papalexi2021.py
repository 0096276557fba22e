"""Papalexi 2021: ECCITE-seq in THP1, the RNA part of an h5mu file."""

from __future__ import annotations

from cycseq.formats.catalog.base import DataSet, Labelled, Sources, column, labelled
from cycseq.formats.catalog.layouts import PERTPY, read_h5ad
from cycseq.io.download import RemoteFile


def read(sources: Sources) -> Labelled:
    """Modality `rna`; obs `gene_target` (`NT` is control), `guide_ID` and `replicate`, of all modalities or of rna."""
    adata = read_h5ad(sources.path("papalexi_2021.h5mu"))
    adata.obs = adata.obs.rename(columns=lambda name: str(name).removeprefix("rna:"))
    adata.obs = adata.obs.loc[:, ~adata.obs.columns.duplicated()]
    if "guide_ID" in adata.obs:
        adata.obs["guide"] = adata.obs["guide_ID"].astype(str)
    return labelled(
        adata,
        perturbation=column(adata, "gene_target").astype(str).replace({"NT": "control"}),
        context="THP1",
        batch=column(adata, "replicate"),
    )


PAPALEXI2021 = DataSet(
    name="papalexi2021",
    what="THP1, CRISPR knock-outs of 25 genes: 20,729 cells, 2,386 of them control, counts.",
    method="CRISPRko",
    publication="Papalexi et al. 2021, doi:10.1038/s41588-021-00778-2, GSE153056",
    read=read,
    files=(RemoteFile(f"{PERTPY}/papalexi_2021.h5mu", "papalexi2021/papalexi_2021.h5mu"),),
    labels="perturbation from obs gene_target (NT is control); guide from obs guide_ID; context THP1; batch from obs "
    "replicate",
    checked="projects that read this file",
)
