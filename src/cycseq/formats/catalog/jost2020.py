"""Jost 2020: CRISPRi with guides that match their targets more or less."""

from __future__ import annotations

from cycseq.formats.catalog.base import DataSet, Labelled, Sources
from cycseq.formats.catalog.layouts import geo_files, read_geo

GUIDE = r"[^_*]+_[^_]+_[+-]_.+_\d+"
"""``GATA1_GATA1_-_48645022.23-P1P2_08``; not ``neg_ctrl_non-targeting_00283``."""
PERFECT = "_00"
"""Ending of the guide that matches; `_01`, `_02`, ... have mismatches."""


def read(sources: Sources) -> Labelled:
    """All guides of a gene are one perturbation; obs `guide` and `guide_mismatched` tell them apart."""
    cells = read_geo(sources)
    obs = cells.adata.obs
    targeting = obs["guide"].astype(str).str.fullmatch(GUIDE)
    mismatched = targeting & ~obs["guide"].astype(str).str.endswith(PERFECT)
    obs["guide_mismatched"] = mismatched.to_numpy(dtype=bool)
    note = (
        f"{int(mismatched.sum()):,} cells have a mismatched guide: perturbations pool guides of all strengths "
        "(obs guide and guide_mismatched tell them apart)"
    )
    return Labelled(cells.adata, (*cells.notes, note))


JOST2020 = DataSet(
    name="jost2020",
    what="K562, CRISPRi of 25 essential genes, 5 or 6 guides each from full to low activity: 23,608 cells, counts.",
    method="CRISPRi",
    publication="Jost et al. 2020, doi:10.1038/s41587-019-0387-5, GSE132080",
    read=read,
    files=geo_files(
        "jost2020",
        "GSE132080",
        {
            "GSE132080_10X_barcodes.tsv.gz": None,
            "GSE132080_10X_genes.tsv.gz": None,
            "GSE132080_10X_matrix.mtx.gz": None,
            "GSE132080_cell_identities.csv.gz": None,
        },
    ),
    size="0.35 GB",
    labels="perturbation from guide_identity (the gene before the first underscore; neg_ctrl is control, * is none); "
    "context K562; batch from the lane at the end of the barcode",
    checked="projects that read these files: guide labels, neg_ctrl_non-targeting_NNNNN and * are as they say",
)
