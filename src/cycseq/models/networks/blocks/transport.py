"""The transport of cells in principal components: small changes, zero at the start, forth and back."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from cycseq.models.networks.blocks.batch import Batch, Sizes
from cycseq.models.networks.blocks.blocks import Labels, mlp

Points = Float[Tensor, "cells components"]
BANDWIDTHS = (0.5, 1.0, 2.0)
"""Of the root mean squared distance between real cells."""


class TransportNet(nn.Module):
    """h and its inverse: what a cell does beside the mean response, from where it lies and from its labels.

    Parameters
    ----------
    sizes
        Places of the labels; `genes` is the number of components.
    width
        Units of both hidden layers.
    labels
        Values that stand for a perturbation, and for a context.
    """

    def __init__(self, sizes: Sizes, *, width: int, labels: int = 8) -> None:
        super().__init__()
        self.labels = Labels(sizes, labels)
        self.ways = nn.ModuleDict()
        for way in ("perturb", "restore"):
            last = nn.Linear(width, sizes.genes)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            hidden = mlp([sizes.genes + self.labels.width, width, width], activation=nn.SiLU, batch_norm=False)
            self.ways[way] = nn.Sequential(*hidden, last)

    def forward(self, way: Literal["perturb", "restore"], points: Points, batch: Batch) -> Points:
        """The change of cells that lie at these points and bear the batch's labels."""
        changed: Tensor = self.ways[way](torch.cat([points, self.labels(batch)], dim=1))
        return changed


def same(codes: Tensor) -> Bool[Tensor, "cells cells"]:
    """Which two different cells are of one condition."""
    return (codes[:, None] == codes[None, :]) & ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)


def energy_distance(made: Points, real: Points, codes: Tensor) -> Float[Tensor, ""]:
    """2 E|X-Y| - E|X-X'| - E|Y-Y'| over all pairs of different cells of one condition (Szekely and Rizzo 2013)."""
    pairs = same(codes).to(made.dtype)
    distance = 2.0 * torch.cdist(made, real) - torch.cdist(made, made) - torch.cdist(real, real)
    return (distance * pairs).sum() / pairs.sum().clamp(min=1.0)


def mean_discrepancy(made: Points, real: Points, codes: Tensor) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy over pairs of different cells of one condition, Gaussian kernels (Gretton 2012)."""
    pairs = same(codes).to(made.dtype)
    n_pairs = pairs.sum().clamp(min=1.0)

    def squares(x: Tensor, y: Tensor) -> Tensor:
        return (x.square().sum(dim=1)[:, None] + y.square().sum(dim=1)[None, :] - 2.0 * x @ y.T).clamp(min=0.0)

    within = squares(real, real)
    unit = ((within * pairs).sum() / n_pairs).clamp(min=1e-12)
    total = torch.zeros((), device=made.device)
    for width in BANDWIDTHS:
        kernels = [torch.exp(d / (-2.0 * width**2 * unit)) for d in (squares(made, made), within, squares(made, real))]
        total = total + ((kernels[0] + kernels[1] - 2.0 * kernels[2]) * pairs).sum() / n_pairs
    return total / len(BANDWIDTHS)
