"""Scores of reconstructed and generated cells: of every condition, and of all cells together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.scale import summarize_values
from cycseq.data.usual_names import CONTROL
from cycseq.score.evaluate import COLUMNS, evaluate
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings

Task = Literal["reconstruction", "generation"]
TASKS: dict[Task, tuple[str, ...]] = {
    "reconstruction": ("per_gene_mse", "per_gene_mae", "per_gene_pearson", "r2_mean", "pearson2_mean", "r2_delta"),
    "generation": (
        "pearson2_mean", "r2_mean", "r2_delta", "pearson_delta", "zero_fraction_error", "mean_variance_error",
        "gene_correlation_error", "edistance", "c2st_auc",
    ),
}  # fmt: skip
"""Metrics of each task, in the order of its table."""
OF_CONDITIONS = ("r2_delta", "pearson_delta")
"""Metrics of a response: of cells of all contexts together they would measure the mixture of contexts, so that they are
scored condition by condition alone."""
ALL = "all"
"""Context and perturbation of the rows that are over all cells together."""
HIGHEST = "highest_ratio"
"""Largest generated value over the largest real one; published GANs exceed it a hundredfold."""
MOST_CELLS = 2000
"""Cells of all conditions together that metrics of generation look at singly."""


def scored(
    task: Task,
    cells: Mapping[str, PerturbationData],
    test: PerturbationData,
    control: PerturbationData,
    *,
    split: str,
    seed: int,
) -> pd.DataFrame:
    """Every metric of a task: a row for each condition, and one for all cells together (`ALL`; not `OF_CONDITIONS`).

    Parameters
    ----------
    task
        Which metrics; a metric is named ``reconstruction/per_gene_mse``.
    cells
        Made cells by model: the test cells themselves (reconstruction), or as many of each perturbed condition.
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
    metrics = TASKS[task]
    most = test.n_cells if task == "reconstruction" else MOST_CELLS
    perturbed = test.subset(c for c in test.conditions() if not c.is_control)
    both = test if task == "reconstruction" else perturbed
    together = tuple(name for name in metrics if name not in OF_CONDITIONS)
    sides = [
        Reference.of(real, baseline, settings=EvaluateSettings(metrics=asked, max_cells=max(2, most), seed=seed))
        for real, baseline, asked in (
            (perturbed, control, metrics),
            (pooled(both), pooled(control, CONTROL), together),
        )
    ]
    tables = []
    for model, made in cells.items():
        made_perturbed = made.subset(c for c in made.conditions() if not c.is_control)
        for side, one in zip(sides, (made_perturbed, pooled(made)), strict=True):
            tables.append(evaluate(one, side, model=model, split=split, seed=seed))
        if task == "generation":
            ratio = summarize_values(made.x).highest / summarize_values(test.x).highest
            tables.append(pd.DataFrame([(model, split, seed, ALL, ALL, HIGHEST, ratio)], columns=list(COLUMNS)))
    table = pd.concat(tables, ignore_index=True)
    table["metric"] = f"{task}/" + table["metric"]
    return table


def summary(metrics: pd.DataFrame) -> pd.Series:
    """One value for each model and metric: of all cells together, or (`OF_CONDITIONS`) the mean over conditions."""
    of_conditions = metrics["metric"].str.partition("/")[2].isin(OF_CONDITIONS)
    shown = metrics[(metrics["context"] == ALL) | of_conditions]
    means: pd.Series = shown.groupby(["model", "metric"])["value"].mean()
    return means


def pooled(data: PerturbationData, label: str = ALL) -> PerturbationData:
    """The same cells as one condition."""
    obs = data.adata.obs.assign(
        context=pd.Categorical([ALL] * data.n_cells), perturbation=pd.Categorical([label] * data.n_cells)
    )
    adata = ad.AnnData(X=data.adata.X, obs=obs, var=data.adata.var[[]])
    return PerturbationData(adata=adata, scale=data.scale)


def as_many(made: PerturbationData, like: PerturbationData, *, seed: int) -> PerturbationData:
    """As many cells of every perturbed condition as the other data have, drawn at random; all where there are fewer."""
    rows = []
    for condition in like.conditions():
        if not condition.is_control:
            drawn = np.random.default_rng([seed, *str(condition).encode()]).permutation(made.rows(condition))
            rows.append(np.sort(drawn[: len(like.rows(condition))]))
    return made.take(np.concatenate(rows))


def most_cells(data: PerturbationData) -> int:
    """Cells of the largest perturbed condition."""
    sizes: dict[Condition, int] = dict(zip(data.conditions(), np.bincount(data.condition_codes).tolist(), strict=True))
    return max(n for condition, n in sizes.items() if not condition.is_control)
