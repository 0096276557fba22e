"""How strongly a gene answers to a perturbation: few genes answer to any, so that each has an amplitude in each.

Gene g of the conditions of perturbation p: y_pg ~ N(0, rho_g (a_pg K_pp + D_pp)), with a_pg one of `AMPLITUDES`. How often each occurs is
learned for every gene over perturbations; what was measured of a gene under a perturbation, elsewhere, then says which it is. So
a gene that nothing moved is shrunk to nothing, and one that moved in other contexts is not shrunk with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from cycseq.models.kriging.table import Square, Values

AMPLITUDES = (0.0, 1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0, 64.0)
"""Of a gene's variance of responses, in units of that of all genes."""
PRIOR_CONDITIONS = 20.0
"""Conditions that say that a gene is as noisy as its standard errors, or as the mean gene."""
PRIOR_UNITS = 10.0
"""Perturbations that say that a gene answers as often as all genes do."""
MAX_UNITS = 60
"""Perturbations from which it is learned how often each amplitude occurs."""
ROUNDS = 20
LEAST_SHARE = 1e-6
"""Of an amplitude, among all."""

AmplitudeOf = Literal["gene", "gene and perturbation"]
"""What has an amplitude of its own: where few genes answer to each perturbation, every gene of each; where all genes answer to all, a gene."""
AMPLITUDE_OF: tuple[AmplitudeOf, ...] = get_args(AmplitudeOf)

Shares = Float[np.ndarray, "genes amplitudes"]


@dataclass(frozen=True)
class Amplitudes:
    """What was learned of all perturbations, and the measurements that tell of single ones."""

    kernel: Square
    noise_of_conditions: Square
    effect: Values
    units: Int[np.ndarray, "conditions"]
    usual: Shares
    """How often each amplitude occurs, by gene."""
    noise: Float[np.ndarray, "genes"]
    """rho_g."""

    def of(self, unit: int | np.integer) -> Shares:
        """What is believed of every gene's amplitude under a perturbation: by what was measured of it; the usual, if nothing was or all is one unit."""
        rows = np.flatnonzero(self.units == unit)
        if len(rows) in (0, len(self.units)):
            return self.usual
        at = np.ix_(rows, rows)
        squares, determinants = block_terms(self.kernel[at], self.noise_of_conditions[at], self.effect[rows])
        return _believed(squares, determinants, self.usual, self.noise)


def block_terms(kernel: Square, noise: Square, effect: Values) -> tuple[Shares, Float[np.ndarray, "amplitudes"]]:
    """Squared lengths of every gene's measurements under each amplitude, and log determinants."""
    root = np.linalg.inv(np.linalg.cholesky(noise))
    values, vectors = np.linalg.eigh(root @ kernel @ root.T)
    scaled = np.outer(AMPLITUDES, np.maximum(values, 0.0)) + 1.0
    squares = ((root.T @ vectors).T.astype(np.float32) @ effect.astype(np.float32)) ** 2
    return squares.T @ (1.0 / scaled).T.astype(np.float32), np.log(scaled).sum(axis=1)


def _believed(squares: np.ndarray, determinants: np.ndarray, prior: np.ndarray, rho: np.ndarray) -> np.ndarray:
    logs = -0.5 * squares / np.maximum(rho, 1e-9)[:, None].astype(np.float32) - 0.5 * determinants[..., None, :].astype(
        np.float32
    )
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True)) * np.maximum(prior, LEAST_SHARE)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def learn_amplitudes(
    kernel: Square, noise: Square, effect: Values, units: Int[np.ndarray, "conditions"], variance: Values | None
) -> Amplitudes:
    """By EM, over at most `MAX_UNITS` perturbations.

    Parameters
    ----------
    kernel, noise, effect, units, variance
        As of `learn_process`.
    """
    names = np.unique(units)
    drawn = names[np.linspace(0, len(names) - 1, min(len(names), MAX_UNITS)).round().astype(int)]
    squares, determinants, n_rows = [], [], 0
    for unit in drawn:
        rows = np.flatnonzero(units == unit)
        at = np.ix_(rows, rows)
        of_unit = block_terms(kernel[at], noise[at], effect[rows])
        squares.append(of_unit[0])
        determinants.append(of_unit[1])
        n_rows += len(rows)
    square, determinant = np.stack(squares), np.stack(determinants)
    n_genes = effect.shape[1]
    prior = np.ones(n_genes)
    if variance is not None:
        prior = np.clip((variance / np.diag(noise)[:, None]).mean(axis=0), 1e-3, None)
        prior = prior / prior.mean()
    usual, rho = _of_genes(square.sum(axis=0), determinant.sum(axis=0), n_rows, prior)
    for _ in range(ROUNDS if len(drawn) > 1 else 0):
        believed = _believed(square, determinant, usual, rho)
        usual = (believed.sum(axis=0) + PRIOR_UNITS * usual.mean(axis=0)) / (len(drawn) + PRIOR_UNITS)
        total = (believed * square).sum(axis=(0, 2))
        rho = (total + PRIOR_CONDITIONS * prior * total.sum() / (n_rows * n_genes)) / (n_rows + PRIOR_CONDITIONS)
    return Amplitudes(kernel, noise, effect, units, usual, rho)


def _of_genes(
    squares: Shares, determinants: Float[np.ndarray, "amplitudes"], n_rows: int, prior: Float[np.ndarray, "genes"]
) -> tuple[Shares, Float[np.ndarray, "genes"]]:
    """One amplitude for all conditions of a gene: what is believed of it, and of the gene's noise, which has an inverse-gamma prior."""
    overall = float(squares[:, AMPLITUDES.index(1.0)].mean()) / n_rows
    total = squares.astype(np.float64) + PRIOR_CONDITIONS * overall * prior[:, None]
    logs = -0.5 * determinants - 0.5 * (n_rows + PRIOR_CONDITIONS) * np.log(np.maximum(total, 1e-300))
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares = np.full_like(likelihood, 1.0 / len(AMPLITUDES))
    for _ in range(ROUNDS):
        shares = likelihood * shares.mean(axis=0)
        shares /= shares.sum(axis=1, keepdims=True)
    return shares, (shares * total).sum(axis=1) / (n_rows + PRIOR_CONDITIONS)
