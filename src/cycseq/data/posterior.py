"""What a model that knows its uncertainty writes beside its predicted cells, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from jaxtyping import Float

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError, unknown_name

CONDITIONS = "posterior_conditions"
"""`uns` key: the condition of each column of the `varm` arrays."""

OfConditions = Float[np.ndarray, "conditions genes"]


@dataclass(frozen=True)
class GenePosterior:
    """What is believed of every gene in every predicted condition; written to `varm`, genes x conditions."""

    mean: OfConditions
    """`posterior_mean`: Delta, perturbed minus control mean, log1p units."""
    sd: OfConditions
    """`posterior_sd`: of the true Delta. A measured one differs by its sampling noise as well."""
    mean_sd: OfConditions
    """`posterior_mean_sd`: of the true mean of the perturbed cells, which is what the predicted cells' mean estimates."""
    probability_changed: OfConditions
    """`probability_changed`: that the true Delta is beyond the threshold, up or down."""


NAMES = {
    "mean": "posterior_mean",
    "sd": "posterior_sd",
    "mean_sd": "posterior_mean_sd",
    "probability_changed": "probability_changed",
}


def attach_posterior(adata: ad.AnnData, conditions: Sequence[Condition], posterior: GenePosterior) -> None:
    """Write a posterior into the predicted cells' `varm` and name its columns in `uns`."""
    adata.uns[CONDITIONS] = [str(condition) for condition in conditions]
    for field, name in NAMES.items():
        adata.varm[name] = np.ascontiguousarray(getattr(posterior, field).T, dtype=np.float32)


def changes(predicted: PerturbationData, condition: Condition) -> pd.DataFrame:
    """Which genes a condition changes, the surest first: `delta`, `sd`, `probability_changed`, by gene.

    Raises
    ------
    DataError
        If the cells were predicted by a model without uncertainty, or the condition is not among them.
    """
    conditions = _known_conditions(predicted)
    if str(condition) not in conditions:
        raise unknown_name(str(condition), "predicted condition", conditions, DataError)
    column = conditions.index(str(condition))
    names = {"delta": "posterior_mean", "sd": "posterior_sd", "probability_changed": "probability_changed"}
    table = pd.DataFrame(
        {name: np.asarray(predicted.adata.varm[key])[:, column] for name, key in names.items()}, index=predicted.genes
    )
    table.index.name = "gene"
    return table.sort_values("probability_changed", ascending=False, kind="stable")


def all_changes(predicted: PerturbationData) -> pd.DataFrame:
    """`changes` of every predicted condition, one below the other, led by `context`, `perturbation` and `gene`.

    Control cells have no response and are left out.

    Raises
    ------
    DataError
        If the cells were predicted by a model without uncertainty.
    """
    known = _known_conditions(predicted)
    tables = []
    for condition in predicted.conditions():
        if not condition.is_control and str(condition) in known:
            table = changes(predicted, condition).reset_index()
            table.insert(0, "context", condition.context)
            table.insert(1, "perturbation", condition.perturbation)
            tables.append(table)
    if not tables:
        return pd.DataFrame(columns=["context", "perturbation", "gene", "delta", "sd", "probability_changed"])
    return pd.concat(tables, ignore_index=True)


def _known_conditions(predicted: PerturbationData) -> list[str]:
    """The conditions of the columns of the posterior; raises `DataError` where there is none."""
    if CONDITIONS not in predicted.adata.uns:
        made_by = predicted.adata.uns.get("cycseq", {}).get("model")
        what = "these cells carry no posterior" if made_by is None else f"{made_by} says nothing of its uncertainty"
        msg = f"{what}: predict with ConditionKriging, or with CycleTransport, which takes its means from it."
        raise DataError(msg)
    conditions = [str(condition) for condition in predicted.adata.uns[CONDITIONS]]
    varm, shape = predicted.adata.varm, (len(predicted.genes), len(conditions))
    lacking = [name for name in NAMES.values() if name not in varm or np.shape(varm[name]) != shape]
    if lacking:
        msg = f"the posterior of these cells is damaged: {lacking[0]} is missing, or has no column for each condition."
        raise DataError(msg)
    return conditions
