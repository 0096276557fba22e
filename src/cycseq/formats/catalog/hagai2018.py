"""Hagai 2018: phagocytes of four species with and without lipopolysaccharide."""

from __future__ import annotations

from cycseq.formats.catalog.base import DataSet, Labelled, Sources, column, labelled
from cycseq.formats.catalog.layouts import PERTPY, read_h5ad
from cycseq.io.download import RemoteFile


def read(sources: Sources) -> Labelled:
    """Obs `condition` (`unst`, `LPS6`), `species`, and `individual` where there is one."""
    adata = read_h5ad(sources.path("hagai_2018.h5ad"))
    species = column(adata, "species").astype(str)
    individual = next((adata.obs[name] for name in ("individual", "replicate", "batch") if name in adata.obs), None)
    return labelled(
        adata,
        perturbation=column(adata, "condition").astype(str).replace({"unst": "control"}),
        context=species,
        batch=species if individual is None else species + "/" + individual.astype(str),
    )


HAGAI2018 = DataSet(
    name="hagai2018",
    what="Phagocytes of mouse, rat, rabbit and pig, with and without lipopolysaccharide, log1p.",
    method="cytokine",
    publication="Hagai et al. 2018, doi:10.1038/s41586-018-0657-2",
    read=read,
    files=(RemoteFile(f"{PERTPY}/hagai_2018.h5ad", "hagai2018/hagai_2018.h5ad"),),
    labels="perturbation from obs condition (unst is control, LPS6); context from obs species; batch from obs "
    "individual or replicate",
    checked="projects that read condition and species, and say that values are fractional; the column of the animals "
    "was seen in a copy of the same data only",
)
