"""The yardstick: a PCA with as many components as the latent spaces have units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cycseq.data.dataset import PerturbationData
from cycseq.matrix.arrays import Cells, to_dense

NAME = "PCA"


@dataclass(frozen=True)
class LinearCells:
    """Principal components of the training cells, on the values that are scored: no linear map loses less."""

    fitted: Any
    """scikit-learn's PCA."""

    @classmethod
    def of(cls, train: PerturbationData, components: int, *, seed: int) -> Self:
        """Fit to training cells; fewer components where there are fewer cells or genes."""
        from sklearn.decomposition import PCA

        n = min(components, train.n_cells, len(train.genes))
        return cls(PCA(n, random_state=seed).fit(to_dense(train.x)))

    def embed(self, data: PerturbationData) -> Cells:
        """Scores, cells x components."""
        scores: Cells = self.fitted.transform(to_dense(data.x)).astype(np.float32)
        return scores

    def reconstruct(self, data: PerturbationData) -> PerturbationData:
        """The same cells from their scores; not below zero, as the networks' output."""
        adata = data.adata.copy()
        adata.X = np.maximum(self.fitted.inverse_transform(self.embed(data)), 0.0).astype(np.float32)
        return PerturbationData(adata=adata, scale=data.scale)
