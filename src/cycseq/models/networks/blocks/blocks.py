"""Building blocks that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, normalize

from cycseq.models.networks.blocks.batch import OPEN, Batch, Sizes


def mlp(
    sizes: Sequence[int],
    *,
    activation: type[nn.Module] = nn.ReLU,
    dropout: float = 0.0,
    batch_norm: bool = True,
    slope: float | None = None,
) -> nn.Sequential:
    """Linear layers, each followed by batch norm (on request), activation and dropout.

    Parameters
    ----------
    sizes
        Width of the input and of every layer.
    activation
        Class of the activation.
    dropout
        Share of values that are set to zero while training.
    batch_norm
        Whether each layer is normalised over the batch.
    slope
        Slope below zero, for activations that have one (`LeakyReLU`).
    """
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(sizes):
        layers.append(nn.Linear(width_in, width_out))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width_out))
        layers.append(activation() if slope is None else activation(slope))
        if dropout:
            layers.append(Dropout(dropout))
    return nn.Sequential(*layers)


class Dropout(nn.Module):
    """Dropout whose masks are made of random bytes: on a CPU, where it is a tenth of a step, eight times as fast.

    The share is rounded to 1/256, and the scale follows it, so that expected values are kept.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.below = round(256 * share)

    def forward(self, x: Float[Tensor, "cells width"]) -> Float[Tensor, "cells width"]:
        """The values with some set to zero, while training."""
        if not (self.training and self.below):
            return x
        if x.device.type != "cpu":
            return dropout(x, self.below / 256)
        bits = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(1 << 63), None)
        # the scale where a byte is not below, else 0: a comparison to booleans would take longer than all of this
        mask = bits.view(torch.uint8)[: x.numel()].view(x.shape).to(x.dtype).sub_(self.below - 1).clamp_(0, 1)
        return x * mask.mul_(256 / (256 - self.below))


class SpectralLinear(nn.Linear):
    """A linear layer whose matrix is divided by its largest singular value (Miyato 2018, algorithm 1).

    As torch's `spectral_norm`, with one power iteration for each forward pass of training, but it is the output that is
    divided: a matrix of as many columns as genes, and its gradients, are then touched by products alone.
    """

    u: Tensor
    v: Tensor

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out)
        self.register_buffer("u", normalize(torch.empty(width_out).normal_(), dim=0))
        self.register_buffer("v", normalize(torch.empty(width_in).normal_(), dim=0))
        self._iterate(15)

    def forward(self, x: Float[Tensor, "cells width_in"]) -> Float[Tensor, "cells width_out"]:
        """The layer's output."""
        with torch.autocast(device_type=x.device.type, enabled=False):
            if self.training:
                self._iterate(1)
            u, v = self.u.clone(), self.v.clone()  # the next pass changes both in place
            sigma = torch.dot(u, self.weight @ v)
        y = linear(x, self.weight) / sigma
        return y + self.bias.to(y.dtype)

    @torch.no_grad()
    def _iterate(self, times: int) -> None:
        for _ in range(times):
            normalize(self.weight @ self.v, dim=0, out=self.u)
            normalize(self.u @ self.weight, dim=0, out=self.v)


class Labels(nn.Module):
    """Perturbation and context (and batch on request) of each cell as one vector, by look-up.

    A combination is the sum of its parts; control is zero. While training, some cells' contexts and batches are
    replaced by the open place, so that it can stand for contexts and batches that come later.
    """

    def __init__(self, sizes: Sizes, width: int, *, with_batch: bool = False, open_share: float = 0.1) -> None:
        super().__init__()
        self.parts = nn.Embedding(sizes.parts, width, padding_idx=OPEN)
        self.context = nn.Embedding(sizes.contexts, width)
        self.batch = nn.Embedding(sizes.batches, width) if with_batch else None
        self.open_share = open_share
        self.width = width * (3 if with_batch else 2)

    def forward(self, batch: Batch) -> Float[Tensor, "cells labels"]:
        """The vectors."""
        vectors = [self.parts(batch.parts).sum(dim=1), self.context(self._opened(batch.context))]
        if self.batch is not None:
            vectors.append(self.batch(self._opened(batch.batch)))
        return torch.cat(vectors, dim=1)

    def _opened(self, places: Int[Tensor, "cells"]) -> Int[Tensor, "cells"]:
        if not (self.training and self.open_share):
            return places
        closed = torch.rand(places.shape, device=places.device) >= self.open_share
        return places * closed


class Residual(nn.Module):
    """x + f(x), f of two linear layers; in the published form activation and dropout follow the sum."""

    def __init__(self, width: int, *, batch_norm: bool, dropout: float, published: bool = False) -> None:
        super().__init__()
        self.after = nn.Sequential(nn.PReLU(), Dropout(dropout)) if published else nn.Identity()
        inner = mlp([width, width], activation=nn.PReLU, batch_norm=batch_norm, dropout=dropout)
        self.inner = nn.Sequential(*inner, nn.Linear(width, width), *([nn.BatchNorm1d(width)] if batch_norm else []))

    def forward(self, x: Float[Tensor, "cells width"]) -> Float[Tensor, "cells width"]:
        """The changed values."""
        changed: Tensor = self.after(x + self.inner(x))
        return changed


class TokenAttention(nn.Module):
    """x + self-attention over parts of the vector taken as tokens; with one token it changes nothing but by its values.

    The published CycSeq attends over a sequence of length one (``tokens=1``), where each softmax is over one value and
    is 1: queries and keys have no effect and get no gradient.
    """

    def __init__(self, width: int, *, tokens: int, heads: int = 4) -> None:
        super().__init__()
        if width % tokens or (width // tokens) % heads:
            msg = f"{width} values cannot be cut into {tokens} tokens of {heads} heads"
            raise ValueError(msg)
        self.tokens = tokens
        self.place = nn.Parameter(torch.zeros(tokens, width // tokens))
        self.attention = nn.MultiheadAttention(width // tokens, heads, batch_first=True)
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "cells width"]) -> Float[Tensor, "cells width"]:
        """The changed values."""
        tokens = x.view(len(x), self.tokens, -1) + self.place
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        changed: Tensor = self.strength * mixed.reshape(len(x), -1)
        return x + changed
