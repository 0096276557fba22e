"""E-MTAB-13204: CROP-seq in five blood cancer lines, with and without NK cells."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import pandas as pd

from cycseq.data.usual_names import CONTROL
from cycseq.errors import FileError, count_of
from cycseq.formats.catalog.base import UNASSIGNED, Sources, column, label_cells
from cycseq.formats.load import read_anndata
from cycseq.formats.readers.base import FileContents, as_read_error, read_csv, read_labels
from cycseq.io.download import RemoteFile

SAMPLES = {
    "K562": ("noNK", "NK1_1_16"),
    **dict.fromkeys(("LP1", "MM1S", "NALM6", "SUDHL4"), ("noNK", "NK1_1_16", "NK1_1_4")),
}
"""Not here: MM1S with CRISPR activation (`activ`), whose labels mean the opposite, and MM1S after 3 and 6 hours."""
FOLDER = "https://ftp.ebi.ac.uk/biostudies/fire/E-MTAB-13204/Files"
MATRICES = tuple(
    f"CROPseq_{line}_{condition}_{part}.gz"
    for line, conditions in SAMPLES.items()
    for condition in conditions
    for part in ("barcodes.tsv", "features.tsv", "matrix.mtx")
)
GUIDES = tuple(
    f"CROPseq_{name}.txt"
    for line, conditions in SAMPLES.items()
    for name in (f"{line}_sgRNA_library", *(f"{line}_{condition}_sgRNA" for condition in conditions))
)
"""Tables of guides, for which a user's labels may stand in."""
FILES = tuple(RemoteFile(f"{FOLDER}/{name}", f"nk_cropseq/{name}") for name in (*MATRICES, *GUIDES))
MIN_UMIS = 10
SINGLE, SECOND = 0.5, 0.1


def assigned(umis: pd.DataFrame, library: pd.DataFrame) -> pd.Series:
    """The perturbation of every cell that has guides, by the rule of the publication's code.

    A cell is of the gene with more than half of its guide UMIs, if these are more than 10 and no second gene has more
    than a tenth of them and more than 10; otherwise it is unassigned.

    `umis` has the columns `cell`, `barcode` (the guide's sequence) and `umi_count`, `library` has `sequence` and `gene`; genes that are
    called `Control...` are control.
    """
    guides = umis.merge(library[["sequence", "gene"]], left_on="barcode", right_on="sequence").dropna(subset=["gene"])
    counted = guides.assign(gene=_genes(guides)).groupby(["cell", "gene"])["umi_count"].sum().reset_index()
    counted["share"] = counted["umi_count"] / counted.groupby("cell")["umi_count"].transform("sum")
    counted = counted.sort_values(["cell", "umi_count", "gene"], ascending=[True, False, True])
    place = counted.groupby("cell").cumcount()
    first = counted[place == 0].set_index("cell")
    second = counted[place == 1].set_index("cell").reindex(first.index)
    two = (second["share"] > SECOND) & (second["umi_count"] > MIN_UMIS)
    single = (first["share"] > SINGLE) & (first["umi_count"] > MIN_UMIS) & ~two
    return first["gene"].where(single, UNASSIGNED)


def read(sources: Sources) -> FileContents:
    """One matrix per line and condition, one context each; guides from the samples' sgRNA tables or from `--file`."""
    users = None
    if sources.given is not None:
        table = read_labels(sources.given)
        if "gene" not in table or table.index.name is None:
            msg = f"{sources.given} needs the columns cell (CROPseq_K562_noNK_BARCODE) and gene (Control for control)."
            raise FileError(msg)
        users = _genes(table)
    parts, labels = [], []
    for line, conditions in SAMPLES.items():
        for condition in conditions:
            sample = f"CROPseq_{line}_{condition}"
            adata = read_anndata(sources.files[f"{sample}_matrix.mtx.gz"])
            guides = users
            if guides is None:
                umis = _table(sources.files[f"{sample}_sgRNA.txt"], ("cell", "barcode", "umi_count"))
                library = _table(sources.files[f"CROPseq_{line}_sgRNA_library.txt"], ("sequence", "gene"))
                guides = assigned(umis, library)
            names = pd.Index([f"{sample}_{barcode}" for barcode in adata.obs_names])
            labels.append(_labels_of(guides, adata.obs_names if users is None else names))
            context = line if condition == "noNK" else f"{line}_{condition.replace('NK1_1_', 'NK1_')}"  # K562_NK1_16
            adata.obs = pd.DataFrame({"context": context, "sample": sample}, index=names)
            parts.append(adata)
    complete = ad.concat(parts, join="inner", merge="same")
    perturbation = pd.Series([label for part in labels for label in part], index=complete.obs_names, dtype=object)
    n = int((perturbation == UNASSIGNED).sum())
    return label_cells(
        complete,
        perturbation=perturbation,
        context=column(complete, "context"),
        batch=column(complete, "sample"),
        notes=[f"{len(parts)} samples; {n:,} of {count_of(len(perturbation), 'cell')} have no guide, or several"],
    )


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    with as_read_error(path, "a table of guides"):
        table = read_csv(path)
    if missing := [name for name in columns if name not in table]:
        raise FileError(
            f"{path} lacks the columns {', '.join(missing)} (found: {', '.join(map(str, table.columns))}): its layout is "
            "not the one that the publication's code reads. Give the labels yourself with --file LABELS.csv."
        )
    return table


def _genes(table: pd.DataFrame) -> pd.Series:
    """Column `gene`; whatever is called `Control...` is control."""
    gene = table["gene"].astype(str)
    return gene.where(~gene.str.contains("control", case=False), CONTROL)


def _labels_of(guides: pd.Series, names: pd.Index) -> list[str]:
    """The label of every cell, by its barcode with or without the lane."""
    bare = guides.set_axis(guides.index.astype(str).str.replace(r"-\d+$", "", regex=True))
    bare = bare[~bare.index.duplicated()]
    labels = bare.reindex(names.astype(str).str.replace(r"-\d+$", "", regex=True))
    return [str(label) for label in labels.fillna(UNASSIGNED)]
