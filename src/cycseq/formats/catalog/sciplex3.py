"""Srivatsan 2020, sciplex3: 188 drugs in four doses on three cell lines."""

from __future__ import annotations

import pandas as pd

from cycseq.data.usual_names import CONTROL
from cycseq.formats.catalog.base import DataSet, Labelled, Sources, column, labelled, plain
from cycseq.formats.catalog.layouts import PERTPY, read_h5ad
from cycseq.io.download import RemoteFile

LATE = 72.0


def read(sources: Sources) -> Labelled:
    """A drug in all its doses is one perturbation, obs `dose_value` tells them apart; cells after 72 h are own contexts."""
    adata = read_h5ad(sources.path("srivatsan_2020_sciplex3.h5ad"))
    drug = column(adata, "perturbation", "product_name").astype(str)
    control = drug.str.casefold().isin(["control", "vehicle"])
    if "vehicle" in adata.obs:
        control |= adata.obs["vehicle"].astype(str).str.casefold() == "true"
    line = column(adata, "cell_line", "cell_type").astype(str)
    late = pd.Series(data=False, index=adata.obs_names)
    if "time" in adata.obs:
        late = pd.to_numeric(adata.obs["time"].astype(str), errors="coerce") == LATE
    if "dose" in adata.obs and "dose_value" not in adata.obs:
        adata.obs["dose_value"] = adata.obs["dose"]
    notes = [f"{int(late.sum()):,} cells were treated for {LATE:g} h: their contexts end in _72h"] if late.any() else []
    return labelled(
        adata,
        perturbation=drug.map({name: plain(name) for name in drug.unique()}).where(~control, CONTROL),
        context=line.where(~late, line + "_72h"),
        batch=column(adata, "plate", "replicate"),
        notes=notes,
    )


SCIPLEX3 = DataSet(
    name="sciplex3",
    what="A549, K562 and MCF7 with 188 drugs in four doses: 799,317 cells, counts.",
    method="drug",
    publication="Srivatsan et al. 2020, doi:10.1126/science.aax6234, GSE139944",
    read=read,
    files=(RemoteFile(f"{PERTPY}/srivatsan_2020_sciplex3.h5ad", "sciplex3/srivatsan_2020_sciplex3.h5ad"),),
    size="2.5 GB",
    labels="perturbation from obs perturbation or product_name (vehicle is control; + in a name is written plus); "
    "context from obs cell_line, with _72h after 72 hours; batch from obs plate; dose in obs dose_value",
    checked="a project that lists this file's columns and shape",
)
