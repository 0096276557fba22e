"""Models that predict one shift per condition and make cells by shifting real control cells."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self, final

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.arrays import Cells, Codes, Profile, dense
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.pseudobulk import Responses, control_means, responses
from cycseq.model import Fitted, Model


class ShiftModel(Model):
    """Learns from pseudobulk responses, predicts Delta^ of a condition, and adds it to control cells."""

    @abstractmethod
    def learn(
        self, train: Responses, genes: Sequence[str], *, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, object]]:
        """The arrays and JSON facts that `shift` needs, from the training responses."""

    @abstractmethod
    def shift(self, condition: Condition, control_mean: Profile) -> Profile:
        """Delta^ of a condition in log1p units; raises `ModelError` where the model cannot know it.

        Parameters
        ----------
        condition
            A perturbed condition.
        control_mean
            Mean of the control cells of its context, in the model's genes.
        """

    @final
    def fit(
        self,
        train: PerturbationData,
        validation: PerturbationData | None = None,
        *,
        seed: int = 0,
        run: Path | None = None,
    ) -> Self:
        """Learn from the training and the validation conditions: nothing is chosen on the latter."""
        data = train if validation is None else joined(train, validation)
        measured = responses(data.require("log1p", self.name))
        arrays, facts = self.learn(measured, data.genes, seed=seed)
        self.fitted_ = Fitted(
            genes=tuple(data.genes),
            scale=data.scale,
            contexts=tuple(sorted({c.context for c in measured.conditions})),
            perturbations=tuple(sorted({c.perturbation for c in measured.conditions})),
            arrays=arrays,
            facts=facts,
        )
        return self

    @final
    def predict(
        self, controls: PerturbationData, conditions: Sequence[Condition], *, n_cells: int | None = None, seed: int = 0
    ) -> PerturbationData:
        """Control cells of each context, shifted; the mean of the cells is exactly control mean + Delta^, not below 0."""
        controls = self.check_controls(controls, conditions)
        means = control_means(controls)
        blocks: list[Cells] = []
        labels: list[pd.DataFrame] = []
        for condition in conditions:
            mean = means[condition.context]
            delta = np.zeros_like(mean) if condition.is_control else self.shift(condition, mean)
            rows = controls.rows(Condition(condition.context, "control"))
            rng = np.random.default_rng([seed, *str(condition).encode()])
            drawn = draw(rows, n_cells, rng)
            blocks.append(shifted_cells(dense(controls.x[drawn]), mean, delta))
            labels.append(predicted_obs(controls, drawn, condition))
        obs = pd.concat(labels)
        adata = ad.AnnData(X=np.concatenate(blocks), obs=obs, var=pd.DataFrame(index=list(self.learned.genes)))
        adata.uns["cycseq"] = {"scale": controls.scale, "model": self.name}
        return PerturbationData(adata=adata, scale=controls.scale)


def draw(rows: Codes, n_cells: int | None, rng: np.random.Generator) -> Codes:
    """Rows of control cells: each once where there are enough, else each equally often, the rest at random."""
    if n_cells is None:
        return rows
    whole_rounds, rest = divmod(n_cells, len(rows))
    drawn: Codes = np.concatenate([np.tile(rows, whole_rounds), rng.choice(rows, rest, replace=False)])
    return drawn


def shifted_cells(cells: Cells, control_mean: Profile, delta: Profile) -> Cells:
    """The cells with Delta^ added, cut at zero, and scaled so that their mean is max(control mean + Delta^, 0).

    Cutting at zero raises the mean of a gene; scaling its values brings it back and leaves zeros at zero. A gene
    that is zero in all cells after the cut, but should not be, is given its whole mean by one cell.
    """
    target = np.maximum(control_mean.astype(np.float64) + delta, 0.0)
    out = np.maximum(cells + delta.astype(np.float32), 0.0)
    got = out.mean(axis=0, dtype=np.float64)
    out *= np.divide(target, got, out=np.ones_like(target), where=got > 0).astype(np.float32)
    absent = np.flatnonzero((got == 0) & (target > 0))
    out[np.arange(len(absent)) % len(out), absent] = (target[absent] * len(out)).astype(np.float32)
    result: Cells = out.astype(np.float32)
    return result


def predicted_obs(controls: PerturbationData, drawn: np.ndarray, condition: Condition) -> pd.DataFrame:
    """Labels of predicted cells; `source_cell` is the control cell that each was made from."""
    source = controls.adata.obs.iloc[drawn]
    return pd.DataFrame(
        {
            "context": condition.context,
            "perturbation": condition.perturbation,
            "batch": source["batch"].astype(str).to_numpy(),
            "source_cell": source.index.to_numpy(),
        },
        index=[f"{condition}/{i}" for i in range(len(drawn))],
    )


def joined(first: PerturbationData, second: PerturbationData) -> PerturbationData:
    """Both sets of cells, those of the second that the first lacks."""
    new = second.take(~second.adata.obs_names.isin(first.adata.obs_names))
    return PerturbationData(
        adata=ad.concat([first.adata, new.adata], merge="same", uns_merge="same"), scale=first.scale
    )
