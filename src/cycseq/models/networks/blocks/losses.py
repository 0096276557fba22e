"""Losses that several networks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cycseq.models.networks.blocks.batch import Batch

ACTIVE = 0.01
"""A latent unit whose posterior mean varies more than this over cells is in use (Burda 2016)."""


def kl_to_standard(mean: Float[Tensor, "cells units"], log_variance: Float[Tensor, "cells units"]) -> Float[Tensor, ""]:
    """KL divergence of the posterior from N(0, 1), summed over units, mean over cells (Kingma 2014, appendix B)."""
    return (0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)).sum(dim=1).mean()


def sampled(
    mean: Float[Tensor, "cells units"], log_variance: Float[Tensor, "cells units"]
) -> Float[Tensor, "cells units"]:
    """A draw from each posterior."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


def annealed(progress: float, highest: float) -> float:
    """A weight that rises linearly to its highest value over the first half of training (``progress`` 0 to 0.5), and stays."""
    return highest * min(1.0, 2.0 * progress)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Float[Tensor, "cells genes"], generated: Float[Tensor, "cells genes"]
) -> Float[Tensor, ""]:
    """Mean of (|gradient| - 1)^2 of the critic at points between real and generated cells (Gulrajani 2017)."""
    share = torch.rand(len(real), 1, device=real.device, dtype=real.dtype)
    between = (share * real + (1.0 - share) * generated).requires_grad_(True)  # noqa: FBT003
    with torch.autocast(device_type=real.device.type, enabled=False):
        score = critic(between)
        (gradient,) = torch.autograd.grad(score.sum(), between, create_graph=True)
    penalty: Tensor = (gradient.norm(dim=1) - 1.0).square().mean()
    return penalty


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """What is computed inside gives no gradients to this network's weights, which an opponent's update has no use for."""
    changed = [p for p in net.parameters() if p.requires_grad]
    for parameter in changed:
        parameter.requires_grad_(False)  # noqa: FBT003
    try:
        yield
    finally:
        for parameter in changed:
            parameter.requires_grad_(True)  # noqa: FBT003


def least_squares(score: Tensor, aim: float) -> Float[Tensor, ""]:
    """Mean squared distance of a critic's scores from their aim (Mao 2017)."""
    return (score - aim).square().mean()


def condition_codes(batch: Batch) -> tuple[Int[Tensor, "cells"], Int[Tensor, "conditions"]]:
    """Which condition each cell of the batch is of, and how many cells each condition has."""
    labels = torch.cat([batch.context[:, None], batch.parts], dim=1)
    _, codes, counts = torch.unique(labels, dim=0, return_inverse=True, return_counts=True)
    return codes, counts


def condition_means(
    batch: Batch, cells: Sequence[Float[Tensor, "cells genes"]]
) -> list[Float[Tensor, "conditions genes"]]:
    """Mean of each of several sets of cells in every condition of the batch, whose rows they share."""
    codes, counts = condition_codes(batch)
    return [_sums(x, codes, len(counts)) / counts[:, None] for x in cells]


def _sums(x: Tensor, codes: Int[Tensor, "cells"], n_groups: int) -> Tensor:
    # by place: a product with a matrix of zeros and ones costs as much as a layer where conditions are many
    return x.new_zeros(n_groups, *x.shape[1:]).index_add(0, codes, x)


def mean_distance(
    real: Float[Tensor, "cells genes"],
    generated: Float[Tensor, "cells genes"],
    codes: Int[Tensor, "cells"],
    counts: Int[Tensor, "groups"],
) -> Float[Tensor, ""]:
    """Squared distance of made from real means within groups of cells, for each gene, without the bias of few cells.

    Mean over groups of two or more cells, each counted as often as it has cells. The plain squared distance of two means
    of n cells holds the variances of the cells, divided by n, so that made cells would be drawn to their mean. Here products
    of a cell with itself are left out (maximum mean discrepancy with a linear kernel; Gretton 2012, lemma 6).
    """
    n = counts.to(real.dtype)

    def between_cells(x: Tensor, total: Tensor) -> Tensor:
        pairs = (n * (n - 1.0)).clamp(min=1.0)
        products: Tensor = (total.square().sum(dim=1) - _sums(x.square().sum(dim=1), codes, len(n))) / pairs
        return products

    of_real, of_made = (_sums(x, codes, len(n)) for x in (real, generated))
    across = (of_real * of_made).sum(dim=1) / n.square()
    apart = between_cells(real, of_real) + between_cells(generated, of_made) - 2.0 * across
    counted = n * (n > 1.0)
    return (counted * apart).sum() / counted.sum().clamp(min=1.0) / real.shape[1]


def condition_errors(batches: Sequence[Batch], cells: Sequence[Float[Tensor, "cells genes"]]) -> dict[str, float]:
    """How far generated conditions are from real ones: squared error of gene means and of shares of zeros.

    ``loss`` is their sum; each condition counts once, however many cells it has.
    """
    together = Batch(
        *(torch.cat([getattr(b, name) for b in batches]) for name in ("x", "parts", "context", "batch", "total"))
    )
    real, generated = together.x, torch.cat(list(cells))
    off = [(x <= 0).to(real.dtype) for x in (real, generated)]
    means = condition_means(together, [real, generated, *off])
    mean, zeros = (means[1] - means[0]).square().mean(), (means[3] - means[2]).square().mean()
    return {"loss": float(mean + zeros), "mean_error": float(mean), "zero_error": float(zeros)}
