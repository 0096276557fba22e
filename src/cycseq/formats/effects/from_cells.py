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
from cycseq.preparation.log_pseudobulk import SUMMARIES
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.settings import Response

FEW = 5
"""Rows of a condition below which its own variance says little: that of all conditions of the context stands for it."""
ROW = "cycseq_row"
"""obs column that numbers the rows of the file while labels are validated, which may leave some out."""


def summarize(path: Path | str, settings: ReadSettings | None = None, *, response: Response = "log1p") -> Effects:
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
    response
        ``"log1p"``: differences of means of log1p values. ``"log_pseudobulk"``: of log profiles of the summed counts.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    DataError
        If labels, doses or values are not what they must be, or a context has no controls.

    Examples
    --------
    >>> import cycseq
    >>> effects = cycseq.summarize("counts.h5ad")
    >>> effects.scale, effects.effect.shape
    ('log1p', (21, 60))
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
        if settings.batch_key is None and batches:  # what numbers replicates is not a batch
            settings = replace(settings, batch_key=batches[0])
        if treatments.untreated.any() and settings.control is None:  # a label like a control's is a treatment's here
            settings = replace(settings, control=CONTROL, other_controls="keep")
    data = contents.validate(settings, settings.context_name or default_context(path))
    notes = list(data.notes)
    if treatments is not None and _several(treatments):
        data = _by_treatment(data, treatments)
        notes += treatments.notes
    data = as_log1p(data) if response == "log1p" else data
    effects = SUMMARIES[response](data)
    if response == "log1p" and np.median(effects.perturbed().adata.obs["n_cells"]) < FEW:
        effects = _with_pooled_errors(effects, data)
        notes.append("standard errors rest on the spread within conditions, pooled over conditions: each has few rows")
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


def _with_pooled_errors(effects: Effects, data: PerturbationData) -> Effects:
    """The same effects; standard errors from the variance within conditions, pooled over the conditions of a context gene by gene."""
    n_cells, variance = effects.adata.obs["n_cells"].to_numpy(dtype=np.float64), effects.layer("variance")
    se = np.full_like(effects.effect, np.nan)
    conditions = effects.conditions()
    per_control = _variance_of_control_means(data)
    for context in effects.contexts:
        rows = [i for i, c in enumerate(conditions) if c.context == context and not c.is_control]
        spread = [i for i in rows if n_cells[i] > 1]
        if variance is not None and spread:
            weights = n_cells[spread] - 1.0
            pooled = weights @ variance[spread].astype(np.float64) / weights.sum()
            for i in rows:
                se[i] = np.sqrt(pooled * (1.0 / n_cells[i] + per_control[conditions[i].perturbation, context]))
    adata = effects.adata.copy()
    adata.layers["se"] = se
    return Effects(adata, effects.scale, effects.notes)


def _variance_of_control_means(data: PerturbationData) -> dict[tuple[str, str], float]:
    """Of every perturbation and context, the variance of its matched control mean in units of that of one control.

    Sum over batches b of w_b^2 / n_b, w_b the share of the condition's rows in b; a batch without controls has all of the context.
    """
    obs = data.adata.obs[["context", "perturbation", "batch"]].astype(str)
    control = obs[obs["perturbation"] == CONTROL]
    in_batch, in_context = control.groupby(["context", "batch"]).size(), control.groupby("context").size()
    variance: dict[tuple[str, str], float] = {}
    for (context, perturbation), rows in obs[obs["perturbation"] != CONTROL].groupby(["context", "perturbation"]):
        shares = rows["batch"].value_counts(normalize=True)
        n = [float(in_batch.get((context, batch), in_context[context])) for batch in shares.index]
        variance[str(perturbation), str(context)] = float((shares.to_numpy() ** 2 / np.array(n)).sum())
    return variance
