"""Cells, or bulk samples with replicates, of any known format -> `Effects`: the means and variances that models of means need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.usual_names import CONTROL
from cycseq.formats.load import default_context, load
from cycseq.formats.settings import ReadSettings, refuse_reading
from cycseq.formats.treated_cells import validate_treatments, without_pooled
from cycseq.preparation.log_pseudobulk import SUMMARIES
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.settings import Response
from cycseq.settings import with_options

FEW = 5
"""Rows of a condition below which its own variance says little: that of all conditions of the context stands for it."""


def summarize(
    source: PerturbationData | ad.AnnData | Path | str,
    settings: ReadSettings | None = None,
    *,
    response: Response = "log1p",
    **options: Any,
) -> Effects:
    """Effects of every condition of cells, with standard errors, means and variances.

    Where perturbations were measured at several doses or times, each is a condition of its own (unless ``doses="pool"``), and
    is compared with controls of the same time as far as there are any. Rows whose dose is none (0, or a level that is called
    control) are controls of their perturbation.

    Parameters
    ----------
    source
        Cells, or bulk samples with replicates: counts, log1p or log2 values; a file, an AnnData, or cells that were read already.
    settings
        What is not to be found by itself.
    response
        ``"log1p"``: differences of means of log1p values. ``"log_pseudobulk"``: of log profiles of the summed counts.
    options
        Fields of `ReadSettings` by name, as of `cycseq.read`.

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
    if isinstance(source, PerturbationData):
        refuse_reading([*options, *(["settings"] if settings else [])])
        data = source
    else:
        data = _read(source, with_options(settings or ReadSettings(), options, "summarize"))
    notes = without_pooled(data.notes)
    data = as_log1p(data) if response == "log1p" else data
    effects = SUMMARIES[response](data)
    if response == "log1p" and np.median(effects.perturbed().adata.obs["n_cells"]) < FEW:
        effects = _with_pooled_errors(effects, data)
        notes.append("standard errors rest on the spread within conditions, pooled over conditions: each has few rows")
    return Effects(effects.adata, effects.scale, tuple(notes))


def _read(source: ad.AnnData | Path | str, settings: ReadSettings) -> PerturbationData:
    contents, context = load(source, settings), settings.context_name or default_context(source)
    apart = settings.doses != "pool" and settings.split_by is None
    return validate_treatments(contents, settings, context) if apart else contents.validate(settings, context)


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
