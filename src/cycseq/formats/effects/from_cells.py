"""Cells, or bulk samples with replicates, of any known format -> `Effects`: the means and variances that models of means need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.condition import treatment_name
from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.label_columns import find_columns
from cycseq.data.usual_names import BATCH_NAMES, CONTROL, PERTURBATION_NAMES, canonical_perturbation
from cycseq.formats.effects.treatments import Treatments, read_treatments
from cycseq.formats.read import default_context, load
from cycseq.formats.settings import ReadSettings
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import effects_of

ROW = "cycseq_row"
"""obs column that numbers the rows of the file while labels are validated, which may leave some out."""


def summarize(path: Path | str, settings: ReadSettings | None = None) -> Effects:
    """Effects of every condition of a file, with standard errors, means and variances.

    Where perturbations were measured at several doses or times, each is a condition of its own (unless ``doses="pool"``), and
    is compared with controls of the same time as far as there are any. Rows whose dose is none (0, or a level that is called
    control) are controls of their perturbation.

    Parameters
    ----------
    path
        Cells, or bulk samples with replicates: counts, log1p or log2 values.
    settings
        What is not to be found by itself.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    DataError
        If labels, doses or values are not what they must be, or a context has no controls.
    """
    path, settings = Path(path), settings or ReadSettings()
    contents = load(path, settings)
    column = settings.perturbation_key or next(iter(find_columns(contents.adata.obs, PERTURBATION_NAMES)), None)
    treatments = None
    if column is not None and settings.doses != "pool" and settings.split_by is None:
        obs = contents.adata.obs.copy()
        labels = obs[column].astype(str).tolist()
        treatments = read_treatments(obs, labels, settings)
        obs[column] = np.where(treatments.untreated, CONTROL, np.array(labels, dtype=object))
        obs[ROW] = np.arange(len(obs))
        given = contents.adata
        adata = ad.AnnData(X=given.X, obs=obs, var=given.var, uns=given.uns, obsm=given.obsm, layers=given.layers)
        contents = replace(contents, adata=adata)
        settings = replace(settings, perturbation_key=column)
        batches = [name for name in find_columns(obs, BATCH_NAMES) if not name.casefold().startswith("rep")]
        if settings.batch_key is None and batches:  # what numbers replicates is no batch
            settings = replace(settings, batch_key=batches[0])
        if treatments.untreated.any() and settings.control is None:  # a label like a control's is a treatment's here
            settings = replace(settings, control=CONTROL, other_controls="keep")
    data = contents.validate(settings, settings.context_name or default_context(path))
    notes = list(data.notes)
    if treatments is not None and _several(treatments):
        data = _by_treatment(data, treatments)
        notes += treatments.notes
    effects = effects_of(as_log1p(data))
    return Effects(
        effects.adata,
        effects.scale,
        tuple(note for note in notes if not note.startswith(("doses are pooled", "times are pooled"))),
    )


def _several(treatments: Treatments) -> bool:
    """Whether an agent has several doses or times."""
    table = pd.DataFrame({"agent": treatments.agent, "dose": treatments.dose, "time": treatments.time})
    treated = table[~treatments.untreated]
    return bool((treated.groupby("agent")[["dose", "time"]].nunique() > 1).any(axis=None))


def _by_treatment(data: PerturbationData, treatments: Treatments) -> PerturbationData:
    """The same rows with dose and time in the names of their perturbations.

    Controls are matched by batch and time, and by drug where drugs have controls of their own.
    """
    obs = data.adata.obs.copy()
    rows = obs[ROW].to_numpy()
    control = (obs["perturbation"] == CONTROL).to_numpy()
    own_controls = bool(treatments.untreated.any())
    names, strata = [], []
    for label, batch, is_control, row in zip(
        obs["perturbation"].astype(str), obs["batch"].astype(str), control, rows, strict=True
    ):
        time = treatments.time[row]
        agent = canonical_perturbation(treatments.agent[row], ())
        names.append(
            label
            if is_control
            else treatment_name(agent, treatments.dose[row], None if np.isnan(time) else float(time))
        )
        strata.append(_stratum([agent] * own_controls + [batch, "" if np.isnan(time) else f"{time:g}h"]))
    obs["perturbation"], obs["batch"] = pd.Categorical(names), pd.Categorical(strata)
    given = data.adata
    adata = ad.AnnData(X=given.X, obs=obs, var=given.var, uns=given.uns)
    return PerturbationData(adata, data.scale, data.notes)


def _stratum(parts: Sequence[str]) -> str:
    return "/".join(part for part in parts if part) or "all"
