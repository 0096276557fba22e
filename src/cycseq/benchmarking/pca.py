"""PCA as an autoencoder, beside which reconstruction is read: as many components as the latent spaces have units."""

import numpy as np
from sklearn.decomposition import PCA as Components

from cycseq.data.dataset import PerturbationData
from cycseq.matrix.arrays import Cells, to_dense


class PCA:
    """Principal components of the training cells, on the values that are scored: no linear map loses less."""

    def __init__(self, train: PerturbationData, components: int, *, seed: int) -> None:
        """Fewer components where there are fewer cells or genes."""
        n = min(components, train.n_cells, len(train.genes))
        self.components = Components(n, random_state=seed).fit(to_dense(train.x))

    def embed(self, data: PerturbationData) -> Cells:
        """Scores, cells x components."""
        return self.components.transform(to_dense(data.x)).astype(np.float32)

    def reconstruct(self, data: PerturbationData) -> PerturbationData:
        """The same cells from their scores; not below zero, as the networks' output."""
        adata = data.adata.copy()
        adata.X = np.maximum(self.components.inverse_transform(self.embed(data)), 0.0).astype(np.float32)
        return PerturbationData(adata=adata, scale=data.scale)
