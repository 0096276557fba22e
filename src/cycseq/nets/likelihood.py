"""How likely counts are: negative binomial, with or without an excess of zeros."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus


def counts_of(x: Float[Tensor, "cells genes"], total: Float[Tensor, "cells"]) -> Float[Tensor, "cells genes"]:
    """Counts from log1p of counts per 10,000 and the library size of each cell."""
    return (torch.expm1(x) * (total / 1e4)[:, None]).round_()


def nb_loss(
    counts: Float[Tensor, "cells genes"],
    log_mean: Float[Tensor, "cells genes"],
    log_dispersion: Float[Tensor, "genes"],
    zero_logit: Float[Tensor, "cells genes"] | None = None,
) -> Float[Tensor, ""]:
    """Negative log likelihood per gene, mean over cells; variance = mean + mean^2 / dispersion.

    Gamma functions cancel where a count is 0 or 1 (lgamma(theta + 1) - lgamma(theta) = log theta), so they are computed
    at higher counts only, where they depend on the gene alone: most of the time of a plain implementation is saved, with
    the same value.

    Parameters
    ----------
    counts
        Whole numbers.
    log_mean
        Logarithm of the expected counts.
    log_dispersion
        Logarithm of theta (infinite: Poisson).
    zero_logit
        Logit of the share of cells whose count is zero whatever the mean; None for no excess of zeros.
    """
    cell, gene = (counts > 1).nonzero(as_tuple=True)
    k, log_theta = counts[cell, gene], log_dispersion[gene]
    theta = log_theta.exp()
    gammas = torch.lgamma(k + theta) - torch.lgamma(theta) - k * log_theta - torch.lgamma(k + 1.0)
    found: Tensor = _WithoutGammas.apply(counts, log_mean, log_dispersion, zero_logit)  # type: ignore[no-untyped-call]
    return -(found + gammas.sum()) / counts.numel()


class _WithoutGammas(torch.autograd.Function):
    """Sum of the log likelihood but for its gamma functions, with its gradient worked out beside it.

    With s = log(theta / (theta + mean)), a count k adds k (log mean + s) + theta s. With zeros in excess and
    e = theta s - logit, a zero adds softplus(e) = e + softplus(-e), another count e, and each -softplus(-logit). Few
    passes over cells x genes, in place: what autograd would keep and do for every term takes most of a step.
    """

    @staticmethod
    def forward(
        ctx: Any, counts: Tensor, log_mean: Tensor, log_dispersion: Tensor, zero_logit: Tensor | None
    ) -> Tensor:
        theta = log_dispersion.exp()
        share = softplus(log_mean - log_dispersion).neg_()
        away = torch.expm1(share).neg_()  # mean / (theta + mean)
        none = theta * share
        total = share.add_(log_mean).mul_(counts).sum()
        if zero_logit is None:
            total += none.sum()
            slope_logit, pull = None, (counts + theta).mul_(away)
        else:
            excess = none - zero_logit
            total += excess.sum() - softplus(-zero_logit).sum()
            zeros = softplus(excess.neg_()).mul_(counts == 0)
            total += zeros.sum()
            weight = zeros.neg_().exp_()  # how much the count's own law explains a zero; 1 where it is none
            slope_logit = torch.sigmoid(-zero_logit).sub_(weight)
            none.mul_(weight)
            pull = weight.mul_(theta).add_(counts).mul_(away)
        slope_dispersion = none.add_(pull).sum(dim=0)
        ctx.save_for_backward(counts - pull, slope_dispersion, slope_logit)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        slopes = ctx.saved_tensors
        return None, *(None if slope is None else gradients[0] * slope for slope in slopes)
