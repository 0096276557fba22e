"""Layouts of one h5ad, in the labels of GEARS, scPerturb, pertpy's scGen, PerturBench, cell-load with State, and CPA.

The columns of each are those of the tool's own code: GEARS' `get_DE_genes` and `PertData.new_data_process`
(snap-stanford/GEARS); scPerturb's published files (sanderlab/scPerturb); pertpy's Kang file (scverse/pertpy); PerturBench's
data configurations (altoslabs/perturbench); the defaults of `PerturbationDataModule` and `filter_on_target_knockdown`
(ArcInstitute/cell-load); CPA's examples (theislab/cpa), with one dose for each part of a combination, joined by ``+``.
"""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.gene_names import note_perturbed_genes
from cycseq.data.label_columns import find_columns
from cycseq.data.usual_names import CONTROL, DOSE_NAMES
from cycseq.errors import DataError
from cycseq.formats.writers.base import (
    Labels,
    controls_lacking,
    obs_of,
    one_h5ad,
    pooled_batches,
    pooled_contexts,
    renamed,
    text,
)
from cycseq.preparation.normalise import library_sizes
from cycseq.preparation.quality import genes_expressed

MAX_PARTS = 2  # GEARS looks at the first two parts of a combination only


def to_gears(data: PerturbationData) -> Labels:
    """GEARS' labels; raises `DataError` for combinations of more than two."""
    obs = obs_of(data, condition=_gears_condition, cell_type="context")
    paired = obs["condition"].str.contains("+", regex=False)
    obs["dose_val"] = paired.map({True: "1+1", False: "1"})
    obs["control"] = (~paired).astype(int)
    obs["condition_name"] = obs["cell_type"] + "_" + obs["condition"] + "_" + obs["dose_val"]
    obs["batch"] = text(data, "batch")
    unmeasured = note_perturbed_genes({part for c in data.conditions() for part in c.parts}, data.genes)
    notes = (
        *pooled_contexts(data, "GEARS takes the control cells of all of them together; --contexts NAME writes one"),
        *pooled_batches(data, "GEARS"),
        *controls_lacking(data, "GEARS"),
        *((unmeasured,) if unmeasured else ()),
    )
    return Labels(obs, var={"gene_name": data.genes}, sparse=True, notes=notes)


def _gears_condition(condition: Condition) -> str:
    if len(condition.parts) > MAX_PARTS:
        raise DataError(
            f"GEARS' layout cannot hold {condition}: it knows combinations of two genes, not of "
            f"{len(condition.parts)}. Leave it out with cycseq prepare --leave-out '{condition}'."
        )
    return "ctrl" if condition.is_control else "+".join((*condition.parts, "ctrl")[:2])


GEARS = one_h5ad(
    "gears",
    tool="GEARS",
    what="one h5ad for PertData.new_data_process: condition (ctrl, A+ctrl, A+B), cell_type, var gene_name",
    labels=to_gears,
    advice={"counts": "GEARS trains on log1p values: run cycseq prepare first"},
)


def to_scperturb(data: PerturbationData) -> Labels:
    """The labels of scPerturb. Combinations are `A_B`, or `A+B` where a part's own name has an underscore."""
    obs = obs_of(data, perturbation=_scperturb_label, nperts=lambda c: len(c.parts), celltype="context", batch="batch")
    if data.scale == "counts":
        obs["ncounts"] = library_sizes(data.x)
        obs["ngenes"] = genes_expressed(data.x)
    odd = [str(c) for c in data.conditions() if len(c.parts) > 1 and "_" in c.perturbation]
    notes = [f"{len(odd)} combinations keep their + ({odd[0]}): a part's name has an underscore"] if odd else []
    notes.append("organism, tissue_type, disease, perturbation_type and the like are not known here: add them yourself")
    return Labels(obs, notes=tuple(notes))


def _scperturb_label(condition: Condition) -> str:
    uncut = len(condition.parts) < 2 or "_" in condition.perturbation
    return condition.perturbation if uncut else "_".join(condition.parts)


SCPERTURB = one_h5ad(
    "scperturb",
    tool="scPerturb",
    what="one h5ad: perturbation (control, A_B), nperts, celltype, of counts also ncounts and ngenes",
    labels=to_scperturb,
    advice={"log1p": "scPerturb's own files hold counts"},
)


