"""Encoder and decoder of `Autoencoder` and `VAE`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.blocks.blocks import Labels, mlp
from cycseq.models.networks.blocks.likelihood import counts_of, nb_loss
from cycseq.models.networks.blocks.losses import sampled

LABEL_WIDTH = 32


@dataclass(frozen=True)
class Posterior:
    """Where cells lie in the latent space."""

    mean: Float[Tensor, "cells units"]
    log_variance: Float[Tensor, "cells units"] | None
    """None for an autoencoder that is not variational."""

    def draw(self) -> Float[Tensor, "cells units"]:
        """A point for each cell; the mean where nothing is drawn."""
        return self.mean if self.log_variance is None else sampled(self.mean, self.log_variance)


class AutoencoderNet(nn.Module):
    """Cells -> latent space -> cells; the decoder is given perturbation and context where it is conditional."""

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        hidden: Sequence[int],
        latent: int,
        variational: bool,
        conditional: bool,
        likelihood: str,
        dropout: Sequence[float],
        shortcut: bool,
        standardise: bool = False,
    ) -> None:
        super().__init__()
        self.likelihood, self.standardise = likelihood, standardise
        self.register_buffer("centre", torch.zeros(sizes.genes))
        self.register_buffer("spread", torch.ones(sizes.genes))
        self.labels = Labels(sizes, LABEL_WIDTH) if conditional else None
        conditioning = self.labels.width if self.labels is not None else 0
        self.encoder = mlp([sizes.genes, *hidden], dropout=dropout[0])
        self.mean = nn.Linear(hidden[-1], latent)
        self.log_variance = nn.Linear(hidden[-1], latent) if variational else None
        back = [latent + conditioning, *reversed(hidden)]
        self.decoder = mlp(back, dropout=dropout[1])
        self.output = nn.Linear(back[-1], sizes.genes)
        self.zero_logit = nn.Linear(back[-1], sizes.genes) if likelihood == "zinb" else None
        self.log_dispersion = nn.Parameter(torch.zeros(sizes.genes)) if likelihood != "mse" else None
        self.scores = nn.Linear(sizes.genes, latent, bias=False) if shortcut else None
        self.loadings = nn.Linear(latent, sizes.genes, bias=False) if shortcut else None

    @torch.no_grad()
    def start_at(
        self, components: Float[Tensor, "units genes"], deviation: Float[Tensor, "units"], level: Float[Tensor, "genes"]
    ) -> None:
        """Begin as the PCA of these components, each latent unit of variance 1, and at this output level.

        Counts have a logarithm of the mean as output, which principal components of log1p values would overshoot: there
        the decoder's linear path begins at zero.
        """
        self.output.bias.copy_(level if self.standardise or self.likelihood != "mse" else level + self.centre)
        if self.scores is None or self.loadings is None:
            return
        self.scores.weight.copy_(components / deviation[:, None])
        self.loadings.weight.zero_()
        self.mean.weight.zero_()
        self.mean.bias.zero_()
        if self.likelihood == "mse":
            self.loadings.weight.copy_((components * deviation[:, None]).T)
            self.output.weight.zero_()
        if self.log_variance is not None:
            self.log_variance.weight.zero_()
            self.log_variance.bias.fill_(-2.0)

    def encode(self, batch: Batch) -> Posterior:
        """Where the cells lie in the latent space."""
        x = self._standard(batch)
        hidden = self.encoder(x)
        mean = self.mean(hidden)
        if self.scores is not None:
            mean = mean + self.scores(x if self.standardise else x - self.centre)
        variance = None if self.log_variance is None else self.log_variance(hidden).clamp(-10.0, 4.0).float()
        return Posterior(mean.float(), variance)

    def loss(self, z: Float[Tensor, "cells units"], batch: Batch) -> Float[Tensor, ""]:
        """Reconstruction loss per gene: squared error (of standardised values if so), or - log likelihood of counts."""
        output, hidden = self._decoded(z, batch)
        if self.log_dispersion is None:
            return mse_loss(output, self._standard(batch))
        counts = counts_of(batch.x, batch.total)
        log_mean = counts.sum(dim=1, keepdim=True).clamp(min=1.0).log() + output.log_softmax(dim=1)
        zero_logit = None if self.zero_logit is None else self.zero_logit(hidden).float()
        return nb_loss(counts, log_mean, self.log_dispersion, zero_logit)

    def cells(self, z: Float[Tensor, "cells units"], batch: Batch, *, draw: bool) -> Float[Tensor, "cells genes"]:
        """Decoded cells, log1p: expected values, or (for counts) values of drawn counts, at the depth of the batch's cells."""
        output, hidden = self._decoded(z, batch)
        if self.log_dispersion is None:
            return (output * self.spread + self.centre if self.standardise else output).clamp(min=0.0)
        depth = counts_of(batch.x, batch.total).sum(dim=1, keepdim=True).clamp(min=1.0)
        mean = depth * output.softmax(dim=1)
        present = 1.0 if self.zero_logit is None else torch.sigmoid(-self.zero_logit(hidden).float())
        if not draw:
            return torch.log1p(mean * present / batch.total[:, None] * 1e4)
        theta = self.log_dispersion.exp()
        rate = mean * torch.distributions.Gamma(theta, theta).sample(torch.Size([len(mean)]))
        counts = torch.poisson(rate)
        if self.zero_logit is not None:
            counts = counts * torch.bernoulli(torch.as_tensor(present))
        return torch.log1p(counts / batch.total[:, None] * 1e4)

    def _standard(self, batch: Batch) -> Float[Tensor, "cells genes"]:
        """Standardised values if so; else the values themselves, as batch norm and biases centre them at no cost."""
        return (batch.x - self.centre) / self.spread if self.standardise else batch.x

    def _decoded(
        self, z: Float[Tensor, "cells units"], batch: Batch
    ) -> tuple[Float[Tensor, "cells genes"], Float[Tensor, "cells hidden"]]:
        conditioning = z if self.labels is None else torch.cat([z, self.labels(batch)], dim=1)
        hidden = self.decoder(conditioning)
        output = self.output(hidden)
        return (output if self.loadings is None else output + self.loadings(z)).float(), hidden
