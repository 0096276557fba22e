"""The law of counts: drawn, drawn in pairs with common random numbers, and expected on the log1p scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from cycseq.data.scale import TARGET_SUM
from cycseq.simulation.mixing import MIXINGS
from cycseq.simulation.settings import Counts

Values = Float[np.ndarray, "cells genes"]
BLOCK = 2_000
LOWEST, HIGHEST, POINTS = np.log(1e-7), np.log(1e5), 500
"""Grid of log means at which expectations are tabulated; between them they are interpolated."""


@dataclass(frozen=True)
class Pairs:
    """Counts of control cells, and of the same cells perturbed."""

    control: sp.csr_matrix
    perturbed: sp.csr_matrix


@dataclass(frozen=True)
class CountLaw:
    """Counts are a mixture of Poisson laws, and then lost at random.

    N ~ Poisson(m G), G with mean 1 and variance `dispersion`, so that Var N = m + dispersion m^2; a gamma G makes N
    negative binomial (`mixing` has the other laws). N is set to zero with the probability `dropout`. The mean m is a
    cell's library size times a gene's share of its levels.
    """

    dispersion: float
    dropout: float
    counts: Counts = "negative-binomial"

    def draw(self, mean: Values, rng: np.random.Generator) -> sp.csr_matrix:
        """Counts of cells with these means."""
        blocks = []
        for start in range(0, len(mean), BLOCK):
            part = mean[start : start + BLOCK]
            blocks.append(sp.csr_matrix(self._kept(rng.poisson(part * self._noise(part, rng)), rng), dtype=np.float32))
        return sp.vstack(blocks, format="csr")

    def draw_pairs(self, mean: Values, paired: Values, rng: np.random.Generator) -> Pairs:
        """Counts of the same cells with two means each, by the same random numbers.

        Both counts share their factor G and their losses; with N ~ Poisson(G min(m, m')) common to both, the
        one with the higher mean has Poisson(G |m - m'|) more. Each of the two follows the law exactly; where the means
        are equal, so are the counts.
        """
        first, second = [], []
        for start in range(0, len(mean), BLOCK):
            one, other = mean[start : start + BLOCK], paired[start : start + BLOCK]
            noise = self._noise(one, rng)
            shared = rng.poisson(noise * np.minimum(one, other))
            more = rng.poisson(noise * np.abs(one - other))
            mask = self._kept(np.ones(one.shape, dtype=np.int8), rng)
            first.append(sp.csr_matrix((shared + more * (one > other)) * mask, dtype=np.float32))
            second.append(sp.csr_matrix((shared + more * (other > one)) * mask, dtype=np.float32))
        return Pairs(sp.vstack(first, format="csr"), sp.vstack(second, format="csr"))

    def share_above_zero(self, rate: np.ndarray) -> np.ndarray:
        """1 - E[exp(-rate G)], without what is lost."""
        if self.dispersion == 0:
            return np.asarray(-np.expm1(-rate))
        return MIXINGS[self.counts](self.dispersion).share_above_zero(rate)

    def _noise(self, like: Values, rng: np.random.Generator) -> Values | np.float32:
        return np.float32(1.0) if self.dispersion == 0 else MIXINGS[self.counts](self.dispersion).draw(like.shape, rng)

    def _kept(self, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return counts if self.dropout == 0 else counts * (rng.random(counts.shape, dtype=np.float32) >= self.dropout)


class ExpectedLog1p:
    """E[log(1 + c N)] of counts N, where c scales a cell's counts to a total of 10,000.

    By log(1 + x) = int_0^inf (1 - exp(-x t)) exp(-t) / t dt, the expectation needs the Laplace transform of the law
    alone: E[exp(-c t N)] = E[exp(-m s G)] with s = 1 - exp(-c t). The integral over log t is smooth, and is summed over
    equal steps. Losses scale it by 1 - dropout. A cell's total is taken to be its library size without what is lost.

    Row i of what is asked for later belongs to the i-th library size.
    """

    def __init__(self, law: CountLaw, library: Float[np.ndarray, "cells"]) -> None:
        log_scale = np.log(TARGET_SUM / (library * (1.0 - law.dropout)))
        log_ct, step = np.linspace(-30.0 + log_scale.min(), np.log(60.0) + log_scale.max(), 300, retstep=True)
        self._grid = np.linspace(LOWEST, HIGHEST, POINTS)
        above_zero = law.share_above_zero(np.exp(self._grid)[:, None] * -np.expm1(-np.exp(log_ct)))
        weights = np.exp(-np.exp(log_ct - log_scale[:, None])) * step * (1.0 - law.dropout)
        self._table = (weights @ above_zero.T).astype(np.float32)

    def __call__(self, log_mean: Values) -> Values:
        """The expectations at these log means, row i for the i-th library size."""
        place = (log_mean - np.float32(LOWEST)) * np.float32((POINTS - 1) / (HIGHEST - LOWEST))
        np.clip(place, 0, POINTS - 1.001, out=place)
        below = place.astype(np.int32)
        place -= below
        below += (np.arange(len(log_mean), dtype=np.int32) * POINTS)[:, None]
        flat = self._table.ravel()
        low = flat[below]
        below += 1
        return np.asarray(low + place * (flat[below] - low))


def log_shares(log_levels: Values) -> Values:
    """Logs of the genes' shares of a cell's levels."""
    levels = log_levels - log_levels.max(axis=1, keepdims=True)
    return np.asarray(levels - np.log(np.exp(levels).sum(axis=1, keepdims=True, dtype=np.float64)), dtype=np.float32)
