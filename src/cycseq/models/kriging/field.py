"""What was measured, under the kernels and weights of a task: predictions of any condition of its table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.amplitudes import AmplitudeOf
from cycseq.models.kriging.directions import Measurements
from cycseq.models.kriging.noise import Sampling
from cycseq.models.kriging.process import Process, learn_process
from cycseq.models.kriging.table import Square, Table, Values
from cycseq.models.kriging.tasks import Task, Weights, combine

LEAST_NOISE = 1e-6  # in units of the mean squared effect

MEDIAN = np.pi / 2  # variance of a median of normal values over that of their mean


@dataclass(frozen=True)
class Field:
    """A table's kernel with the process of what was measured."""

    kernel: Square
    noise: Float[np.ndarray, "conditions"]  # what a measurement has of its own, mean over genes
    errors: Float[np.ndarray, "measured"]
    """Variance of the error that each measurement shares with no other, mean over genes."""
    measured: Int[np.ndarray, "measured"]
    units: Int[np.ndarray, "conditions"]  # conditions with the same code share their amplitudes
    process: Process
    table: Table
    fall: Process  # of the genes that do not respond: where strong genes rise, all others fall in share

    def predict(self, targets: Int[np.ndarray, "targets"]) -> GeneMixture:
        """The distribution of every gene of some conditions: targets x genes x components; the first is that of no response."""
        between, units = self.kernel[np.ix_(targets, self.measured)], self.units[targets]
        prior = np.diag(self.kernel)[targets]
        genes, fall = (process.predict(between, prior, units) for process in (self.process, self.fall))
        falls = self.table.falls_of(targets)
        sds = np.hypot(genes.sds, (np.sqrt(fall.variance) * falls)[..., None].astype(np.float32))
        return GeneMixture(genes.weights, genes.means + (fall.mean * falls)[..., None].astype(np.float32), sds)

    def noise_of(self, targets: Int[np.ndarray, "targets"]) -> Values:
        """Variance of a measurement around the response, as far as kernels cannot tell it from noise."""
        return np.asarray(self.noise[targets][:, None] * self.process.amplitudes.noise[None], dtype=np.float32)

    def covariance(self, targets: Int[np.ndarray, "targets"]) -> Square:
        """What is uncertain of the responses of some conditions, for a gene of the mean amplitude."""
        between = self.kernel[np.ix_(targets, self.measured)]
        seen = self.process.measurements.kernel + self.process.measurements.noise
        left = self.kernel[np.ix_(targets, targets)] - between @ np.linalg.solve(seen, between.T)
        return np.asarray(left)


def learn_fields(
    table: Table, task: Task, weights: Weights, sampling: Sampling | None, ways: Sequence[AmplitudeOf]
) -> list[Field]:
    """Combine the kernels, and learn every gene's amplitude and noise, once for each way.

    Where sampling variances are known, what a condition has beyond its kernels is part of its response; where they are
    not, nothing tells it from noise.

    Parameters
    ----------
    table
        Measured conditions, and conditions to predict.
    task, weights
        What is asked for, and what was learned for it.
    sampling
        Sampling variances of the measured conditions; None where they are unknown.
    ways
        What has an amplitude of its own.
    """
    kernel, own = combine(table, task, weights)
    measured = np.flatnonzero(table.seen)
    effect = table.effect[measured]
    noise = np.eye(len(measured)) * LEAST_NOISE * max(float(np.mean(effect**2)), 1e-12)
    cells = None
    if sampling is None:
        errors = own[measured]
        noise += np.diag(errors)
    else:
        errors = sampling.cells.mean(axis=1, dtype=np.float64)
        noise += sampling.covariance(table.contexts[measured])
        # what a condition has of its own, it has where it is predicted too
        kernel = kernel + table.like([str(c) for c in table.conditions]) * own[:, None]
        own, cells = np.zeros_like(own), sampling.cells
    falls = table.falls_of(measured)
    fall, error = common_fall(effect, falls)
    of_genes = Measurements.of(kernel[np.ix_(measured, measured)], noise, effect - fall * falls)
    of_fall = of_genes.beside(fall, error)
    fields = []
    for way in ways:
        units = table.agents if way == "gene and perturbation" else np.zeros_like(table.agents)
        process = learn_process(of_genes, units[measured], cells)
        fall_process = learn_process(of_fall, units[measured])
        fields.append(Field(kernel, own, errors, measured, units, process, table, fall_process))
    return fields


def common_fall(effect: Values, falls: Values) -> tuple[Float[np.ndarray, "conditions 1"], float]:
    """By how much the counts of all genes rose, as most genes say: the f with the least sum of |effect - f falls|, a weighted median.

    The second is its variance, in units of that of a measured effect, mean over genes.
    """
    ratios = effect / np.maximum(falls, 1e-6)
    order = np.argsort(ratios, axis=1)
    weights = np.cumsum(np.take_along_axis(falls, order, axis=1), axis=1, dtype=np.float64)
    middle = np.argmax(weights >= 0.5 * weights[:, -1:], axis=1)[:, None]
    fall = np.take_along_axis(ratios, np.take_along_axis(order, middle, axis=1), axis=1)
    return fall, MEDIAN / float(np.square(falls, dtype=np.float64).sum(axis=1).mean())
