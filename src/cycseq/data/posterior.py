"""What a model that knows its uncertainty writes beside its predicted cells, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from cycseq.data.condition import Condition, as_condition
from cycseq.data.dataset import PerturbationData
from cycseq.data.gene_mixture import GeneMixture
from cycseq.errors import DataError, unknown_name

CONDITIONS = "posterior_conditions"  # `uns` key: the condition of each column of the `varm` arrays
THRESHOLD = "posterior_threshold"  # `uns` key: from which size on, in log1p units, a response is large
LEVEL = 0.9  # coverage of the intervals in a table
COLUMNS = (
    "context", "perturbation", "gene", "effect", "sd", "lower", "upper",
    "probability_up", "probability_down", "lfsr", "probability_beyond", "informative",
)  # fmt: skip
"""Columns of a table of genes."""

OF_GENES, OF_COMPONENTS = ("mean", "sd", "mean_sd"), ("weights", "means", "sds")  # of a posterior, and of its mixture
OfConditions = Float[np.ndarray, "conditions genes"]


@dataclass(frozen=True)
class GenePosterior:
    """What is believed of every gene in every predicted condition; written to `varm`, genes x conditions."""

    mean: OfConditions  # `posterior_mean`: Delta, perturbed minus control mean, log1p units
    sd: OfConditions  # `posterior_sd`: of the true Delta. A measured one differs by its sampling noise as well.
    mean_sd: OfConditions
    """`posterior_mean_sd`: of the true mean of the perturbed cells, which is what the predicted cells' mean estimates."""
    mixture: GeneMixture
    """`posterior_weights`, `posterior_means`, `posterior_sds` (genes x conditions x components): of the true Delta."""
    informative: Bool[np.ndarray, "conditions genes"]
    """`informative`: whether more is known of the gene's direction than the prior alone would say."""
    threshold: float = 0.1  # from which size on a response is large, in log1p units


def attach_posterior(adata: ad.AnnData, conditions: Sequence[Condition], posterior: GenePosterior) -> None:
    """Write a posterior into the predicted cells' `varm` and name its columns in `uns`."""
    adata.uns[CONDITIONS] = [str(condition) for condition in conditions]
    adata.uns[THRESHOLD] = float(posterior.threshold)
    arrays = {name: getattr(posterior, name) for name in OF_GENES}
    arrays |= {name: getattr(posterior.mixture, name) for name in OF_COMPONENTS}
    for name, array in arrays.items():
        adata.varm[f"posterior_{name}"] = np.ascontiguousarray(np.swapaxes(array, 0, 1), dtype=np.float32)
    adata.varm["informative"] = np.ascontiguousarray(posterior.informative.T)


def read_posterior(predicted: PerturbationData) -> tuple[list[str], GenePosterior]:
    """The conditions that have a posterior, and what is believed of them.

    Raises `DataError` if the cells were predicted by a model without uncertainty, or the posterior is damaged.
    """
    if CONDITIONS not in predicted.adata.uns:
        made_by = predicted.adata.uns.get("cycseq", {}).get("model")
        what = "these cells carry no posterior" if made_by is None else f"{made_by} says nothing of its uncertainty"
        raise DataError(f"{what}: predict with ConditionKriging.")
    conditions = [str(condition) for condition in predicted.adata.uns[CONDITIONS]]
    varm, shape = predicted.adata.varm, (len(predicted.genes), len(conditions))
    names = (*OF_GENES, *OF_COMPONENTS)
    for name in (*(f"posterior_{name}" for name in names), "informative"):
        if name not in varm or np.shape(varm[name])[:2] != shape:
            msg = f"the posterior of these cells is damaged: {name} is missing, or has no column for each condition."
            raise DataError(msg)
    arrays = [np.swapaxes(np.asarray(varm[f"posterior_{name}"], dtype=np.float64), 0, 1) for name in names]
    if len({array.shape for array in arrays[3:]}) > 1 or arrays[3].ndim != 3:
        raise DataError("the posterior of these cells is damaged: its weights, means and sds have not the same shape.")
    informative = np.asarray(varm["informative"], dtype=bool).T
    threshold = float(predicted.adata.uns.get(THRESHOLD, 0.1))
    mean, sd, mean_sd, *components = arrays
    return conditions, GenePosterior(mean, sd, mean_sd, GeneMixture(*components), informative, threshold)


