"""Controls matched by batch, as far as batches differ: partial pooling of the control means of a context's batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

RATIOS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Variance between batches over variance between the cells of a batch; each gene finds its own among these."""

Strata = Float[np.ndarray, "strata genes"]
Matched = Float[np.ndarray, "conditions genes"]


@dataclass(frozen=True)
class Controls:
    """Control cells by stratum: a context and a batch."""

    n_cells: Int[np.ndarray, "strata"]
    """0 where a batch has no control cells."""
    mean: Strata
    """Anything where there are no cells."""
    context: Int[np.ndarray, "strata"]
    variance: Float[np.ndarray, "contexts genes"]
    """Between control cells of a context."""


@dataclass(frozen=True)
class MatchedControls:
    """What control cells with a condition's mixture of batches would show."""

    mean: Matched
    noise: Matched


def match_controls(
    controls: Controls,
    shares: Float[np.ndarray, "conditions strata"],
    context: Int[np.ndarray, "conditions"],
) -> MatchedControls:
    """The expected control mean of every condition, given the batches of its cells.

    The mean of a batch is that of its context plus a batch effect with variance ratio x (variance between cells). A
    gene without batch effects is compared with all controls of the context, one with strong effects with those of the
    same batch only; between them lies the best linear prediction (Henderson 1975).

    Parameters
    ----------
    controls
        Control cells by context and batch.
    shares
        Share of the cells of a condition in each stratum; rows sum to 1.
    context
        The context of each condition.
    """
    probability = _ratio_probability(controls)
    mean, noise = np.zeros((len(shares), controls.mean.shape[1])), np.zeros((len(shares), controls.mean.shape[1]))
    per_cell = np.where(controls.n_cells > 0, 1.0 / np.maximum(controls.n_cells, 1), 0.0)
    known = np.where(controls.n_cells[:, None] > 0, controls.mean, 0.0)
    for ratio, of_gene in zip(RATIOS, probability, strict=True):
        weights = _weights(controls, shares, ratio)
        unknown = ratio * ((shares - weights) ** 2).sum(axis=1) + weights**2 @ per_cell
        mean += of_gene * (weights @ known)
        noise += of_gene * unknown[:, None] * controls.variance[context]
    return MatchedControls(mean, noise)


def _weights(
    controls: Controls, shares: Float[np.ndarray, "conditions strata"], ratio: float
) -> Float[np.ndarray, "conditions strata"]:
    """Weight of each control stratum in the control mean of each condition; rows sum to 1."""
    has = controls.n_cells > 0
    precision = np.where(has, 1.0 / (ratio + 1.0 / np.maximum(controls.n_cells, 1)), 0.0)
    of_context = (controls.context[:, None] == controls.context) * precision
    of_context /= np.maximum(of_context.sum(axis=1, keepdims=True), 1e-300)
    own = np.diag(ratio * precision)
    weights: Float[np.ndarray, "conditions strata"] = shares @ (own + (1.0 - ratio * precision)[:, None] * of_context)
    return weights


def _ratio_probability(controls: Controls, *, rounds: int = 100) -> Float[np.ndarray, "ratios genes"]:
    """Probability of each ratio for each gene, by restricted likelihood and weights learned over genes."""
    n_contexts = len(controls.variance)
    has = controls.n_cells > 0
    variance = np.maximum(controls.variance, 1e-12)
    log_likelihood = np.zeros((len(RATIOS), controls.mean.shape[1]))
    for i, ratio in enumerate(RATIOS):
        for context in range(n_contexts):
            strata = np.flatnonzero(has & (controls.context == context))
            if len(strata) < 2:
                continue
            precision = 1.0 / (ratio + 1.0 / controls.n_cells[strata])
            mean = precision @ controls.mean[strata] / precision.sum()
            squares = precision @ (controls.mean[strata] - mean) ** 2 / variance[context]
            log_likelihood[i] += 0.5 * (np.log(precision).sum() - np.log(precision.sum()) - squares)
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=0))
    prior: np.ndarray = np.full(len(RATIOS), 1.0 / len(RATIOS))
    for _ in range(rounds):
        joint = prior[:, None] * likelihood
        prior = (joint / joint.sum(axis=0)).mean(axis=1)
    joint = prior[:, None] * likelihood
    probability: Float[np.ndarray, "ratios genes"] = joint / joint.sum(axis=0)
    return probability
