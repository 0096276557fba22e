"""How likely counts are: negative binomial, with or without an excess of zeros."""

from __future__ import annotations

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

    The gamma functions cancel where a count is zero, so they are computed at the other counts only: most of the time
    of a plain implementation is saved, with the same value.

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
    dispersion = log_dispersion.exp()
    # log(theta / (theta + mean)), without overflow
    log_share = -softplus(log_mean - log_dispersion)
    none = dispersion * log_share
    cell, gene = counts.nonzero(as_tuple=True)
    k, theta = counts[cell, gene], dispersion[gene]
    at = (cell, gene)
    some = (
        torch.lgamma(k + theta)
        - torch.lgamma(theta)
        - torch.lgamma(k + 1.0)
        + k * (log_mean[at] - log_dispersion[gene] + log_share[at])
    )
    if zero_logit is None:
        return -(none.sum() + some.sum()) / counts.numel()
    # log(pi + (1 - pi) e^none) = softplus(none - logit) - softplus(-logit), and (1 - pi) = e^-softplus(logit)
    zero = softplus(none - zero_logit) - softplus(-zero_logit)
    present = none[at] + some - softplus(zero_logit[at])
    return -(zero.sum() - zero[at].sum() + present.sum()) / counts.numel()