def changes(predicted: PerturbationData | ad.AnnData, condition: Condition | str | None = None) -> pd.DataFrame:
    """What a condition does to every gene, the surest direction first.

    Parameters
    ----------
    predicted
        Predicted cells, or their AnnData.
    condition
        One of those predicted, as ``"NK:stim"``; None takes all, as `all_changes` does.

    Returns
    -------
    By gene: `effect` (Delta, log1p units), `sd`, `lower` and `upper` (90 % interval of the true Delta), `probability_up`
    and `probability_down` (that it is above, below 0), `lfsr` (local false sign rate: that the likelier direction is
    wrong), `probability_beyond` (that it is beyond the model's threshold, up or down) and `informative` (whether more is
    known of the gene than the prior alone would say). Ordered by `lfsr`, then by the size of effect over sd.

    Raises
    ------
    DataError
        If the cells were predicted by a model without uncertainty, or the condition is not among them.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> name = f"Line3:{data.perturbations[0]}"
    >>> predicted = cycseq.predict(data, name, leave_out=0).cells
    >>> cycseq.changes(predicted, name)[["effect", "lfsr"]].shape
    (60, 2)
    """
    if isinstance(predicted, ad.AnnData):
        predicted = PerturbationData.from_anndata(predicted)
    if condition is None:
        return all_changes(predicted)
    condition = as_condition(condition, predicted.contexts)
    conditions, posterior = read_posterior(predicted)
    if str(condition) not in conditions:
        raise unknown_name(str(condition), "predicted condition", conditions, DataError)
    return _table(posterior, conditions.index(str(condition)), predicted.genes)


def all_changes(predicted: PerturbationData) -> pd.DataFrame:
    """`changes` of every condition but controls, one below the other, led by `context`, `perturbation` and `gene`."""
    names, posterior = read_posterior(predicted)
    by_name = {str(condition): condition for condition in predicted.conditions()}
    return changes_of_posterior(posterior, [by_name[name] for name in names], predicted.genes)


def changes_of_posterior(posterior: GenePosterior, conditions: Sequence[Condition], genes: list[str]) -> pd.DataFrame:
    """As `all_changes`, of a posterior that lies in no file; genes of which nothing is known (NaN) are left out."""
    tables = []
    for column, condition in enumerate(conditions):
        if not condition.is_control:
            table = _table(posterior, column, genes).reset_index()
            table = table.assign(context=condition.context, perturbation=condition.perturbation)[list(COLUMNS)]
            tables.append(table[table["effect"].notna()])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _table(posterior: GenePosterior, column: int, genes: Sequence[str]) -> pd.DataFrame:
    """One condition."""
    mixture = posterior.mixture.at(column)
    probabilities = mixture.probabilities(posterior.threshold)
    mean, sd, lfsr = posterior.mean[column], posterior.sd[column], probabilities.lfsr
    lower, upper = mixture.quantile(0.5 - LEVEL / 2), mixture.quantile(0.5 + LEVEL / 2)
    signs = (probabilities.up, probabilities.down, lfsr, probabilities.beyond)
    values = (mean, sd, lower, upper, *signs, posterior.informative[column])
    table = pd.DataFrame(dict(zip(COLUMNS[3:], values, strict=True)), index=pd.Index(genes, name="gene"))
    return table.iloc[np.lexsort((-np.abs(mean) / np.maximum(sd, 1e-12), lfsr))]
