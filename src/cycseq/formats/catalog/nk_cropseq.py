"""E-MTAB-13204: CROP-seq in five blood cancer lines, with and without NK cells."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import pandas as pd

from cycseq.data.usual_names import CONTROL
from cycseq.errors import FileError
from cycseq.formats.catalog.base import UNASSIGNED, DataSet, Labelled, Sources, column, labelled
from cycseq.formats.catalog.layouts import BIOSTUDIES
from cycseq.formats.readers import load
from cycseq.formats.readers.base import damage_named, read_csv, read_labels
from cycseq.formats.settings import ReadSettings
from cycseq.io.download import RemoteFile

SAMPLES = {
    "K562": ("noNK", "NK1_1_16"),
    **dict.fromkeys(("LP1", "MM1S", "NALM6", "SUDHL4"), ("noNK", "NK1_1_16", "NK1_1_4")),
}
"""Not here: MM1S with CRISPR activation (`activ`), whose labels mean the opposite, and MM1S after 3 and 6 hours."""
LEAST_UMIS = 10
SINGLE, SECOND = 0.5, 0.1


def context_of(line: str, condition: str) -> str:
    """``K562``, ``noNK`` -> ``K562``; ``K562``, ``NK1_1_16`` -> ``K562_NK1_16``."""
    return line if condition == "noNK" else f"{line}_{condition.replace('NK1_1_', 'NK1_')}"


def assigned(umis: pd.DataFrame, library: pd.DataFrame) -> pd.Series:
    """The perturbation of every cell that has guides, by the rule of the publication's code.

    A cell is of the gene with more than half of its guide UMIs, if these are more than 10 and no second gene has more
    than a tenth of them and more than 10; otherwise it is unassigned.

    Parameters
    ----------
    umis
        Columns `cell`, `barcode` (the guide's sequence) and `umi_count`.
    library
        Columns `sequence` and `gene`; genes that are called `Control...` are control.
    """
    known = umis.merge(library[["sequence", "gene"]], left_on="barcode", right_on="sequence").dropna(subset=["gene"])
    gene = known["gene"].astype(str)
    known = known.assign(gene=gene.where(~gene.str.contains("control", case=False), CONTROL))
    counted = known.groupby(["cell", "gene"])["umi_count"].sum().reset_index()
    counted["share"] = counted["umi_count"] / counted.groupby("cell")["umi_count"].transform("sum")
    counted = counted.sort_values(["cell", "umi_count", "gene"], ascending=[True, False, True])
    place = counted.groupby("cell").cumcount()
    first = counted[place == 0].set_index("cell")
    second = counted[place == 1].set_index("cell").reindex(first.index)
    two = (second["share"] > SECOND) & (second["umi_count"] > LEAST_UMIS)
    single = (first["share"] > SINGLE) & (first["umi_count"] > LEAST_UMIS) & ~two
    return first["gene"].where(single, UNASSIGNED)


def read(sources: Sources) -> Labelled:
    """One matrix per line and condition, one context each; guides from the samples' sgRNA tables or from `--file`."""
    given = None if sources.given is None else _given(sources.given)
    parts, labels, notes = [], [], []
    for line, conditions in SAMPLES.items():
        for condition in conditions:
            sample = f"CROPseq_{line}_{condition}"
            adata = load(sources.path(f"{sample}_matrix.mtx.gz"), ReadSettings()).adata
            guides = given if given is not None else _guides(sources, line, sample)
            names = pd.Index([f"{sample}_{barcode}" for barcode in adata.obs_names])
            labels.append(_looked_up(guides, names if given is not None else adata.obs_names))
            adata.obs = pd.DataFrame({"context": context_of(line, condition), "sample": sample}, index=names)
            parts.append(adata)
    whole = ad.concat(parts, join="inner", merge="same")
    perturbation = pd.Series([label for part in labels for label in part], index=whole.obs_names, dtype=object)
    n = int((perturbation == UNASSIGNED).sum())
    notes.append(f"{len(parts)} samples; {n:,} of {len(perturbation):,} cells have no guide, or several")
    return labelled(
        whole, perturbation=perturbation, context=column(whole, "context"), batch=column(whole, "sample"), notes=notes
    )


def _guides(sources: Sources, line: str, sample: str) -> pd.Series:
    umis = _table(sources.path(f"{sample}_sgRNA.txt"), ("cell", "barcode", "umi_count"))
    library = _table(sources.path(f"CROPseq_{line}_sgRNA_library.txt"), ("sequence", "gene"))
    return assigned(umis, library)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    with damage_named(path, "a table of guides"):
        table = read_csv(path)
    if missing := [name for name in columns if name not in table]:
        msg = (
            f"{path} lacks the columns {', '.join(missing)} (found: {', '.join(map(str, table.columns))}): its layout is "
            "not the one that the publication's code reads. Give the labels yourself with --file LABELS.csv."
        )
        raise FileError(msg)
    return table


def _given(path: Path) -> pd.Series:
    table = read_labels(path)
    if "gene" not in table or table.index.name is None:
        msg = f"{path} needs the columns cell (CROPseq_K562_noNK_BARCODE) and gene (Control for control)."
        raise FileError(msg)
    gene = table["gene"].astype(str)
    return gene.where(~gene.str.contains("control", case=False), CONTROL)


def _looked_up(guides: pd.Series, names: pd.Index) -> list[str]:
    """By barcode with or without its lane."""
    bare = guides.set_axis(guides.index.astype(str).str.replace(r"-\d+$", "", regex=True))
    bare = bare[~bare.index.duplicated()]
    found = bare.reindex(names.astype(str).str.replace(r"-\d+$", "", regex=True))
    return [str(label) for label in found.fillna(UNASSIGNED)]


def _files() -> tuple[tuple[RemoteFile, ...], tuple[str, ...]]:
    matrices, guides = [], []
    for line, conditions in SAMPLES.items():
        guides.append(f"CROPseq_{line}_sgRNA_library.txt")
        for condition in conditions:
            sample = f"CROPseq_{line}_{condition}"
            guides.append(f"{sample}_sgRNA.txt")
            matrices += [f"{sample}_{part}.gz" for part in ("barcodes.tsv", "features.tsv", "matrix.mtx")]
    where = f"{BIOSTUDIES}/E-MTAB-13204/Files"
    return tuple(RemoteFile(f"{where}/{name}", f"nk_cropseq/{name}") for name in [*matrices, *guides]), tuple(guides)


FILES, GUIDES = _files()
NK_CROPSEQ = DataSet(
    name="nk_cropseq",
    what="K562, LP1, MM1S, NALM6 and SUDHL4, CRISPR knock-outs, without and with NK cells (1:16, 1:4): counts.",
    method="CRISPRko",
    publication="Dufva, Gandolfi et al. 2023, doi:10.1016/j.immuni.2023.11.008, E-MTAB-13204",
    read=read,
    files=FILES,
    labels="context is the line and what it was with (K562, K562_NK1_16, LP1_NK1_4); perturbation from the guide "
    "UMIs of each cell by the publication's rule; batch is the sample; NK cells have no guide and are left out so",
    checked="matrices: the first CycSeq's own list of downloads; guides: the publication's code reads these tables, but "
    "whether they lie beside the matrices was not verified: --file takes labels of your own instead",
    file_help="LABELS.csv (columns cell, as CROPseq_K562_noNK_BARCODE, and gene, as in the published Seurat objects)",
    file_replaces=GUIDES,
)
