"""Adamson 2016, as GEARS prepared it (log1p)."""

from __future__ import annotations

from cycseq.formats.catalog.base import DataSet
from cycseq.formats.catalog.layouts import DATAVERSE, gears_zip
from cycseq.io.download import RemoteFile

ADAMSON2016 = DataSet(
    name="adamson2016",
    what="K562, CRISPRi of genes of the unfolded protein response, log1p (GEARS file).",
    method="CRISPRi",
    publication="Adamson et al. 2016, doi:10.1016/j.cell.2016.11.048, GSE90546",
    read=gears_zip("K562"),
    files=(RemoteFile(f"{DATAVERSE}/6154417", "adamson2016/adamson.zip"),),
    labels="perturbation from obs condition; context K562; batch from the lane at the end of the barcode, if there",
    checked="GEARS' own loader",
)
