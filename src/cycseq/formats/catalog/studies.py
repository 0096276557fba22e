"""Data sets whose labels take more than the names of columns: one function each, from its files to labelled cells."""

from __future__ import annotations

import pandas as pd

from cycseq.data.usual_names import CONTROL
from cycseq.errors import count_of, was
from cycseq.formats.catalog.base import UNASSIGNED, Sources, column, drop_plus, label_cells
from cycseq.formats.catalog.layouts import read_geo
from cycseq.formats.load import read_anndata
from cycseq.formats.readers.base import FileContents

CONTEXTS = {
    "control": "melanoma",
    "ifn\N{GREEK SMALL LETTER GAMMA}": "melanoma_IFNg",
    "co-culture": "melanoma_co-culture",
}
"""Contexts of Frangieh's cells, by obs `condition` in lower case."""
NO_GENE = r"(?i)^(?:NO_SITE|ONE_NON-GENE_SITE|ONE_INTERGENIC_SITE|non-targeting|control)"
NO_GUIDE = {"", "nan", "none", "na"}
GUIDE = r"[^_*]+_[^_]+_[+-]_.+_\d+"  # ``GATA1_GATA1_-_48645022.23-P1P2_08``; not ``neg_ctrl_non-targeting_00283``
PERFECT = "_00"  # ending of the guide that matches its target; `_01`, `_02`, ... have mismatches.
TAG = r"^(DMSO|Untreated|Tram)_(\d+)hr"
TREATMENT = {"DMSO": CONTROL, "Untreated": CONTROL, "Tram": "Trametinib"}
LATE = 72.0  # hours after which Srivatsan's cells are a context of their own


def frangieh(sources: Sources) -> FileContents:
    """Obs `condition` is the context, `sgRNA` (`IFNGR2_2`) the guide; cells with several guides (obs `MOI`) have no label."""
    adata = read_anndata(sources.file)
    guide = column(adata, "sgRNA").astype(object).astype(str)
    gene = guide.str.replace(r"(.)_[^_]*$", r"\1", regex=True).mask(guide.str.casefold().isin(NO_GUIDE), UNASSIGNED)
    perturbation = gene.where(~guide.str.contains(NO_GENE), CONTROL)
    notes = []
    if "MOI" in adata.obs:
        several = pd.to_numeric(adata.obs["MOI"].astype(str), errors="coerce") > 1
        perturbation = perturbation.where(~several, UNASSIGNED)
        notes.append(f"{count_of(int(several.sum()), 'cell has', 'cells have')} several guides (obs MOI)")
    adata.obs["guide"] = guide
    condition = column(adata, "condition").astype(str)
    return label_cells(
        adata,
        perturbation=perturbation,
        context=condition.map(lambda name: CONTEXTS.get(name.casefold(), f"melanoma_{name}")),
        notes=notes,
    )


def hagai(sources: Sources) -> FileContents:
    """Obs `condition` (`unst`, `LPS6`), `species`, and `individual` where there is one."""
    adata = read_anndata(sources.file)
    species = column(adata, "species").astype(str)
    individual = next((adata.obs[name] for name in ("individual", "replicate", "batch") if name in adata.obs), None)
    return label_cells(
        adata,
        perturbation=column(adata, "condition").astype(str).replace({"unst": CONTROL}),
        context=species,
        batch=species if individual is None else species + "/" + individual.astype(str),
    )


def jost(sources: Sources) -> FileContents:
    """All guides of a gene are one perturbation; obs `guide` and `guide_mismatched` tell them apart."""
    cells = read_geo(sources)
    obs = cells.adata.obs
    targeting = obs["guide"].astype(str).str.fullmatch(GUIDE)
    mismatched = targeting & ~obs["guide"].astype(str).str.endswith(PERFECT)
    obs["guide_mismatched"] = mismatched.to_numpy(dtype=bool)
    note = f"{int(mismatched.sum()):,} cells have a mismatched guide: perturbations pool guides of all strengths (obs guide and guide_mismatched tell them apart)"
    return FileContents(cells.adata, notes=(*cells.notes, note))


def mcfarland(sources: Sources) -> FileContents:
    """Cells of normal quality; in the time course, obs `time` lists all times and `hash_tag` says what each cell had."""
    adata = read_anndata(sources.file)
    perturbation = drop_plus(column(adata, "perturbation").astype(str))
    time = column(adata, "time").astype(str) + "h"
    notes = []
    if "hash_tag" in adata.obs:
        hashed = time.str.count(",") > 1
        tag = adata.obs["hash_tag"].astype(str).str.extract(TAG)
        perturbation = perturbation.where(~hashed, tag[0].map(TREATMENT).fillna(UNASSIGNED))
        time = time.where(~hashed, "time-course_" + tag[1].fillna("unknown") + "h")
        notes.append(f"{int(hashed.sum()):,} cells of a time course were labelled by their hash tags")
    if "cell_quality" in adata.obs:
        poor = adata.obs["cell_quality"].astype(str) != "normal"
        perturbation = perturbation.where(~poor, UNASSIGNED)
        n = int(poor.sum())
        what = count_of(n, "cell is", "cells are")
        notes.append(f"{what} not of normal quality (doublets, low quality) and {was(n)} left out")
    no_guide = pd.Series(pd.NA, index=adata.obs_names, dtype=object)
    adata.obs["guide"] = no_guide.where(~perturbation.str.startswith("sg"), perturbation)
    return label_cells(adata, perturbation=perturbation, context=column(adata, "cell_line"), batch=time, notes=notes)


def sciplex3(sources: Sources) -> FileContents:
    """A drug in all its doses is one perturbation (obs `dose_value` tells them apart); cells after 72 h are own contexts."""
    adata = read_anndata(sources.file)
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
    note = f"{count_of(int(late.sum()), 'cell was', 'cells were')} treated for {LATE:g} h: their contexts end in _72h"
    return label_cells(
        adata,
        perturbation=drop_plus(drug).where(~control, CONTROL),
        context=line.where(~late, line + "_72h"),
        batch=column(adata, "plate", "replicate"),
        notes=[note] if late.any() else [],
    )
