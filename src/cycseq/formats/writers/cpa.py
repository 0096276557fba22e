"""CPA: obs `condition` (`ctrl`, `A`, `A+B`), `dose_val` (`1.0+1.0`), `cell_type`, `control`, `cov_drug_dose_name`.

`setup_anndata` of CPA (theislab/cpa) takes any names of columns; these are those of its examples. It wants one dose for
each part of a combination, joined by ``+``.
"""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.label_columns import find_columns
from cycseq.data.usual_names import CONTROL, DOSE_NAMES
from cycseq.formats.writers.base import Labels, Layout, column, controls_lacking, one_file, perturbations, renamed

NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"


def to_cpa(data: PerturbationData) -> Labels:
    """CPA's labels; doses are those of the file where each part of a perturbation has one, otherwise 1.0."""
    obs = pd.DataFrame(
        {"condition": perturbations(data, renamed("ctrl")), "cell_type": column(data, "context")},
        index=data.adata.obs.index,
    )
    obs["dose_val"], notes = _doses(data)
    obs["control"] = (obs["condition"] == "ctrl").astype(int)
    obs["cov_drug_dose_name"] = obs["cell_type"] + "_" + obs["condition"] + "_" + obs["dose_val"]
    obs["batch"] = column(data, "batch")
    most = max(len(c.parts) for c in data.conditions())
    combined = (f"combinations of up to {most}: say max_comb_len={most}",) if most > 1 else ()
    return Labels(obs, notes=(*notes, *combined, *controls_lacking(data, "CPA")))


def _doses(data: PerturbationData) -> tuple[pd.Series, tuple[str, ...]]:
    ones = pd.Series(perturbations(data, _ones), index=data.adata.obs.index)
    found = find_columns(data.adata.obs, DOSE_NAMES)
    if not found:
        return ones, ("no doses in the data: all are 1.0",)
    given = data.adata.obs[found[0]].astype(str).str.strip()
    fits = given.str.fullmatch(f"{NUMBER}(?:\\+{NUMBER})*") & (given.str.count(r"\+") == ones.str.count(r"\+"))
    lacking = int((~fits & (data.adata.obs["perturbation"].astype(str) != CONTROL)).sum())
    without = f"; {lacking:,} perturbed cells have none, or another number of doses than parts, and got 1.0"
    return given.where(fits, ones), (f"dose_val <- obs[{found[0]!r}]{without if lacking else ''}",)


def _ones(condition: Condition) -> str:
    return "+".join(["1.0"] * max(1, len(condition.parts)))


CPA = Layout(
    name="cpa",
    tool="CPA",
    what="one h5ad for CPA.setup_anndata: condition (ctrl, A, A+B), dose_val (1.0+1.0), cell_type",
    write=one_file(to_cpa, "cpa", "CPA"),
    advice={
        "log1p": "these are log1p values: say is_count_data=False and recon_loss='gauss' (recon_loss='nb' wants counts)"
    },
)
