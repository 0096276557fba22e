"""Replogle 2022, essential screens in K562 and RPE1: GEARS' log1p files, and the authors' counts and standardised values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cycseq.formats.catalog.base import DataSet, Labelled, Sources, column, labelled
from cycseq.formats.catalog.layouts import DATAVERSE, FIGSHARE, gears_zip, read_h5ad, sparse_h5ad
from cycseq.io.download import RemoteFile

PUBLICATION = "Replogle et al. 2022, doi:10.1016/j.cell.2022.05.013"
LABELS = "perturbation from obs gene (non-targeting is control); guide from obs sgID_AB; batch from obs gem_group"
CHECKED = "projects that read these files and list the MD5 that figshare shows"
GEARS_IDS = {"K562": 7458695, "RPE1": 7458694}
COUNTS = {
    "K562": (35773219, "K562_essential_raw_singlecell_01.h5ad", "md5:4f1122ce1c7f13299a68df6459a266d3"),
    "RPE1": (35775606, "rpe1_raw_singlecell_01.h5ad", "md5:6a2a9d0d2bf4ec147f4d1104043b268c"),
}
STANDARDISED = {
    "K562": (35773075, "K562_essential_normalized_singlecell_01.h5ad", "md5:f1e221fbf6eac774c21c4242ed440c3f"),
    "RPE1": (35775554, "rpe1_normalized_singlecell_01.h5ad", "md5:2c36a053960f3fae157adacdbccd4485"),
}


def screen(line: str, *, standardised: bool = False) -> Callable[[Sources], Labelled]:
    """Read the authors' h5ad of one line; counts, which are stored dense, become CSR."""

    def read(sources: Sources) -> Labelled:
        (path,) = sources.files.values()
        adata = (read_h5ad if standardised else sparse_h5ad)(path)
        notes = []
        if standardised:  # a gene without spread in the controls of a lane was divided by zero
            finite = np.isfinite(adata.X).all(axis=0)
            adata = adata[:, finite].copy()
            notes = [f"{int((~finite).sum()):,} genes with values that are no numbers were left out"]
        adata.obs["guide"] = column(adata, "sgID_AB").astype(str)
        return labelled(
            adata,
            perturbation=column(adata, "gene").astype(str).replace({"non-targeting": "control"}),
            context=line,
            batch=column(adata, "gem_group"),
            notes=notes,
        )

    return read


def _gears(line: str) -> DataSet:
    name = f"replogle2022_{line.lower()}"
    return DataSet(
        name=name,
        what=f"{line}, CRISPRi of essential genes, log1p, a part of the screen (GEARS file).",
        method="CRISPRi",
        publication=PUBLICATION,
        read=gears_zip(line),
        files=(RemoteFile(f"{DATAVERSE}/{GEARS_IDS[line]}", f"{name}/{name}.zip"),),
        labels=f"perturbation from obs condition; context {line}; batch from the lane at the end of the barcode",
        checked="GEARS' own loader",
    )


def _counts(line: str) -> DataSet:
    name = f"replogle2022_{line.lower()}_counts"
    number, file, known = COUNTS[line]
    return DataSet(
        name=name,
        what=f"{line}, CRISPRi of about 2,000 essential genes: counts, the whole screen.",
        method="CRISPRi",
        publication=PUBLICATION,
        read=screen(line),
        files=(RemoteFile(f"{FIGSHARE}/{number}", f"{name}/{file}", known),),
        size="10.7 GB" if line == "K562" else "8.7 GB",
        labels=f"{LABELS}; context {line}",
        checked=CHECKED,
        scale="counts",
    )


def _standardised(line: str) -> DataSet:
    name = f"replogle2022_{line.lower()}_normalized"
    number, file, known = STANDARDISED[line]
    return DataSet(
        name=name,
        what=f"{line}, CRISPRi of about 2,000 essential genes: standardised to the controls of each lane (scaled).",
        method="CRISPRi",
        publication=PUBLICATION,
        read=screen(line, standardised=True),
        files=(RemoteFile(f"{FIGSHARE}/{number}", f"{name}/{file}", known),),
        size="10.7 GB" if line == "K562" else "8.7 GB",
        labels=f"{LABELS}; context {line}",
        checked=f"{CHECKED}; cycseq prepare refuses scaled values, the counts are {_counts(line).name}",
        scale="scaled",
    )


REPLOGLE2022 = tuple(make(line) for make in (_gears, _counts, _standardised) for line in GEARS_IDS)
