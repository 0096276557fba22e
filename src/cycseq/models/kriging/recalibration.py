"""What leaving out measured conditions teaches of the distributions that are stated, beyond their parts' own checks.

A distribution keeps its mean. Its deviations from it are stretched, and a share of a wide normal distribution is added, both as
functions of the predicted size of the response, so that strong responses are not charged with, or praised for, what holds
of genes that do nothing. What was left out is noisy: its density is that of the true response and the known noise together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float

from cycseq.data.gene_mixture import GeneMixture, PerGene, mix

STRETCHES = (0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.4, 3.0, 4.0)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
WIDTHS = (2.0, 3.0, 5.0)
AT_SHARES = (0.25, 0.6, 0.85, 0.97)
"""Of the left-out genes in order of predicted size: where the functions of size have their nodes."""
PRIOR_ROWS = 30.0
"""Rows (a gene of a left-out condition) by whose mean gain nothing is changed: caution against overfitting."""
FEWEST = 200
"""Rows below which nothing is learned."""

Nodes = tuple[float, ...]


@dataclass(frozen=True)
class LeftOut:
    """Predictions of measured conditions, made without them, and what was measured; a row is a gene of a condition."""

    mixture: GeneMixture
    y: Float[np.ndarray, "rows"]
    noise: Float[np.ndarray, "rows"]
    unit: Float[np.ndarray, "rows"]
    """The context, or perturbation, that was left out."""


@dataclass(frozen=True)
class Recalibration:
    """By predicted size: how far deviations are stretched, and what share of a wide component is added."""

    log_sizes: Nodes
    stretch: Nodes
    share: Nodes
    width: Nodes
    """Of the wide component, in units of the stretched standard deviation."""
    gain: float
    """Mean log density of left-out measurements, above that without the predicted direction."""
    gain_error: float
    """Its standard error over what was left out; 0 where that was one."""
    n_units: int
    """Contexts, or perturbations, that were left out."""

    @property
    def tells(self) -> bool:
        """Whether left-out conditions show, by more than a standard error, that predictions have the right direction."""
        return self.gain > self.gain_error

    def applied(self, mixture: GeneMixture) -> GeneMixture:
        """The recalibrated distribution, of the same mean."""
        at = np.log(_size(mixture))
        stretch, share, width = (np.interp(at, self.log_sizes, f) for f in (self.stretch, self.share, self.width))
        return _changed(mixture, stretch, share, width)


def learn_recalibration(left_out: LeftOut) -> Recalibration | None:
    """The functions of size by likelihood, node by node; None where too little was left out."""
    if len(left_out.y) < FEWEST:
        return None
    log_size = np.log(_size(left_out.mixture))
    nodes = np.quantile(log_size, AT_SHARES)
    nodes = np.maximum.accumulate(nodes + 1e-9 * np.arange(len(nodes)))
    near = np.stack([np.interp(log_size, nodes, row) for row in np.eye(len(nodes))])
    mean, sd = left_out.mixture.mean, np.sqrt(left_out.mixture.variance)
    settings, gains = [], []
    plain = left_out.mixture.log_density(left_out.y, left_out.noise)
    for stretch in STRETCHES:
        core = np.exp(left_out.mixture.stretched(stretch).log_density(left_out.y, left_out.noise))
        for width, share in product(WIDTHS, SHARES):
            wide = GeneMixture.normal(mean, stretch * width * sd).log_density(left_out.y, left_out.noise)
            settings.append((stretch, share, width))
            gains.append(near @ (np.log((1.0 - share) * core + share * np.exp(wide) + 1e-30) - plain))
    penalty = np.array([abs(np.log(stretch)) + share for stretch, share, _ in settings])
    best = np.argmax(np.stack(gains) - PRIOR_ROWS * penalty[:, None], axis=0)
    of_node = [tuple(float(settings[i][k]) for i in best) for k in range(3)]
    learned = Recalibration(tuple(nodes.tolist()), of_node[0], of_node[1], of_node[2], 0.0, 0.0, 0)
    return _with_gain(learned, left_out)


def joined(parts: Sequence[LeftOut]) -> LeftOut:
    """One below the other."""
    mixture = GeneMixture(
        *(np.concatenate([getattr(part.mixture, name) for part in parts]) for name in ("weights", "means", "sds"))
    )
    y, noise, unit = (np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "noise", "unit"))
    return LeftOut(mixture, y, noise, unit)


def _with_gain(learned: Recalibration, left_out: LeftOut) -> Recalibration:
    """How much the predicted directions tell: against the same distributions, each with its mirror image."""
    mixture = learned.applied(left_out.mixture)
    there, mirrored = (mixture.log_density(sign * left_out.y, left_out.noise) for sign in (1.0, -1.0))
    gain = there - np.logaddexp(there, mirrored) + np.log(2.0)
    of_units = np.array([gain[left_out.unit == unit].mean() for unit in np.unique(left_out.unit)])
    n = len(of_units)
    error = float(of_units.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return replace(learned, gain=float(of_units.mean()), gain_error=error, n_units=n)


def _size(mixture: GeneMixture) -> PerGene:
    """Root of the expected square."""
    size: PerGene = np.sqrt(np.maximum(mixture.mean**2 + mixture.variance, 1e-12))
    return size


def _changed(mixture: GeneMixture, stretch: PerGene, share: PerGene, width: PerGene) -> GeneMixture:
    wide = GeneMixture.normal(mixture.mean, stretch * width * np.sqrt(mixture.variance))
    return mix([1.0 - share, share], [mixture.stretched(stretch), wide])
