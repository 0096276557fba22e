"""Norman 2019, as GEARS prepared it (log1p) and as GEO has it (counts)."""

from __future__ import annotations

from cycseq.formats.catalog.base import DataSet
from cycseq.formats.catalog.layouts import DATAVERSE, gears_zip, geo_files, read_geo
from cycseq.io.download import RemoteFile

PUBLICATION = "Norman et al. 2019, doi:10.1126/science.aax4438, GSE133344"


NORMAN2019 = DataSet(
    name="norman2019",
    what="K562, CRISPRa of 105 genes and 131 pairs of genes: 91,205 cells x 5,045 genes, log1p (GEARS file).",
    method="CRISPRa",
    publication=PUBLICATION,
    read=gears_zip("K562"),
    files=(RemoteFile(f"{DATAVERSE}/6154020", "norman2019/norman.zip"),),
    labels="perturbation from obs condition; context K562 (the file says A549, the cells are K562); batch from the "
    "lane at the end of the barcode",
    checked="GEARS' own loader and several projects that read this file",
)

NORMAN2019_RAW = DataSet(
    name="norman2019_raw",
    what="K562, CRISPRa of 105 genes and 131 pairs of genes: counts of 33,694 genes, single well-covered cells.",
    method="CRISPRa",
    publication=PUBLICATION,
    read=read_geo,
    files=geo_files(
        "norman2019_raw",
        "GSE133344",
        {
            "GSE133344_raw_barcodes.tsv.gz": "md5:f0e6a7a88bf75c7c78439487ac77ef42",
            "GSE133344_raw_cell_identities.csv.gz": "md5:baf12eba836ee3b228e77c78df9dd677",
            "GSE133344_raw_genes.tsv.gz": "md5:e28829f42f246f7d0aa89360f0b28c60",
            "GSE133344_raw_matrix.mtx.gz": "md5:a56e8017985db417b10b13d305b3fa42",
        },
    ),
    labels="perturbation from guide_identity A_B__A_B (NegCtrl is no gene); context K562; batch from the lane at the "
    "end of the barcode; barcodes with several cells or poor coverage are left out",
    checked="projects that read these files and list their MD5",
)
