"""How strongly a gene answers to a perturbation: few genes answer to any, so that each has an amplitude in each.

Gene g of the conditions of perturbation p: y_pg ~ N(0, rho_g (a_pg K_pp + D_pp)), with a_pg one of `AMPLITUDES`. How often each occurs is
learned for every gene over perturbations; what was measured of a gene under a perturbation, elsewhere, then says which it is. So
a gene that nothing moved is shrunk to nothing, and one that moved in other contexts is not shrunk with it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
from jaxtyping import Float, Int

from cycseq.models.kriging.directions import Measurements
from cycseq.models.kriging.table import Values

AMPLITUDES = (0.0, 1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0, 64.0)
"""Of a gene's variance of responses, in units of that of all genes."""
PRIOR_CONDITIONS = 20.0  # conditions that say that a gene is as noisy as its standard errors, or as the mean gene
PRIOR_UNITS = 10.0  # perturbations that say that a gene answers as often as all genes do
MAX_UNITS = 60  # perturbations from which it is learned how often each amplitude occurs
ROUNDS = 20
POOL_GENES, POOL_ROUNDS, POOL_CHANGE = 300, 300, 1e-4
"""Genes from which it is learned how often each amplitude occurs among all, rounds of it at most, and the change at which they end: no response and a
small one look much alike, so that EM takes many."""
LEAST_SHARE = 1e-6  # of an amplitude, among all

AmplitudeOf = Literal["gene", "gene and perturbation"]
"""What has an amplitude of its own: where few genes answer to each perturbation, every gene of each; where all genes answer to all, a gene."""
AMPLITUDE_OF: tuple[AmplitudeOf, ...] = get_args(AmplitudeOf)

Shares = Float[np.ndarray, "amplitudes genes"]
PerGene = Float[np.ndarray, "genes"]


@dataclass(frozen=True)
class Blocks:
    """What the measurements of some perturbations tell of every gene's amplitude under each."""

    squares: Float[np.ndarray, "units amplitudes genes"]
    """Squared lengths of the measurements, in units of what each amplitude expects."""
    determinants: Float[np.ndarray, "units amplitudes"]  # log determinants of the covariances

    @classmethod
    def of(cls, parts: Iterable[Measurements]) -> Self:
        """One for each part."""
        squares, determinants = [], []
        for part in parts:
            scaled = np.outer(AMPLITUDES, part.directions.values) + 1.0
            squares.append((1.0 / scaled).astype(np.float32) @ part.turned**2)
            determinants.append(np.log(scaled).sum(axis=1))
        return cls(np.stack(squares), np.stack(determinants))

    def believed(self, usual: Shares, rho: PerGene) -> Iterator[Shares]:
        """For each unit, how likely each amplitude is of a gene that has it as often as `usual` says, and the noise `rho`."""
        prior = np.maximum(usual, LEAST_SHARE).astype(np.float32)
        by = _scale(rho)
        for squares, determinants in zip(self.squares, self.determinants.astype(np.float32), strict=True):
            yield _posterior(squares, determinants, prior, by)


def _scale(rho: PerGene) -> np.ndarray:
    """By what squared lengths are multiplied in a log likelihood."""
    return np.asarray((-0.5 / np.maximum(rho, 1e-9)).astype(np.float32))


def _posterior(squares: np.ndarray, determinants: np.ndarray, prior: np.ndarray, by: np.ndarray) -> np.ndarray:
    """How likely each amplitude is, by gene, of one unit or of many: on the axis before the last."""
    shares = squares * by - 0.5 * determinants[..., None]
    np.exp(shares - shares.max(axis=-2, keepdims=True), out=shares)
    shares *= prior
    shares /= shares.sum(axis=-2, keepdims=True)
    return np.asarray(shares)


@dataclass(frozen=True)
class Amplitudes:
    """What was learned of all perturbations."""

    usual: Shares  # how often each amplitude occurs, by gene
    noise: PerGene  # rho_g


