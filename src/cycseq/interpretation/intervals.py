"""Whether real responses lie inside predicted intervals as often as they should."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.posterior import all_changes
from cycseq.data.pseudobulk import responses
from cycseq.data.split import against_reference
from cycseq.errors import DataError

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def coverage(predicted: PerturbationData, real: PerturbationData, *, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """Share of genes whose real delta lies inside the predicted interval, by context and nominal coverage.

    A real delta is measured with sampling noise, so the interval is that of a new measurement:
    mean +- z sqrt(sd^2 + noise), with the noise var_perturbed / n_perturbed + var_control / n_control, the controls being those
    that the prediction's record says were held back from the model, if it says so. Genes that do not
    vary in the real cells are left out: their delta is 0 in any case.

    Parameters
    ----------
    predicted
        Cells that a model with a posterior predicted (`ConditionKriging`).
    real
        Real cells of the same conditions and their controls, log1p.
    levels
        Nominal coverages, in (0, 1).

    Returns
    -------
    Columns `context`, `nominal`, `observed`, `n` (genes of conditions).

    Raises
    ------
    DataError
        If the prediction has no posterior, or no predicted condition is among the real ones.
    """
    believed = all_changes(predicted)
    real = against_reference(predicted, real.require("log1p", "coverage")).with_genes(predicted.genes)
    measured = responses(real)
    places = {condition: i for i, condition in enumerate(measured.conditions)}
    tables = []
    for (context, perturbation), part in believed.groupby(["context", "perturbation"], sort=False):
        i = places.get(Condition(str(context), str(perturbation)))
        if i is None:
            continue
        order = part["gene"].map({gene: k for k, gene in enumerate(predicted.genes)}).to_numpy()
        varies = measured.noise[i][order] > 0
        sd = np.sqrt(part["sd"].to_numpy() ** 2 + measured.noise[i][order])
        z = np.abs(measured.delta[i][order] - part["delta"].to_numpy())[varies] / sd[varies]
        tables.append(pd.DataFrame({"context": context, "z": z}))
    if not tables:
        msg = "no predicted condition is among the real ones: give real cells of the conditions that were predicted."
        raise DataError(msg)
    errors = pd.concat(tables)
    return pd.DataFrame(
        [
            (context, level, float((z < ndtri(0.5 + level / 2)).mean()), len(z))
            for context, z in errors.groupby("context", sort=False)["z"]
            for level in levels
        ],
        columns=["context", "nominal", "observed", "n"],
    )
