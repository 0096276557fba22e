"""The usual names of columns and controls in users' files, and how one label is written here."""

from __future__ import annotations

from collections.abc import Iterable

CONTROL = "control"
NO_CONTROL = "none"
"""Said in place of a control label: the file holds perturbed cells only."""
PERTURBATION_NAMES = ("perturbation", "condition", "cond_harm", "target_gene", "gene", "target", "label", "cls", "drug")
CONTEXT_NAMES = ("context", "cell_line", "cell_type", "celltype")
BATCH_NAMES = ("batch", "gem_group", "donor", "replicate", "bio_rep")
DOSE_NAMES = ("dose_value", "dose_val", "dose")
CONTROL_NAMES = (
    "control",
    "ctrl",
    "non-targeting",
    "NT",
    "NegCtrl",
    "DMSO",
    "DMSO_TF",
    "vehicle",
    "unperturbed",
    "unstimulated",
)
LIKELY_CONTROL = r"(?i)control|ctrl|target|neg|scramble|^nt|untreat|mock|pbs|veh|dmso|^wt"
UNLABELLED = frozenset(
    ("", "*", "nan", "na", "n/a", "<na>", "none", "null", "unassigned", "unlabelled", "unlabeled", "unknown", "ambiguous",
     "multiplet", "doublet")
)  # fmt: skip
"""Labels, in lower case, that say that a cell has none."""


def canonical_perturbation(label: str, controls: Iterable[str]) -> str:
    """`ctrl+A`, `A+ctrl` and `A` are `A`; `B+A` is `A+B`; any control label is `control`.

    A label with an empty part (``"IFN+"``) is a name, not a combination. `A+ctrl` is `A` whatever the controls are.
    """
    known = {name.casefold() for name in controls} | {CONTROL}
    if label.strip().casefold() in known:
        return CONTROL
    known |= {name.casefold() for name in CONTROL_NAMES} if "+" in label else set()
    parts = [part.strip() for part in label.split("+")]
    if not all(parts):
        return label.strip()
    return "+".join(sorted({part for part in parts if part.casefold() not in known})) or CONTROL


def perturbation_of_guides(label: str) -> str:
    """``"KLF1_NegCtrl0__KLF1_NegCtrl0"`` -> ``"KLF1"``: the genes of GEO's `cell_identities`; ``"neg_ctrl_..."`` is control."""
    genes = ["NegCtrl"] if label.startswith("neg_ctrl") else [g for g in label.rpartition("__")[2].split("_")[:2] if g]
    return canonical_perturbation("+".join("control" if gene.startswith("NegCtrl") else gene for gene in genes), ())


def find_controls(labels: Iterable[str]) -> list[str]:
    """The labels that usually mean control, written as in the file; `non_targeting` is `non-targeting`."""
    usual = {name.casefold().replace("_", "-") for name in CONTROL_NAMES}
    return [label for label in labels if label.strip().casefold().replace("_", "-") in usual]
