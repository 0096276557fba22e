"""The two families of metrics of `cycseq compare`: of reconstructed and of generated cells."""

from collections.abc import Mapping
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import summarize_values
from cycseq.data.usual_names import CONTROL
from cycseq.score.evaluate import COLUMNS, evaluate
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.score.summary import paired_differences

Family = Literal["reconstruction", "generation"]
FAMILIES: dict[Family, tuple[str, ...]] = {
    "reconstruction": ("per_gene_mse", "per_gene_mae", "per_gene_pearson", "r2_mean", "pearson2_mean", "r2_delta"),
    "generation": (
        "pearson2_mean", "r2_mean", "r2_delta", "pearson_delta", "zero_fraction_error", "mean_variance_error",
        "gene_correlation_error", "edistance", "c2st_auc",
    ),
}  # fmt: skip
"""Metrics of each family, in the order of its table."""
OF_CONDITIONS = ("r2_delta", "pearson_delta")
"""Metrics of a response. Over all contexts together they would measure the mixture of contexts, so each condition is scored
by itself."""
ALL = "all"  # context and perturbation of the rows that are over all cells together
HIGHEST = "highest_ratio"  # largest generated value over the largest real one; published GANs exceed it a hundredfold
MAX_CELLS = 2000  # cells of all conditions together that metrics of single cells take


def score(
    family: Family,
    cells: Mapping[str, PerturbationData],
    test: PerturbationData,
    control: PerturbationData,
    *,
    split: str,
    seed: int,
) -> pd.DataFrame:
    """Every metric of a family: a row for each condition, and one for all cells together (`ALL`; not `OF_CONDITIONS`).

    Parameters
    ----------
    family
        Which metrics; a metric is named ``reconstruction/per_gene_mse``.
    cells
        Predicted cells by model: the test cells themselves (reconstruction), or as many of each perturbed condition.
    test
        The real cells of the test part.
    control
        Control cells of the training part.
    split, seed
        What the columns of these names say.

    Returns
    -------
    Columns model, split, seed, context, perturbation, metric, value.
    """
    metrics = FAMILIES[family]
    max_cells = max(2, test.n_cells if family == "reconstruction" else MAX_CELLS)
    together = tuple(name for name in metrics if name not in OF_CONDITIONS)
    real = pooled(test if family == "reconstruction" else test.perturbed())
    references = [
        Reference.of(cells_, controls, settings=EvaluateSettings(metrics=names, max_cells=max_cells, seed=seed))
        for cells_, controls, names in (
            (test.perturbed(), control, metrics),
            (real, pooled(control, CONTROL), together),
        )
    ]
    tables = []
    for model, predicted in cells.items():
        for reference, one in zip(references, (predicted.perturbed(), pooled(predicted)), strict=True):
            tables.append(evaluate(one, reference, model=model, split=split, seed=seed))
        if family == "generation":
            ratio = summarize_values(predicted.x).highest / summarize_values(test.x).highest
            tables.append(pd.DataFrame([(model, split, seed, ALL, ALL, HIGHEST, ratio)], columns=list(COLUMNS)))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(metric=f"{family}/" + table["metric"])


def differences(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """`paired_differences` over the conditions of one family's table, against one baseline."""
    family, _, _ = str(table["metric"].iloc[0]).partition("/")
    rows = table[(table["context"] != ALL) & ~table["metric"].str.endswith(HIGHEST)]
    bare = rows.assign(metric=rows["metric"].str.removeprefix(f"{family}/"))
    paired = paired_differences(bare, baselines=[baseline])
    return paired.assign(metric=f"{family}/" + paired["metric"])


def summary(metrics: pd.DataFrame) -> pd.Series:
    """One value for each model and metric: of all cells together, or (`OF_CONDITIONS`) the mean over conditions."""
    of_conditions = metrics["metric"].str.partition("/")[2].isin(OF_CONDITIONS)
    shown = metrics[(metrics["context"] == ALL) | of_conditions]
    return shown.groupby(["model", "metric"])["value"].mean()


def pooled(data: PerturbationData, label: str = ALL) -> PerturbationData:
    """The same cells as one condition."""
    obs = data.adata.obs.assign(
        context=pd.Categorical([ALL] * data.n_cells), perturbation=pd.Categorical([label] * data.n_cells)
    )
    adata = ad.AnnData(X=data.adata.X, obs=obs, var=data.adata.var[[]])
    return PerturbationData(adata=adata, scale=data.scale)


def draw_as_many(cells: PerturbationData, like: PerturbationData, *, seed: int) -> PerturbationData:
    """As many cells of every perturbed condition as the other data have, drawn at random; all where there are fewer."""
    rows = []
    for condition in like.conditions():
        if not condition.is_control:
            drawn = np.random.default_rng([seed, *str(condition).encode()]).permutation(cells.rows(condition))
            rows.append(np.sort(drawn[: len(like.rows(condition))]))
    return cells.take(np.concatenate(rows))
