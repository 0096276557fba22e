"""The public data sets that are read straight into `PerturbationData`: one row each, in `DATASETS`."""

from __future__ import annotations

from cycseq.errors import unknown_name
from cycseq.formats.catalog import nk_cropseq, pancancer, studies
from cycseq.formats.catalog.base import DataSet, fetch
from cycseq.formats.catalog.layouts import (
    DATAVERSE,
    FIGSHARE,
    PERTPY,
    finite_h5ad,
    gears_zip,
    geo_files,
    h5ad,
    one_file,
    read_geo,
    rna_of_h5mu,
    sparse_h5ad,
)
from cycseq.io.download import RemoteFile

__all__ = ["DATASETS", "DataSet", "dataset", "fetch"]

NORMAN = "Norman et al. 2019, doi:10.1126/science.aax4438, GSE133344"
REPLOGLE = "Replogle et al. 2022, doi:10.1016/j.cell.2022.05.013"
LANE = "batch from the lane at the end of the barcode"


def _replogle_gears(line: str, number: int) -> DataSet:
    name = f"replogle2022_{line.lower()}"
    return DataSet(
        name=name,
        what=f"{line}, CRISPRi of essential genes, log1p, a part of the screen (GEARS file).",
        method="CRISPRi",
        publication=REPLOGLE,
        read=gears_zip(line),
        files=(RemoteFile(f"{DATAVERSE}/{number}", f"{name}/{name}.zip"),),
        labels=f"perturbation from obs condition; context {line}; {LANE}",
        checked="GEARS' own loader",
    )


def _replogle(line: str, number: int, file: str, md5: str, *, counts: bool) -> DataSet:
    """The authors' h5ad of one line: counts, which are stored dense and become CSR, or standardised values."""
    name = f"replogle2022_{line.lower()}"
    values = "counts, the whole screen" if counts else "standardised to the controls of each lane (scaled)"
    refused = f"; cycseq prepare refuses scaled values, the counts are {name}_counts"
    name += "_counts" if counts else "_normalized"
    open_file = sparse_h5ad if counts else finite_h5ad
    return DataSet(
        name=name,
        what=f"{line}, CRISPRi of about 2,000 essential genes: {values}.",
        method="CRISPRi",
        publication=REPLOGLE,
        read=h5ad(("gene",), line, ("gem_group",), control="non-targeting", guide="sgID_AB", open_file=open_file),
        files=(RemoteFile(f"{FIGSHARE}/{number}", f"{name}/{file}", f"md5:{md5}"),),
        size="10.7 GB" if line == "K562" else "8.7 GB",
        labels="perturbation from obs gene (non-targeting is control); guide from obs sgID_AB; batch from obs gem_group; "
        f"context {line}",
        checked="projects that read these files and list the MD5 that figshare shows" + ("" if counts else refused),
        scale="counts" if counts else "scaled",
    )


