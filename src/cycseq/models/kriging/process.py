"""The Gaussian process over conditions, all genes at once: one eigendecomposition, an amplitude and a noise for every gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.table import Square, Values

AMPLITUDES = (0.0, 1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0, 64.0)
"""Of a gene's variance of responses, in units of that of all genes."""
PRIOR_CONDITIONS = 20.0
"""Conditions that say that a gene is as noisy as its standard errors, or as the mean gene."""
ROUNDS = 20
"""Of EM, for the shares of amplitudes among genes."""

PerRow = Float[np.ndarray, "conditions"]


@dataclass(frozen=True)
class Process:
    """What was measured, turned into the directions of the kernel.

    Gene g of condition i: y_ig ~ N(0, rho_g (a_g K + D)), with K the kernel, D the noise of conditions, a_g one of
    `AMPLITUDES`, and rho_g with an inverse-gamma prior. So every gene is shrunk by what its own measurements tell, and one
    eigendecomposition of D^-1/2 K D^-1/2 serves all of them.
    """

    values: PerRow
    """Eigenvalues."""
    directions: Square
    """D^-1/2 times the eigenvectors."""
    turned: Values
    """Measured effects in these directions."""
    shares: Float[np.ndarray, "genes amplitudes"]
    """What is believed of every gene's amplitude."""
    noise: Float[np.ndarray, "genes amplitudes"]
    """rho_g for each amplitude."""

    def predict(
        self, between: Float[np.ndarray, "targets conditions"], prior: Float[np.ndarray, "targets"]
    ) -> GeneMixture:
        """The responses of targets, given their kernel with what was measured and with themselves: targets x genes x amplitudes."""
        across = between @ self.directions
        means, sds = [], []
        for i, amplitude in enumerate(AMPLITUDES):
            shrink = amplitude / (amplitude * self.values + 1.0)
            means.append((across * shrink).astype(np.float32) @ self.turned)
            left = np.maximum(amplitude * prior - amplitude * (across**2 * shrink).sum(axis=1), 0.0)
            sds.append(np.sqrt(left[:, None] * self.noise[None, :, i]).astype(np.float32))
        weights = np.broadcast_to(self.shares.astype(np.float32), (*means[0].shape, len(AMPLITUDES)))
        return GeneMixture(weights, np.stack(means, axis=-1), np.stack(sds, axis=-1))


def learn_process(kernel: Square, noise: PerRow, effect: Values, variance: Values | None = None) -> Process:
    """Learn every gene's amplitude and noise.

    Parameters
    ----------
    kernel
        Of the measured conditions.
    noise
        Of every condition, mean over genes.
    effect
        Conditions x genes, without NaN.
    variance
        Known sampling variances; None where they are unknown.
    """
    root = 1.0 / np.sqrt(np.maximum(noise, 1e-12))
    values, vectors = np.linalg.eigh(kernel * np.outer(root, root))
    values = np.maximum(values, 0.0)
    directions = root[:, None] * vectors
    turned = directions.T.astype(np.float32) @ effect.astype(np.float32)
    squares = turned.astype(np.float64) ** 2
    n = len(noise)
    prior = np.ones(effect.shape[1])
    if variance is not None:
        prior = np.clip((variance * root[:, None] ** 2).mean(axis=0), 1e-3, None)
        prior = prior / prior.mean()
    overall = float((squares / (values[:, None] + 1.0)).mean())
    likelihood = np.empty((effect.shape[1], len(AMPLITUDES)))
    rho = np.empty_like(likelihood)
    for i, amplitude in enumerate(AMPLITUDES):
        scaled = amplitude * values + 1.0
        total = (1.0 / scaled) @ squares + PRIOR_CONDITIONS * prior * overall
        rho[:, i] = total / (n + PRIOR_CONDITIONS)
        likelihood[:, i] = -0.5 * np.log(scaled).sum() - 0.5 * (n + PRIOR_CONDITIONS) * np.log(total)
    likelihood = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    of_all = np.full(len(AMPLITUDES), 1.0 / len(AMPLITUDES))
    for _ in range(ROUNDS):
        shares = likelihood * of_all
        shares /= shares.sum(axis=1, keepdims=True)
        of_all = shares.mean(axis=0)
    return Process(values, directions, turned, shares, rho)
