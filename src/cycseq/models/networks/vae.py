"""`VAE`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from cycseq.models.base import WEIGHT
from cycseq.models.networks.latent import LatentModel


@final
@dataclass
class VAE(LatentModel):
    """An autoencoder whose latent space is a distribution near N(0, 1); predicts by latent arithmetic as scGen does."""

    limits: ClassVar[dict[str, tuple[float, float]]] = {"kl_weight": WEIGHT}
    batch_size: int = 256
    """Cells of one step."""
    num_epochs: int = 10
    """Passes over the training cells at most; the KL divergence has its full weight from half of them on."""
    shortcut: bool = False
    """Linear paths around encoder and decoder that start as a PCA: reconstructs better, but transfers less."""
    kl_weight: float = 0.1
    """Weight of the KL divergence from the middle of training on; it rises to it from 0."""
    kl_per_gene: bool = True
    """Divide the KL divergence by the number of genes, as the reconstruction loss is; undivided, as published, the
    posterior collapses to the prior."""

    @property
    def variational(self) -> bool:
        """A cell is a distribution."""
        return True

    def kl_share(self, n_genes: int) -> float:
        """Full weight of the KL divergence beside the loss per gene."""
        return self.kl_weight / n_genes if self.kl_per_gene else self.kl_weight
