"""The usual names of columns and controls in users' files, and how one label is written here."""

from __future__ import annotations

import re
from collections.abc import Iterable

CONTROL = "control"
NO_CONTROL = "none"  # stands in place of a control label: the file holds perturbed cells only
PERTURBATION_NAMES = (
    "perturbation", "condition", "cond_harm", "target_gene", "gene", "target", "label", "cls", "drug", "treatment",
)  # fmt: skip
CONTEXT_NAMES = ("context", "cell_line", "cell_type", "celltype")
BATCH_NAMES = ("batch", "gem_group", "donor", "replicate", "bio_rep")
RARER_PERTURBATION_NAMES, RARER_CONTEXT_NAMES = ("stim", "guide_identity"), ("seurat_annotations",)
RARER_BATCH_NAMES = ("donor_id", "patient_id", "sample_id")
"""Names that are looked for where none of the usual ones is there, the first one alone: beside those they often say something else."""
COLUMN_NAMES = {
    "perturbation": (PERTURBATION_NAMES, RARER_PERTURBATION_NAMES),
    "context": (CONTEXT_NAMES, RARER_CONTEXT_NAMES),
    "batch": (BATCH_NAMES, RARER_BATCH_NAMES),
}
DOSE_NAMES = ("dose_value", "dose_val", "dose")
TIME_NAMES = ("time", "timepoint", "time_point", "time_value", "hours", "hour", "hpi", "day", "days", "day_name")
DOSES = (*dict.fromkeys(("dose", *DOSE_NAMES)), "pert_idose", "pert_dose", "dose_level", "concentration", "conc")
"""Columns of doses; the first that is there counts, and numbers in another one order the names of its levels."""
TIMES = (
    *TIME_NAMES,
    "time_h",
    "time_hr",
    "time_hours",
    "pert_itime",
    "pert_time",
    "exposure_time",
    "treatment_time",
    "stim_time",
    "stimulation_time",
    "dpi",
)
METADATA_NAMES = frozenset(
    (*PERTURBATION_NAMES, *CONTEXT_NAMES, *BATCH_NAMES, *DOSES, *TIMES,
     *RARER_PERTURBATION_NAMES, *RARER_CONTEXT_NAMES, *RARER_BATCH_NAMES,
     "n_counts", "ncounts", "n_count", "total_counts", "ncount_rna", "n_genes", "ngenes", "n_genes_by_counts",
     "leiden", "louvain", "cluster", "seurat_clusters", "s_score", "g2m_score", "s.score", "g2m.score", "pseudotime",
     "nfeature_rna", "percent_mito", "percent.mt", "pct_counts_mt", "umi_count", "guide_umi", "nperts", "dose_unit",
     "age", "sex", "bmi", "weight", "height", "passage", "moi", "concentration", "conc", "plate", "well", "lane", "row", "column",
     "sample", "patient", "subject", "individual", "mouse", "library", "library_size", "size_factor", "size_factors",
     "n_umi", "numi", "n_umis", "umis", "n_features", "nfeatures", "total_umis", "percent_mt", "percent_ribo",
     "percent.ribo", "pct_counts_ribo", "log1p_total_counts", "log1p_n_genes_by_counts", "doublet_score", "doublet",
     "is_doublet", "scrublet_score", "guide_count", "guide_counts", "n_guides", "number_of_cells", "good_coverage",
     "umap_1", "umap_2", "umap1", "umap2", "tsne_1", "tsne_2", "tsne1", "tsne2", "pc_1", "pc_2", "viability")
)  # fmt: skip
"""Columns of a table of cells that are not genes, in lower case, whatever they hold."""
CONTROL_NAMES = (
    "control", "ctrl", "non-targeting", "NT", "NegCtrl", "DMSO", "DMSO_TF", "vehicle", "unperturbed", "unstimulated",
)  # fmt: skip
LIKELY_CONTROL = r"(?i)control|ctrl|target|neg|scramble|^nt(?![a-z])|untreat|mock|pbs|veh|dmso|^wt"
CONTROL_KINDS = {
    "control": r"(?:control|ctrl|ctl|cntrl)s?",
    "non-targeting": r"non-?target(?:ing|s|ed)?(?:-human|-mouse)?(?:-?(?:controls?|ctrls?|guides?|sgrnas?))?"
    r"|ntc?(?:-?(?:control|ctrl))?|no-?site|neg(?:ative)?(?:-?(?:control|ctrl|ctl|con))?|scr|scrambled?(?:-?(?:control|ctrl))?",
    "vehicle": r"(?:dmso(?:-tf)?|vehicle|veh|pbs|saline|solvent|ethanol|etoh|water|h2o)(?:-(?:control|ctrl))?",
    "untreated": r"(?:un-?treated|non-?treated|not-treated|no-?(?:treatment|drug)|un-?stimulated|unstim|un-?perturbed"
    r"|un-?infected)(?:-(?:control|ctrl|cells))?",
    "mock": r"mock(?:-(?:treated|infected|transfected|control|ctrl))?",
    "safe-targeting": r"safe-?(?:target(?:ing)?|harbou?r)(?:-?controls?)?|(?:one-)?(?:non-gene|intergenic)(?:-site)?|aavs1"
    r"|rosa-?26",
    "reporter": r"e?gfp|rfp|bfp|mcherry|lac-?z|luc|luciferase",
    "wild type": r"wt|wild-?type|parental",
    "empty vector": r"empty(?:-vector)?(?:-?(?:control|ctrl))?|plko|no-?(?:guide|sgrna|grna)",
}
"""Labels of each kind of control, in lower case with ``-`` for ``_`` and blanks, without what numbers guides and replicates."""
DOUBTFUL_KINDS = ("mock", "safe-targeting", "reporter", "wild type", "empty vector")
"""Kinds that the user must name with --control where a file has no other: each is a perturbation in some screens."""
_NUMBER = r"(?:-?(?:sg|g|guide|grna|sgrna|rna)?-?\d+)?(?:-[a-z]|-\d+)?"
_AMOUNT = r"(?:-\d+(?:-\d+)?-?(?:%|h|hr|hrs|hours?))?"
_CONTROL_KINDS = {
    kind: re.compile(rf"(?:(?:sg|grna|si|sh)(?:rna)?-?)?(?:{names}){_NUMBER}{_AMOUNT}")
    for kind, names in CONTROL_KINDS.items()
}
EXPONENT = re.compile(r"\d+(?:\.\d+)?E\+\d+", re.IGNORECASE)
"""A number as spreadsheets write large ones; they make ``2.31E+13`` of the symbol 2310009E13."""
UNLABELLED = frozenset(
    ("", "*", "nan", "na", "n/a", "<na>", "none", "null", "unassigned", "unlabelled", "unlabeled", "unknown", "ambiguous",
     "multiplet", "doublet", "#n/a", "#na", "?", "-", "--", ".")
)  # fmt: skip
"""Labels, in lower case, that say that a cell has none."""


