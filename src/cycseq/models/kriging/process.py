"""The Gaussian process over conditions, all genes at once: one eigendecomposition, an amplitude for every gene of every perturbation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.amplitudes import AMPLITUDES, Amplitudes, learn_amplitudes
from cycseq.models.kriging.table import Square, Values

PerRow = Float[np.ndarray, "conditions"]


@dataclass(frozen=True)
class Process:
    """What was measured, turned into the directions of the kernel.

    Gene g of condition i: y_ig ~ N(0, rho_g (a K + D)), with K the kernel, D the noise of measurements, and a the gene's
    amplitude under the perturbation. One eigendecomposition of D^-1/2 K D^-1/2 serves all genes and amplitudes.
    """

    values: PerRow
    """Eigenvalues."""
    directions: Square
    """D^-1/2 times the eigenvectors."""
    turned: Values
    """Measured effects in these directions."""
    amplitudes: Amplitudes

    def predict(
        self,
        between: Float[np.ndarray, "targets conditions"],
        prior: Float[np.ndarray, "targets"],
        units: Int[np.ndarray, "targets"],
    ) -> GeneMixture:
        """The responses of targets, given their kernel with what was measured and with themselves: targets x genes x amplitudes."""
        of_unit = {unit: self.amplitudes.of(unit) for unit in np.unique(units)}
        shares = np.stack([of_unit[unit] for unit in units])
        across = between @ self.directions
        rho = self.amplitudes.noise
        means, sds = [], []
        for amplitude in AMPLITUDES:
            shrink = amplitude / (amplitude * self.values + 1.0)
            means.append((across * shrink).astype(np.float32) @ self.turned)
            left = np.maximum(amplitude * prior - amplitude * (across**2 * shrink).sum(axis=1), 0.0)
            sds.append(np.sqrt(left[:, None] * rho[None]).astype(np.float32))
        return GeneMixture(shares, np.stack(means, axis=-1), np.stack(sds, axis=-1))


def learn_process(
    kernel: Square,
    noise: Square,
    effect: Values,
    units: Int[np.ndarray, "conditions"],
    variance: Values | None = None,
) -> Process:
    """Learn every gene's amplitude and noise.

    Parameters
    ----------
    kernel
        Of the measured conditions.
    noise
        Covariances of their measurements' errors, mean over genes.
    effect
        Conditions x genes, without NaN.
    units
        The perturbation of every condition, as a code.
    variance
        Known sampling variances; None where they are unknown.
    """
    root = np.linalg.inv(np.linalg.cholesky(noise))
    values, vectors = np.linalg.eigh(root @ kernel @ root.T)
    values = np.maximum(values, 0.0)
    directions = root.T @ vectors
    turned = directions.T.astype(np.float32) @ effect.astype(np.float32)
    return Process(values, directions, turned, learn_amplitudes(kernel, noise, effect, units, variance))
