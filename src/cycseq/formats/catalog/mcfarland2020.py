"""McFarland 2020, MIX-Seq: pools of cancer lines with drugs and knock-outs."""

from __future__ import annotations

import pandas as pd

from cycseq.data.usual_names import CONTROL
from cycseq.formats.catalog.base import UNASSIGNED, DataSet, Labelled, Sources, column, labelled, plain
from cycseq.formats.catalog.layouts import PERTPY, read_h5ad
from cycseq.io.download import RemoteFile

TAG = r"^(DMSO|Untreated|Tram)_(\d+)hr"
TREATMENT = {"DMSO": CONTROL, "Untreated": CONTROL, "Tram": "Trametinib"}


def read(sources: Sources) -> Labelled:
    """Cells of normal quality; in the time course, obs `time` lists all times and `hash_tag` says what each cell had."""
    adata = read_h5ad(sources.path("mcfarland_2020.h5ad"))
    perturbation = column(adata, "perturbation").astype(str)
    perturbation = perturbation.map({name: plain(name) for name in perturbation.unique()})
    time = column(adata, "time").astype(str) + "h"
    notes = []
    if "hash_tag" in adata.obs:
        hashed = time.str.count(",") > 1
        tag = adata.obs["hash_tag"].astype(str).str.extract(TAG)
        told = tag[0].map(TREATMENT).fillna(UNASSIGNED)
        perturbation = perturbation.where(~hashed, told)
        time = time.where(~hashed, "time-course_" + tag[1].fillna("unknown") + "h")
        notes.append(f"{int(hashed.sum()):,} cells of a time course were labelled by their hash tags")
    if "cell_quality" in adata.obs:
        poor = adata.obs["cell_quality"].astype(str) != "normal"
        perturbation = perturbation.where(~poor, UNASSIGNED)
        notes.append(f"{int(poor.sum()):,} cells are not of normal quality (doublets, low quality) and were left out")
    adata.obs["guide"] = pd.Series(pd.NA, index=adata.obs_names, dtype=object).where(
        ~perturbation.str.startswith("sg"), perturbation
    )
    return labelled(adata, perturbation=perturbation, context=column(adata, "cell_line"), batch=time, notes=notes)


MCFARLAND2020 = DataSet(
    name="mcfarland2020",
    what="209 cancer lines in pools, with drugs and with a knock-out of GPX4: 182,875 cells, counts.",
    method="drug",
    publication="McFarland et al. 2020, doi:10.1038/s41467-020-17440-w",
    read=read,
    files=(
        RemoteFile(
            f"{PERTPY}/mcfarland_2020.h5ad",
            "mcfarland2020/mcfarland_2020.h5ad",
            "sha256:94a7240047b9ce6822dc2aa1e7a66c1fd8b00be842e5a95fc72cbeb6f2834d2c",
        ),
    ),
    size="1.5 GB",
    labels="perturbation from obs perturbation (guides keep their names: sgLACZ and sgOR2J2 are the knock-out's "
    "controls, not the drugs'), in the time course from obs hash_tag; context from obs cell_line; batch is the time",
    checked="projects that list this file's columns, its oddities and its SHA-256",
)
