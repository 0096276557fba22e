"""Generator and critic of `GAN`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.blocks.blocks import Labels, SpectralLinear, mlp

LABEL_WIDTH = 32


class Generator(nn.Module):
    """Noise and labels -> cells, log1p.

    With gates, a gene is either off (exactly zero) or has a value between zero and the highest one of the training
    cells; without, as published, the output is a standardised value without bounds.
    """

    centre: Tensor
    spread: Tensor
    highest: Tensor

    def __init__(self, sizes: Sizes, hidden: Sequence[int], *, noise: int, conditional: bool, gated: bool) -> None:
        super().__init__()
        self.noise = noise
        for name in ("centre", "spread", "highest"):
            self.register_buffer(name, torch.ones(sizes.genes))
        self.labels = Labels(sizes, LABEL_WIDTH) if conditional else None
        n_labels = 0 if self.labels is None else self.labels.width
        self.trunk = mlp([noise + n_labels, *hidden], activation=nn.LeakyReLU, slope=0.2, dropout=0.1)
        self.value = nn.Linear(hidden[-1], sizes.genes)
        self.gate = nn.Linear(hidden[-1], sizes.genes) if gated else None

    def forward(self, batch: Batch) -> tuple[Float[Tensor, "cells genes"], Float[Tensor, "cells genes"]]:
        """A cell for each label of the batch, and the share of cells in which each gene is on."""
        z = torch.randn(len(batch.parts), self.noise, device=batch.parts.device)
        hidden = self.trunk(z if self.labels is None else torch.cat([z, self.labels(batch)], dim=1))
        value = self.value(hidden).float()
        if self.gate is None:
            return value * self.spread + self.centre, torch.ones_like(value)
        share = torch.sigmoid(self.gate(hidden).float())
        on = torch.bernoulli(share.detach())
        # the gate is drawn, and its gradient is that of its share (straight through: Bengio 2013)
        return self.highest * torch.sigmoid(value) * (on + share - share.detach()), share


class Critic(nn.Module):
    """Real or generated? One score for each cell, given its labels where it is conditional."""

    def __init__(self, sizes: Sizes, hidden: Sequence[int], *, conditional: bool) -> None:
        super().__init__()
        self.labels = Labels(sizes, LABEL_WIDTH) if conditional else None
        n_labels = 0 if self.labels is None else self.labels.width
        widths = [sizes.genes + n_labels, *hidden]
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            layers += [SpectralLinear(width_in, width_out), nn.LeakyReLU(0.2), nn.Dropout(0.1)]
        self.layers = nn.Sequential(*layers, SpectralLinear(hidden[-1], 1))

    def labels_of(self, batch: Batch) -> Float[Tensor, "cells labels"]:
        """The labels of each cell as vectors, for `forward`; without columns where it is not conditional."""
        return batch.x[:, :0] if self.labels is None else self.labels(batch)

    def forward(self, x: Float[Tensor, "cells genes"], labels: Float[Tensor, "cells labels"]) -> Float[Tensor, "cells"]:
        """Scores of standardised cells."""
        score: Tensor = self.layers(torch.cat([x, labels], dim=1)).squeeze(1)
        return score


class GanNet(nn.Module):
    """Both players."""

    def __init__(
        self,
        sizes: Sizes,
        generator: Sequence[int],
        critic: Sequence[int],
        *,
        noise: int,
        conditional: bool,
        gated: bool,
    ) -> None:
        super().__init__()
        self.generator = Generator(sizes, generator, noise=noise, conditional=conditional, gated=gated)
        self.critic = Critic(sizes, critic, conditional=conditional)

    def standardised(self, x: Float[Tensor, "cells genes"]) -> Float[Tensor, "cells genes"]:
        """What the critic sees of cells."""
        return (x - self.generator.centre) / self.generator.spread

    @torch.no_grad()
    def start_at(self, x: Float[Tensor, "cells genes"]) -> None:
        """Constants of the genes, and an output that begins at their zeros and means."""
        generator, on = self.generator, (x > 0).float().mean(dim=0)
        generator.centre.copy_(x.mean(dim=0))
        generator.spread.copy_(x.std(dim=0).clamp(min=0.1))
        generator.highest.copy_(x.max(dim=0).values.clamp(min=0.1))
        if generator.gate is not None:
            generator.gate.bias.copy_(on.clamp(1e-3, 1.0 - 1e-3).logit())
            level = x.mean(dim=0) / on.clamp(min=1e-3) / generator.highest
            generator.value.bias.copy_(level.clamp(0.02, 0.98).logit())
