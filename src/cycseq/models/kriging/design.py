"""Which conditions to measure next: those that take most from the variance of all conditions together.

The posterior of a Gaussian process does not need the values of a measurement to know how much variance it takes away.
So a batch is chosen one by one, each choice counted as measured before the next (greedy A-optimal design: Cohn 1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cycseq.models.kriging.block import Block
from cycseq.models.kriging.field import Field
from cycseq.models.kriging.mixture import Covariances, prior_covariance
from cycseq.models.kriging.settings import Stage

OfContexts = Float[np.ndarray, "genes contexts contexts"]
OfConditions = Float[np.ndarray, "genes perturbations contexts"]
LEAST = 1e-12


@dataclass(frozen=True)
class Uncertainty:
    """Posterior covariance of all responses: cov(p c, p' c') = common(c, c') + [p = p'] specific(p, c, c')."""

    common: OfContexts
    specific: Float[np.ndarray, "genes perturbations contexts contexts"]
    noise: Float[np.ndarray, "genes contexts"]
    """Sampling variance of a new measurement."""

    @property
    def variance(self) -> OfConditions:
        """Of every condition."""
        own, common = np.diagonal(self.specific, axis1=2, axis2=3), np.diagonal(self.common, axis1=1, axis2=2)
        variance: OfConditions = own + common[:, None]
        return variance

    def column(self, perturbation: int, context: int) -> OfConditions:
        """Covariance of every condition with one."""
        column = np.repeat(self.common[:, None, :, context], self.specific.shape[1], axis=1)
        column[:, perturbation] += self.specific[:, perturbation, :, context]
        return column

    def times(self, vector: OfConditions) -> OfConditions:
        """The covariance matrix times a vector, for every gene."""
        common = self.common @ vector.sum(axis=1)[:, :, None]
        product: OfConditions = (self.specific @ vector[..., None])[..., 0] + common[:, None, :, 0]
        return product

    def squares(self) -> OfConditions:
        """Sum of squares of every column."""
        both = self.specific + self.common[:, None]
        others = (self.common**2).sum(axis=1)[:, None] * (self.specific.shape[1] - 1)
        total: OfConditions = (both**2).sum(axis=2) + others
        return total


@dataclass(frozen=True)
class Choice:
    """A condition to measure."""

    perturbation: int
    context: int
    reduction: float
    """What its measurement takes from the summed variance, after all earlier choices."""


def uncertainty(field: Field, names: Sequence[str], genes: Int[np.ndarray, "genes"]) -> Uncertainty:
    """What is uncertain of single perturbations in all contexts, as the field's two stages believe it.

    Parameters
    ----------
    field
        What was measured and learned.
    names
        Single perturbations that were measured somewhere.
    genes
        Places of the genes that count.
    """
    n_contexts = len(field.levels)
    common = np.zeros((len(genes), n_contexts, n_contexts))
    if field.settings.common is not None:
        common = _posterior(field.settings.common, field.common_block(), field.covariances, genes)
    specific = [_posterior(field.settings.specific, field.specific_block(n), field.covariances, genes) for n in names]
    cells = np.median(field.measured.cell_noise[:, genes], axis=0)
    return Uncertainty(common, np.stack(specific, axis=1), cells[:, None] + field.measured.levels.noise[:, genes].T)


def choose(
    uncertain: Uncertainty, allowed: Bool[np.ndarray, "perturbations contexts"], n_choices: int
) -> tuple[Choice, ...]:
    """The batch, best first; shorter than asked for where fewer are allowed.

    Parameters
    ----------
    uncertain
        Posterior covariance of all conditions; every one of them counts alike.
    allowed
        What may be measured.
    n_choices
        Size of the batch.
    """
    allowed, variance, squares = allowed.copy(), uncertain.variance, uncertain.squares()
    known: list[OfConditions] = []  # the covariance is now the old one minus the sum of their outer products
    chosen: list[Choice] = []
    for _ in range(min(n_choices, int(allowed.sum()))):
        gain = (squares / (np.maximum(variance, 0.0) + uncertain.noise[:, None] + LEAST)).sum(axis=0)
        p, c = np.unravel_index(np.argmax(np.where(allowed, gain, -1.0)), gain.shape)
        chosen.append(Choice(int(p), int(c), float(gain[p, c])))
        column = uncertain.column(int(p), int(c))
        for seen in known:
            column -= seen * seen[:, p, c, None, None]
        of_measurement = np.maximum(variance[:, p, c], 0.0) + uncertain.noise[:, c] + LEAST
        taken = column / np.sqrt(of_measurement)[:, None, None]
        product = uncertain.times(taken)
        for seen in known:
            product -= seen * (seen * taken).sum(axis=(1, 2), keepdims=True)
        squares = squares - 2.0 * taken * product + taken**2 * (taken**2).sum(axis=(1, 2), keepdims=True)
        variance = variance - taken**2
        known.append(taken)
        allowed[p, c] = False
    return tuple(chosen)


def _posterior(stage: Stage, block: Block, covariances: Covariances, genes: Int[np.ndarray, "genes"]) -> OfContexts:
    """Covariance between contexts given a block, with the variances that the model states.

    A gene's components are taken together as one Gaussian, weighed by what was measured. Contexts tell of each other
    only as far as leaving out contexts has shown (`Trust.slope`).
    """
    block = block.rows(genes)
    prior = prior_covariance(block, stage.mixture, covariances)
    between = prior[:, block.points]
    seen = between[:, :, block.points] + (block.noise + LEAST)[:, :, None] * np.eye(len(block.points))
    left = prior - between.transpose(0, 2, 1) @ np.linalg.solve(seen, between)
    stated = stage.krige(block, covariances, np.arange(covariances.shape[1])).variance
    factor = np.sqrt(stated / np.maximum(np.diagonal(left, axis1=1, axis2=2), LEAST))
    trusted = np.where(np.eye(left.shape[1], dtype=bool), 1.0, stage.trust.slope)
    covariance: OfContexts = left * factor[:, :, None] * factor[:, None, :] * trusted
    return covariance
