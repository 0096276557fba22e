"""Responses that a context has to itself: what was measured there is then not averaged with other contexts.

The mixture of `cycseq.models.kriging.mixture` gives a row one scale for all contexts. Where contexts share nothing, a strong
response elsewhere says nothing of the noise here, and joint kriging is worse than a context's own data alone. So each
context's measurement y has two explanations: the row's other contexts, p(y | others), or a private response
N(0, variance x scale + noise). How often each holds is learned for every context apart, by marginal likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.special import softmax

from cycseq.data.gene_mixture import GeneMixture, mix, stack
from cycseq.models.kriging.block import NOISE_FLOOR, Block, PerRow, Places
from cycseq.models.kriging.mixture import Covariances, Kriged, Mixture, Posterior, expectation_maximisation, krige

Explanations = Float[np.ndarray, "explanations"]
Explained = Float[np.ndarray, "rows explanations"]
NEVER = 1e-300


@dataclass(frozen=True)
class Private:
    """How often a context's measurements are explained by the other contexts, and how often they are its own."""

    scales: tuple[float, ...] = ()
    """Of private responses, in units of a row's variance."""
    shares: dict[int, Explanations] = field(default_factory=dict)
    """Of each context (its place): by the others, then by each private scale; empty where nothing was learned."""

    def applied(self, block: Block, trusted: Posterior, joint: Kriged, targets: Places) -> Posterior:
        """The posterior where every target with its own measurement may be private; others stay as they are.

        Parameters
        ----------
        block
            What was measured.
        trusted
            The posterior by all contexts together, corrected by leave-one-out.
        joint
            The same before that, which knows how well a measurement fits the others.
        targets
            Their places.
        """
        columns = {point: i for i, point in enumerate(block.points.tolist())} if len(block.points) > 1 else {}
        mean, variance, own_weight = trusted.mean.copy(), trusted.variance.copy(), trusted.own_weight.copy()
        mixtures = [] if trusted.mixture is None else [trusted.mixture.at(slice(None), i) for i in range(len(targets))]
        for i, target in enumerate(targets.tolist()):
            if target not in columns or target not in self.shares:
                continue
            column = columns[target]
            fits = _log_likelihood(block, self.scales, joint.own_fit[:, i], column)
            chance = softmax(fits + np.log(np.maximum(self.shares[target], NEVER)), axis=1)
            noise, total = _variances(block, self.scales, column)
            kept = 1.0 - noise / total
            means = np.column_stack([mean[:, i], kept * block.y[:, [column]]])
            variances = np.column_stack([variance[:, i], kept * noise])
            mean[:, i] = (chance * means).sum(axis=1)
            variance[:, i] = (chance * (variances + (means - mean[:, [i]]) ** 2)).sum(axis=1)
            own_weight[:, i] = (chance * np.column_stack([own_weight[:, i], kept])).sum(axis=1)
            if mixtures:
                private = GeneMixture(chance[:, 1:], means[:, 1:], np.sqrt(variances[:, 1:]))
                both = mix([chance[:, 0], 1.0], [mixtures[i], private])
                mixtures[i] = both.compressed(mixtures[i].means.shape[-1])
        return Posterior(mean, variance, own_weight, mixture=stack(mixtures) if mixtures else None)


def learn_private(blocks: Sequence[Block], mixture: Mixture, covariances: Covariances) -> Private:
    """The shares of every context that was measured beside others."""
    found: dict[int, list[Explained]] = {}
    for block in blocks:
        if len(block.points) > 1:
            fits = krige(block, mixture, covariances, block.points).own_fit
            for column, context in enumerate(block.points.tolist()):
                found.setdefault(context, []).append(_log_likelihood(block, mixture.scales, fits[:, column], column))
    shares = {context: expectation_maximisation(np.concatenate(parts)) for context, parts in sorted(found.items())}
    return Private(mixture.scales, shares)


def _variances(block: Block, scales: tuple[float, ...], column: int) -> tuple[Explained, Explained]:
    """The noise of a measurement, and all of its variance under every private scale."""
    noise = np.maximum(block.noise[:, [column]], NOISE_FLOOR)
    return noise, block.variance[:, None] * np.asarray(scales) + noise


def _log_likelihood(block: Block, scales: tuple[float, ...], own_fit: PerRow, column: int) -> Explained:
    """Of a measurement, given the others and under every private scale."""
    _, total = _variances(block, scales, column)
    private = -0.5 * (np.log(total) + block.y[:, [column]] ** 2 / total)
    return np.column_stack([own_fit, private])
