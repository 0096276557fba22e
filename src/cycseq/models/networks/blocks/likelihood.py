"""How likely counts are: negative binomial, with or without an excess of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

HIGHEST = 80.0
"""Exponents are cut here: beyond it e^x has no place in float32, and log(1 + e^x) is x."""


def counts_of(x: Float[Tensor, "cells genes"], total: Float[Tensor, "cells"]) -> Float[Tensor, "cells genes"]:
    """Counts from log1p of counts per 10,000 and the library size of each cell."""
    return x.exp().sub_(1.0).mul_((total / 1e4)[:, None]).round_()  # exact enough to be rounded, half the time of expm1


def nb_loss(
    counts: Float[Tensor, "cells genes"],
    log_mean: Float[Tensor, "cells genes"],
    log_dispersion: Float[Tensor, "genes"],
    zero_logit: Float[Tensor, "cells genes"] | None = None,
) -> Float[Tensor, ""]:
    """Negative log likelihood per gene, mean over cells; variance = mean + mean^2 / dispersion.

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
    log_likelihood: Tensor = _LogLikelihood.apply(counts, log_mean, log_dispersion, zero_logit)  # type: ignore[no-untyped-call]
    return -log_likelihood / counts.numel()


class _LogLikelihood(torch.autograd.Function):
    """Sum of the log likelihood, with its gradient worked out beside it.

    With s = log((theta + mean) / theta), a count k adds k log mean - (k + theta) s and its gamma functions. With zeros
    in excess and e = logit + theta s, it adds k (log mean - s) - e - log(1 + exp -logit), and a zero log(1 + exp e) too.
    Few passes over cells x genes, in place, and few logarithms and exponentials in them: what autograd would keep and
    do for every term takes most of a step.
    """

    @staticmethod
    def forward(
        ctx: Any, counts: Tensor, log_mean: Tensor, log_dispersion: Tensor, zero_logit: Tensor | None
    ) -> Tensor:
        theta = log_dispersion.exp()
        odds = (log_mean - log_dispersion).clamp_(max=HIGHEST).exp_()  # mean / theta
        share = odds.log1p()
        away = odds.div_(odds + 1.0)  # mean / (theta + mean)
        total = _inner(counts, log_mean)
        if zero_logit is None:
            n_and_theta = counts + theta
            total -= _inner(n_and_theta, share)
            pull, slope_logit = away.mul_(n_and_theta), None
            slope_dispersion = pull.sum(dim=0) - theta * share.sum(dim=0)
        else:
            total -= _inner(counts, share)
            none = share.mul_(theta)
            excess = none + zero_logit
            zero = 1.0 - counts.clamp(max=1.0)
            total += _beyond(excess * zero) - excess.sum() - _beyond(-zero_logit)
            of_zero = excess.clamp_(max=HIGHEST).exp_().mul_(zero).add_(1.0)
            of_logit = zero_logit.neg().clamp_(max=HIGHEST).exp_().add_(1.0)
            total += torch.log(of_zero / of_logit).sum()
            weight = of_zero.reciprocal_()  # how much the count's own law explains a zero; 1 where it is none
            slope_logit = of_logit.reciprocal_().add_(weight).neg_().add_(1.0)
            pull = (weight * theta).add_(counts).mul_(away)
            slope_dispersion = pull.sum(dim=0) - none.mul_(weight).sum(dim=0)
        gammas, slope = _gammas(counts, theta, log_dispersion)
        ctx.save_for_backward(counts - pull, slope_dispersion + slope, slope_logit)
        return total + gammas

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        slopes = ctx.saved_tensors
        return None, *(None if slope is None else gradients[0] * slope for slope in slopes)


def _gammas(
    counts: Float[Tensor, "cells genes"], theta: Float[Tensor, "genes"], log_theta: Float[Tensor, "genes"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "genes"]]:
    """Sum of the likelihood's gamma functions, and its slope by log theta.

    They cancel where a count is 0 or 1 (lgamma(theta + 1) - lgamma(theta) = log theta), so they are computed at higher
    counts only; what depends on the gene alone is computed once for each gene.
    """
    flat = counts.reshape(-1)
    if flat.device.type == "cpu":  # NumPy finds them four times as fast
        above_1 = torch.from_numpy(np.flatnonzero(flat.numpy() > 1))
    else:
        above_1 = (flat > 1).nonzero().squeeze(1)
    k, gene = flat.index_select(0, above_1), above_1 % counts.shape[1]
    n, sums = (torch.zeros_like(theta).index_add_(0, gene, values) for values in (torch.ones_like(k), k))
    shifted = theta.index_select(0, gene).add_(k)
    total = torch.lgamma(shifted).sum() - _log_factorial(k).sum() - (n * torch.lgamma(theta) + sums * log_theta).sum()
    slope = torch.zeros_like(theta).index_add_(0, gene, torch.digamma(shifted)) - n * torch.digamma(theta)
    return total, theta * slope - sums


def _log_factorial(k: Float[Tensor, "counts"]) -> Float[Tensor, "counts"]:
    """Looked up where the highest count is lower than there are counts."""
    if not len(k) or k.max() >= len(k):
        return torch.lgamma(k + 1.0)
    table = torch.lgamma(torch.arange(1.0, float(k.max()) + 2.0, dtype=k.dtype, device=k.device))
    return table.index_select(0, k.long())


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.reshape(-1), b.reshape(-1))


def _beyond(x: Tensor) -> Tensor:
    """Sum of what `HIGHEST` cuts off."""
    return x.sum() - x.clamp(max=HIGHEST).sum()