def to_pertpy(data: PerturbationData) -> Labels:
    """The labels of `SCGEN.setup_anndata(adata, batch_key="label", labels_key="cell_type")`."""
    obs = obs_of(data, label=renamed("ctrl"), cell_type="context", replicate="batch")
    n = len(data.perturbations)
    many = (f"{n} perturbations: scGen predicts one at a time, its stim_key",) if n > 1 else ()
    return Labels(obs, notes=(*many, *controls_lacking(data, "scGen")))


PERTPY = one_h5ad(
    "pertpy",
    tool="pertpy",
    what="one h5ad for pertpy's scGen: label (ctrl, ...), cell_type, replicate",
    labels=to_pertpy,
    advice={"counts": "scGen trains on log1p values: run cycseq prepare first"},
)


def to_perturbench(data: PerturbationData) -> Labels:
    """`perturbation_key: condition`, `perturbation_control_value: control`, delimiter `+`, `covariate_keys: [cell_type]`."""
    obs = obs_of(data, condition=renamed("control"), cell_type="context", batch="batch")
    return Labels(obs, notes=(*pooled_batches(data, "PerturBench"), *controls_lacking(data, "PerturBench")))


PERTURBENCH = one_h5ad(
    "perturbench",
    tool="PerturBench",
    what="one h5ad: condition (control, A, A+B), cell_type",
    labels=to_perturbench,
    advice={"counts": "PerturBench's default (use_counts: False) is log1p values: run cycseq prepare first"},
)


def to_cell_load(data: PerturbationData) -> Labels:
    """The labels of `pert_col=gene`, `cell_type_key=cell_type`, `batch_col=gem_group`, `control_pert=non-targeting`."""
    obs = obs_of(data, gene=renamed("non-targeting"), cell_type="context", gem_group="batch")
    combined = [c for c in data.conditions() if len(c.parts) > 1]
    what = "cell-load takes each for a perturbation of its own"
    several = [f"{len(combined)} combinations (first: {combined[0]}): {what}"] if combined else []
    return Labels(obs, var={"gene_name": data.genes}, notes=(*several, *controls_lacking(data, "cell-load")))


CELL_LOAD = one_h5ad(
    "cell-load",
    tool="cell-load",
    what="one h5ad for cell-load and State: gene (non-targeting), cell_type, gem_group",
    labels=to_cell_load,
    compression=None,  # it reads rows while it trains
    advice={"counts": "State trains on log1p values: run cycseq prepare first, or state tx preprocess_train"},
)


NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"


def to_cpa(data: PerturbationData) -> Labels:
    """CPA's labels; doses are those of the file where each part of a perturbation has one, otherwise 1.0."""
    obs = obs_of(data, condition=renamed("ctrl"), cell_type="context")
    obs["dose_val"], notes = _doses(data)
    obs["control"] = (obs["condition"] == "ctrl").astype(int)
    obs["cov_drug_dose_name"] = obs["cell_type"] + "_" + obs["condition"] + "_" + obs["dose_val"]
    obs["batch"] = text(data, "batch")
    most = max(len(c.parts) for c in data.conditions())
    combined = (f"combinations of up to {most}: use max_comb_len={most}",) if most > 1 else ()
    return Labels(obs, notes=(*notes, *combined, *controls_lacking(data, "CPA")))


def _doses(data: PerturbationData) -> tuple[pd.Series, tuple[str, ...]]:
    ones = obs_of(data, dose=lambda c: "+".join(["1.0"] * max(1, len(c.parts))))["dose"]
    columns = find_columns(data.adata.obs, DOSE_NAMES)
    if not columns:
        return ones, ("no doses in the data: all are 1.0",)
    doses = data.adata.obs[columns[0]].astype(str).str.strip()
    fits = doses.str.fullmatch(f"{NUMBER}(?:\\+{NUMBER})*") & (doses.str.count(r"\+") == ones.str.count(r"\+"))
    lacking = int((~fits & (data.adata.obs["perturbation"].astype(str) != CONTROL)).sum())
    without = f"; {lacking:,} perturbed cells have none, or another number of doses than parts, and got 1.0"
    return doses.where(fits, ones), (f"dose_val <- obs[{columns[0]!r}]{without if lacking else ''}",)


CPA = one_h5ad(
    "cpa",
    tool="CPA",
    what="one h5ad for CPA.setup_anndata: condition (ctrl, A, A+B), dose_val (1.0+1.0), cell_type",
    labels=to_cpa,
    advice={
        "log1p": "these are log1p values: use is_count_data=False and recon_loss='gauss' (recon_loss='nb' wants counts)"
    },
)
