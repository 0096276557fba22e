"""CPA: obs `condition` (`ctrl`, `A`, `A+B`), `dose_val` (`1.0+1.0`), `cell_type`, `control`, `cov_drug_dose_name`.

`setup_anndata` of CPA (theislab/cpa) takes any names of columns; these are those of its examples. It wants one dose for
each part of a combination, joined by ``+``.
"""

from __future__ import annotations

import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.label_columns import find_columns
from cycseq.data.usual_names import CONTROL, DOSE_NAMES
from cycseq.formats.writers.base import Labels, controls_lacking, obs_of, one_h5ad, renamed, text

NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"


def to_cpa(data: PerturbationData) -> Labels:
    """CPA's labels; doses are those of the file where each part of a perturbation has one, otherwise 1.0."""
    obs = obs_of(data, condition=renamed("ctrl"), cell_type="context")
    obs["dose_val"], notes = _doses(data)
    obs["control"] = (obs["condition"] == "ctrl").astype(int)
    obs["cov_drug_dose_name"] = obs["cell_type"] + "_" + obs["condition"] + "_" + obs["dose_val"]
    obs["batch"] = text(data, "batch")
    most = max(len(c.parts) for c in data.conditions())
    combined = (f"combinations of up to {most}: say max_comb_len={most}",) if most > 1 else ()
    return Labels(obs, notes=(*notes, *combined, *controls_lacking(data, "CPA")))


def _doses(data: PerturbationData) -> tuple[pd.Series, tuple[str, ...]]:
    ones = obs_of(data, dose=_ones)["dose"]
    columns = find_columns(data.adata.obs, DOSE_NAMES)
    if not columns:
        return ones, ("no doses in the data: all are 1.0",)
    given = data.adata.obs[columns[0]].astype(str).str.strip()
    fits = given.str.fullmatch(f"{NUMBER}(?:\\+{NUMBER})*") & (given.str.count(r"\+") == ones.str.count(r"\+"))
    lacking = int((~fits & (data.adata.obs["perturbation"].astype(str) != CONTROL)).sum())
    without = f"; {lacking:,} perturbed cells have none, or another number of doses than parts, and got 1.0"
    return given.where(fits, ones), (f"dose_val <- obs[{columns[0]!r}]{without if lacking else ''}",)


def _ones(condition: Condition) -> str:
    return "+".join(["1.0"] * max(1, len(condition.parts)))


CPA = one_h5ad(
    "cpa",
    tool="CPA",
    what="one h5ad for CPA.setup_anndata: condition (ctrl, A, A+B), dose_val (1.0+1.0), cell_type",
    labels=to_cpa,
    advice={
        "log1p": "these are log1p values: say is_count_data=False and recon_loss='gauss' (recon_loss='nb' wants counts)"
    },
)
