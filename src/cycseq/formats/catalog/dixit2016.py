"""Dixit 2016, as GEARS prepared it (log1p)."""

from __future__ import annotations

from cycseq.formats.catalog.base import DataSet
from cycseq.formats.catalog.layouts import DATAVERSE, gears_zip
from cycseq.io.download import RemoteFile

DIXIT2016 = DataSet(
    name="dixit2016",
    what="CRISPR knock-outs of transcription factors, log1p (GEARS file).",
    method="CRISPRko",
    publication="Dixit et al. 2016, doi:10.1016/j.cell.2016.11.038, GSE90063",
    read=gears_zip(None),
    files=(RemoteFile(f"{DATAVERSE}/6154416", "dixit2016/dixit.zip"),),
    labels="perturbation from obs condition; context from obs cell_type as the file has it (the study has K562 cells "
    "and mouse dendritic cells); batch from the lane at the end of the barcode, if there",
    checked="GEARS' own loader; which of the study's cells the file holds was not verified",
)