def canonical_perturbation(label: str, controls: Iterable[str]) -> str:
    """`ctrl+A`, `A+ctrl` and `A` are `A`; `B+A` is `A+B`; any control label is `control`.

    `A+ctrl` is `A` whatever the controls are. Dose and time stay behind it: `B+A@10uM@24h` is `A+B@10uM@24h`.
    """
    control_names = {name.casefold() for name in controls} | {CONTROL}
    if label.strip().casefold() in control_names:
        return CONTROL
    agent, at, treatment = label.strip().partition("@")
    parts = parts_of(agent)
    if len(parts) == 1:
        return label.strip()
    perturbing = {part for part in parts if part.casefold() not in control_names and usual_kind(part) is None}
    return "+".join(sorted(perturbing)) + at + treatment if perturbing else CONTROL


def parts_of(agent: str) -> tuple[str, ...]:
    """The single perturbations that a name joins by ``+``.

    A name with an empty part (``"IFN+"``), with a ``+`` in brackets (``"g(+)-JQ1"``), or that is a number (``"2.31E+13"``) is one
    perturbation.
    """
    if EXPONENT.fullmatch(agent.strip()):
        return (agent.strip(),)
    parts = tuple(part.strip() for part in agent.split("+"))
    complete = all(part and part.count("(") == part.count(")") and part.count("[") == part.count("]") for part in parts)
    return parts if complete else (agent.strip(),)


def perturbation_of_guides(label: str) -> str:
    """``"KLF1_NegCtrl0__KLF1_NegCtrl0"`` -> ``"KLF1"``: the genes of GEO's `cell_identities`; ``"neg_ctrl_..."`` is control."""
    genes = ["NegCtrl"] if label.startswith("neg_ctrl") else [g for g in label.rpartition("__")[2].split("_")[:2] if g]
    return canonical_perturbation("+".join("control" if gene.startswith("NegCtrl") else gene for gene in genes), ())


def kind_of_control(label: str) -> str | None:
    """``"non-targeting"`` for ``"NTC-1"``, ``"vehicle"`` for ``"DMSO 0.1%"``; None for a label that looks like no control.

    What stands in brackets behind a label (``"unperturbed (control)"``) plays no part; a combination is a control where all of
    its parts are of one kind.
    """
    parts = parts_of(label)
    if len(parts) > 1:
        kinds = {kind_of_control(part) for part in parts}
        return kinds.pop() if len(kinds) == 1 else None
    folded = re.sub(r"[\s_.-]+", "-", re.sub(r"\s*\([^()]*\)$", "", label.strip().casefold()))
    return next((kind for kind, pattern in _CONTROL_KINDS.items() if pattern.fullmatch(folded)), None)


def usual_kind(label: str) -> str | None:
    """As `kind_of_control`, of the kinds that are controls wherever they occur."""
    kind = kind_of_control(label)
    return None if kind in DOUBTFUL_KINDS else kind
