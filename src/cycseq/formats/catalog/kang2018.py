"""Kang 2018: PBMC with and without interferon-beta."""

from __future__ import annotations

from cycseq.formats.catalog.base import DataSet, Labelled, Sources, column, labelled
from cycseq.formats.catalog.layouts import PERTPY, read_h5ad
from cycseq.io.download import RemoteFile


def read(sources: Sources) -> Labelled:
    """Obs `label` (`ctrl`, `stim`), `cell_type`, and `replicate`, the donor."""
    adata = read_h5ad(sources.path("kang_2018.h5ad"))
    return labelled(
        adata,
        perturbation=column(adata, "label", "condition").astype(str).replace({"ctrl": "control"}),
        context=column(adata, "cell_type"),
        batch=column(adata, "replicate", "donor", "patient"),
    )


KANG2018 = DataSet(
    name="kang2018",
    what="Eight types of PBMC of eight donors, with and without interferon-beta: 24,673 cells, counts.",
    method="cytokine",
    publication="Kang et al. 2018, doi:10.1038/nbt.4042, GSE96583",
    read=read,
    files=(RemoteFile(f"{PERTPY}/kang_2018.h5ad", "kang2018/kang_2018.h5ad"),),
    labels="perturbation from obs label (ctrl, stim); context from obs cell_type; batch from obs replicate (donor)",
    checked="projects that read this file",
)
