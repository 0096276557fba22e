"""`Autoencoder`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from cycseq.models.networks.latent import LatentModel


@final
@dataclass
class Autoencoder(LatentModel):
    """Cells through a narrow latent space and back; predicts by moving control cells in that space."""

    @property
    def variational(self) -> bool:
        """A cell is a point."""
        return False

    def kl_share(self, n_genes: int) -> float:
        """There is no divergence."""
        return 0.0