def learn_amplitudes(
    measurements: Measurements, units: Int[np.ndarray, "conditions"], variance: Values | None
) -> Amplitudes:
    """By EM, over at most `MAX_UNITS` perturbations.

    Parameters
    ----------
    measurements, units, variance
        As of `learn_process`.
    """
    names = np.unique(units)
    drawn = names[np.linspace(0, len(names) - 1, min(len(names), MAX_UNITS)).round().astype(int)]
    blocks = Blocks.of(measurements.take(np.flatnonzero(units == unit)) for unit in drawn)
    n_rows, n_genes = int(np.isin(units, drawn).sum()), measurements.effect.shape[1]
    prior = np.ones(n_genes)
    if variance is not None:
        prior = np.clip((variance / np.diag(measurements.noise)[:, None]).mean(axis=0), 1e-3, None)
        prior = prior / prior.mean()
    usual, rho = _of_genes(blocks.squares.sum(axis=0), blocks.determinants.sum(axis=0), n_rows, prior)
    if len(drawn) == 1:
        return Amplitudes(usual, rho)
    if n_genes > 1:
        of_pool = np.linspace(0, n_genes - 1, min(n_genes, POOL_GENES)).round().astype(int)
        pool = _pooled(blocks, of_pool, rho[of_pool], n_rows, prior[of_pool])
        usual = np.broadcast_to(pool[:, None], usual.shape)
    for _ in range(ROUNDS):
        counts, total = np.zeros(usual.shape), np.zeros(n_genes)
        for shares, squares in zip(blocks.believed(usual, rho), blocks.squares, strict=True):
            counts += shares
            total += (shares * squares).sum(axis=0)
        usual = (counts + PRIOR_UNITS * usual.mean(axis=1, keepdims=True)) / (len(drawn) + PRIOR_UNITS)
        rho = _noise(total, n_rows, prior)
    return Amplitudes(usual, rho)


def _pooled(
    blocks: Blocks, genes: Int[np.ndarray, "some"], rho: PerGene, n_rows: int, prior: PerGene
) -> Float[np.ndarray, "amplitudes"]:
    """How often each amplitude occurs among all genes, by some of them, whose noise is `rho` to begin with."""
    pool = np.full(len(AMPLITUDES), 1.0 / len(AMPLITUDES))
    squares = np.ascontiguousarray(blocks.squares[..., genes])
    determinants = blocks.determinants.astype(np.float32)
    for _ in range(POOL_ROUNDS):
        prior_shares = np.maximum(pool, LEAST_SHARE).astype(np.float32)[:, None]
        shares = _posterior(squares, determinants, prior_shares, _scale(rho))
        before, pool = pool, shares.mean(axis=(0, 2), dtype=np.float64)
        rho = _noise(np.einsum("uag,uag->g", shares, squares), n_rows, prior)
        if np.abs(pool - before).max() < POOL_CHANGE:
            break
    return pool


def _noise(total: PerGene, n_rows: int, prior: PerGene) -> PerGene:
    """The noise of every gene, by its squared lengths over all rows and the known or mean one."""
    overall = total.sum() / (n_rows * len(total))
    return np.asarray((total + PRIOR_CONDITIONS * prior * overall) / (n_rows + PRIOR_CONDITIONS))


def _of_genes(
    squares: Shares, determinants: Float[np.ndarray, "amplitudes"], n_rows: int, prior: PerGene
) -> tuple[Shares, PerGene]:
    """One amplitude for all conditions of a gene: what is believed of it, and of the gene's noise, which has an inverse-gamma prior."""
    overall = float(squares[AMPLITUDES.index(1.0)].mean()) / n_rows
    total = squares.astype(np.float64) + PRIOR_CONDITIONS * overall * prior
    logs = -0.5 * (n_rows + PRIOR_CONDITIONS) * np.log(np.maximum(total, 1e-300)) - 0.5 * determinants[:, None]
    likelihood = np.exp(logs - logs.max(axis=0))
    shares = np.full_like(likelihood, 1.0 / len(AMPLITUDES))
    for _ in range(ROUNDS):
        shares = likelihood * shares.mean(axis=1, keepdims=True)
        shares /= shares.sum(axis=0)
    return shares, (shares * total).sum(axis=0) / (n_rows + PRIOR_CONDITIONS)
