"""What was measured, under the kernels and weights of a task: predictions of any condition of its table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.process import Process, learn_process
from cycseq.models.kriging.table import Square, Table, Values
from cycseq.models.kriging.tasks import Task, Weights, combine

LEAST_NOISE = 1e-6
"""In units of the mean squared effect."""


@dataclass(frozen=True)
class Field:
    """A table's kernel with the process of what was measured."""

    kernel: Square
    prior: Float[np.ndarray, "conditions"]
    """Variance of every condition's response."""
    noise: Float[np.ndarray, "conditions"]
    """Of a measurement, mean over genes."""
    measured: Int[np.ndarray, "measured"]
    process: Process

    def predict(self, targets: Int[np.ndarray, "targets"]) -> GeneMixture:
        """The distribution of every gene of some conditions: targets x genes x components."""
        return self.process.predict(self.kernel[np.ix_(targets, self.measured)], self.prior[targets])

    def noise_of(self, targets: Int[np.ndarray, "targets"]) -> Values:
        """Variance of a measurement around the response, as far as kernels cannot tell it from noise."""
        rho = (self.process.shares * self.process.noise).sum(axis=1)
        return np.asarray(self.noise[targets][:, None] * rho[None], dtype=np.float32)

    def covariance(self, targets: Int[np.ndarray, "targets"]) -> Square:
        """What is uncertain of the responses of some conditions, for a gene of the mean amplitude."""
        between = self.kernel[np.ix_(targets, self.measured)]
        seen = self.kernel[np.ix_(self.measured, self.measured)] + np.diag(self.noise[self.measured])
        left = self.kernel[np.ix_(targets, targets)] - between @ np.linalg.solve(seen, between.T)
        return np.asarray(left + np.diag(self.prior[targets] - np.diag(self.kernel)[targets]))


def learn_field(table: Table, task: Task, weights: Weights, variance: Values | None) -> Field:
    """Combine the kernels, and learn every gene's amplitude and noise.

    Where sampling variances are known, what a condition has beyond its kernels is part of its response; where they are
    not, nothing tells it from noise.

    Parameters
    ----------
    table
        Measured conditions, and conditions to predict.
    task, weights
        What is asked for, and what was learned for it.
    variance
        Sampling variances of the measured conditions, measured x genes; None where they are unknown.
    """
    kernel, own = combine(table, task, weights)
    measured = np.flatnonzero(table.seen)
    noise = own.copy()
    if variance is not None:
        noise[measured] += variance.mean(axis=1)
    noise = np.maximum(noise, LEAST_NOISE * max(float(np.mean(table.effect[measured] ** 2)), 1e-12))
    if variance is not None:  # what a measured condition has of its own, it has where it is predicted too
        again = table.like([str(c) for c in table.conditions])
        np.fill_diagonal(again, 0.0)
        kernel = kernel + again * own[:, None]
    process = learn_process(kernel[np.ix_(measured, measured)], noise[measured], table.effect[measured], variance)
    prior = np.diag(kernel) + (0.0 if variance is None else own)
    return Field(kernel, prior, noise, measured, process)