ROWS = (
    DataSet(
        name="norman2019", method="CRISPRa",
        what="K562, CRISPRa of 105 genes and 131 pairs of genes: 91,205 cells x 5,045 genes, log1p (GEARS file).",
        publication=NORMAN,
        read=gears_zip("K562"),
        files=(RemoteFile(f"{DATAVERSE}/6154020", "norman2019/norman.zip"),),
        labels=f"perturbation from obs condition; context K562 (the file says A549, the cells are K562); {LANE}",
        checked="GEARS' own loader and several projects that read this file",
    ),
    DataSet(
        name="norman2019_raw", method="CRISPRa",
        what="K562, CRISPRa of 105 genes and 131 pairs of genes: counts of 33,694 genes, single well-covered cells.",
        publication=NORMAN,
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
        labels=f"perturbation from guide_identity A_B__A_B (NegCtrl is not a gene); context K562; {LANE}; barcodes with "
        "several cells or poor coverage are left out",
        checked="projects that read these files and list their MD5",
    ),
    DataSet(
        name="adamson2016", method="CRISPRi",
        what="K562, CRISPRi of genes of the unfolded protein response, log1p (GEARS file).",
        publication="Adamson et al. 2016, doi:10.1016/j.cell.2016.11.048, GSE90546",
        read=gears_zip("K562"),
        files=(RemoteFile(f"{DATAVERSE}/6154417", "adamson2016/adamson.zip"),),
        labels=f"perturbation from obs condition; context K562; {LANE}, if there",
        checked="GEARS' own loader",
    ),
    DataSet(
        name="dixit2016", method="CRISPRko",
        what="CRISPR knock-outs of transcription factors, log1p (GEARS file).",
        publication="Dixit et al. 2016, doi:10.1016/j.cell.2016.11.038, GSE90063",
        read=gears_zip(None),
        files=(RemoteFile(f"{DATAVERSE}/6154416", "dixit2016/dixit.zip"),),
        labels="perturbation from obs condition; context from obs cell_type as the file has it (the study has K562 cells "
        f"and mouse dendritic cells); {LANE}, if there",
        checked="GEARS' own loader; which of the study's cells the file holds was not verified",
    ),
    _replogle_gears("K562", 7458695),
    _replogle_gears("RPE1", 7458694),
    _replogle("K562", 35773219, "K562_essential_raw_singlecell_01.h5ad", "4f1122ce1c7f13299a68df6459a266d3", counts=True),
    _replogle("RPE1", 35775606, "rpe1_raw_singlecell_01.h5ad", "6a2a9d0d2bf4ec147f4d1104043b268c", counts=True),
    _replogle("K562", 35773075, "K562_essential_normalized_singlecell_01.h5ad", "f1e221fbf6eac774c21c4242ed440c3f", counts=False),
    _replogle("RPE1", 35775554, "rpe1_normalized_singlecell_01.h5ad", "2c36a053960f3fae157adacdbccd4485", counts=False),
    DataSet(
        name="jost2020", method="CRISPRi", size="0.35 GB",
        what="K562, CRISPRi of 25 essential genes, 5 or 6 guides each from full to low activity: 23,608 cells, counts.",
        publication="Jost et al. 2020, doi:10.1038/s41587-019-0387-5, GSE132080",
        read=studies.jost,
        files=geo_files(
            "jost2020",
            "GSE132080",
            dict.fromkeys(
                f"GSE132080_{part}.gz"
                for part in ("10X_barcodes.tsv", "10X_genes.tsv", "10X_matrix.mtx", "cell_identities.csv")
            ),
        ),
        labels="perturbation from guide_identity (the gene before the first underscore; neg_ctrl is control, * is none); "
        f"context K562; {LANE}",
        checked="projects that read these files: guide labels, neg_ctrl_non-targeting_NNNNN and * are as they say",
    ),
    DataSet(
        name="nk_cropseq", method="CRISPRko",
        what="K562, LP1, MM1S, NALM6 and SUDHL4, CRISPR knock-outs, without and with NK cells (1:16, 1:4): counts.",
        publication="Dufva, Gandolfi et al. 2023, doi:10.1016/j.immuni.2023.11.008, E-MTAB-13204",
        read=nk_cropseq.read,
        files=nk_cropseq.FILES,
        labels="context is the line and what it was with (K562, K562_NK1_16, LP1_NK1_4); perturbation from the guide "
        "UMIs of each cell by the publication's rule; batch is the sample; NK cells have no guide and are left out so",
        checked="matrices: the first CycSeq's own list of downloads; guides: the publication's code reads these tables, but "
        "whether they lie beside the matrices was not verified: --file takes labels of your own instead",
        file_help="LABELS.csv (columns cell, as CROPseq_K562_noNK_BARCODE, and gene, as in the published Seurat objects)",
        file_replaces=nk_cropseq.GUIDES,
    ),
    DataSet(
        name="pancancer", method="none", size="needs a log-in",
        what="About 200 cancer lines of 22 types, control cells only: 53,513 cells x 22,722 genes.",
        publication="Kinker et al. 2020, doi:10.1038/s41588-020-00726-6, SCP542 (singlecell.broadinstitute.org)",
        read=pancancer.read,
        labels="context from Cell_line and batch from Pool_ID of Metadata.txt; all cells are control",
        checked="projects that read Metadata.txt (second row TYPE), CPM_data.txt and UMIcount_data.txt (three header rows)",
        file_help=pancancer.FILE_HELP,
        file_needed=True,
    ),
    DataSet(
        name="kang2018", method="cytokine",
        what="Eight types of PBMC of eight donors, with and without interferon-beta: 24,673 cells, counts.",
        publication="Kang et al. 2018, doi:10.1038/nbt.4042, GSE96583",
        read=h5ad(("label", "condition"), ("cell_type",), ("replicate", "donor", "patient"), control="ctrl"),
        files=one_file("kang2018", f"{PERTPY}/kang_2018.h5ad"),
        labels="perturbation from obs label (ctrl, stim); context from obs cell_type; batch from obs replicate (donor)",
        checked="projects that read this file",
    ),
    DataSet(
        name="papalexi2021", method="CRISPRko",
        what="THP1, CRISPR knock-outs of 25 genes: 20,729 cells, 2,386 of them control, counts.",
        publication="Papalexi et al. 2021, doi:10.1038/s41588-021-00778-2, GSE153056",
        read=h5ad(("gene_target",), "THP1", ("replicate",), control="NT", open_file=rna_of_h5mu),
        files=one_file("papalexi2021", f"{PERTPY}/papalexi_2021.h5mu"),
        labels="perturbation from obs gene_target (NT is control); guide from obs guide_ID; context THP1; batch from obs "
        "replicate",
        checked="projects that read this file",
    ),
    DataSet(
        name="frangieh2021", method="CRISPRko", size="about 1 GB",
        what="Melanoma cells alone, with interferon-gamma and with T cells, CRISPR knock-outs of 248 genes: 218,331 cells.",
        publication="Frangieh et al. 2021, doi:10.1038/s41588-021-00779-1, SCP1064",
        read=studies.frangieh,
        files=one_file("frangieh2021", f"{PERTPY}/frangieh_2021.h5ad"),
        labels="context from obs condition (Control, IFN-gamma written with the Greek letter, Co-culture); perturbation from "
        "obs sgRNA (GENE_1; NO_SITE_1 and ONE_NON-GENE_SITE_1 are control); cells without a guide or with several are left "
        "out; no batch is known",
        checked="projects that list the columns condition, MOI and sgRNA (GENE_1); how control guides are called is the "
        "study's own naming and was not seen in this file",
    ),
    DataSet(
        name="sciplex3", method="drug", size="2.5 GB",
        what="A549, K562 and MCF7 with 188 drugs in four doses: 799,317 cells, counts.",
        publication="Srivatsan et al. 2020, doi:10.1126/science.aax6234, GSE139944",
        read=studies.sciplex3,
        files=one_file("sciplex3", f"{PERTPY}/srivatsan_2020_sciplex3.h5ad"),
        labels="perturbation from obs perturbation or product_name (vehicle is control; + in a name is written plus); "
        "context from obs cell_line, with _72h after 72 hours; batch from obs plate; dose in obs dose_value",
        checked="a project that lists this file's columns and shape",
    ),
    DataSet(
        name="mcfarland2020", method="drug", size="1.5 GB",
        what="209 cancer lines in pools, with drugs and with a knock-out of GPX4: 182,875 cells, counts.",
        publication="McFarland et al. 2020, doi:10.1038/s41467-020-17440-w",
        read=studies.mcfarland,
        files=one_file(
            "mcfarland2020",
            f"{PERTPY}/mcfarland_2020.h5ad",
            "sha256:94a7240047b9ce6822dc2aa1e7a66c1fd8b00be842e5a95fc72cbeb6f2834d2c",
        ),
        labels="perturbation from obs perturbation (guides keep their names: sgLACZ and sgOR2J2 are the knock-out's "
        "controls, not the drugs'), in the time course from obs hash_tag; context from obs cell_line; batch is the time",
        checked="projects that list this file's columns, its oddities and its SHA-256",
    ),
    DataSet(
        name="hagai2018", method="cytokine",
        what="Phagocytes of mouse, rat, rabbit and pig, with and without lipopolysaccharide, log1p.",
        publication="Hagai et al. 2018, doi:10.1038/s41586-018-0657-2",
        read=studies.hagai,
        files=one_file("hagai2018", f"{PERTPY}/hagai_2018.h5ad"),
        labels="perturbation from obs condition (unst is control, LPS6); context from obs species; batch from obs "
        "individual or replicate",
        checked="projects that read condition and species, and say that values are fractional; the column of the animals "
        "was seen in a copy of the same data only",
    ),
)  # fmt: skip
DATASETS: dict[str, DataSet] = {row.name: row for row in ROWS}  # name -> data set


def dataset(name: str) -> DataSet:
    """The data set of that name; raises `SettingsError` with the nearest name if there is none."""
    if name not in DATASETS:
        raise unknown_name(name, "data set", DATASETS)
    return DATASETS[name]
