"""Laws of what makes counts more variable than Poisson: a factor G with mean 1; N ~ Poisson(m G) has variance m + dispersion m^2.

Each draws values of G (float32), and tells 1 - E[exp(-rate G)], the probability that a Poisson count with mean rate G is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, expit, ndtri

from cycseq.simulation.settings import Counts

LOG_RATES = np.linspace(np.log(1e-12), np.log(1e6), 4_000)
"""Grid of log rates at which transforms without a closed form are tabulated; between them they are interpolated."""
_LOGITS = np.linspace(-36.0, 36.0, 289)
QUANTILES = expit(_LOGITS)
QUANTILE_WEIGHTS = expit(_LOGITS) * expit(-_LOGITS) * (_LOGITS[1] - _LOGITS[0])
"""Points and weights of an integral over (0, 1), evenly spaced in logits, so that singular ends do no harm."""


@dataclass(frozen=True)
class Gamma:
    """G ~ gamma with shape 1 / dispersion: N is negative binomial."""

    dispersion: float

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Values of G."""
        k = np.float32(1.0 / self.dispersion)
        return np.asarray(rng.standard_gamma(k, shape, dtype=np.float32) / k)

    def share_above_zero(self, rate: np.ndarray) -> np.ndarray:
        """1 - (1 + dispersion rate)^(-1 / dispersion)."""
        return np.asarray(-np.expm1(-np.log1p(self.dispersion * rate) / self.dispersion))


@dataclass(frozen=True)
class LogNormal:
    """ln G ~ normal with variance s^2 = ln(1 + dispersion) and mean -s^2 / 2: N is Poisson-lognormal.

    Its upper tail is heavier than that of the negative binomial. Reference: Bulmer 1974 (Biometrics).
    """

    dispersion: float

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Values of G."""
        values = rng.standard_normal(shape, dtype=np.float32)
        values *= np.float32(self._sd)
        values -= np.float32(self._sd**2 / 2)
        return np.exp(values, out=values)

    def share_above_zero(self, rate: np.ndarray) -> np.ndarray:
        """1 - E[exp(-rate G)], by quadrature over quantiles."""
        return _integrated(rate, np.exp(self._sd * ndtri(QUANTILES) - self._sd**2 / 2))

    @property
    def _sd(self) -> float:
        return float(np.sqrt(np.log1p(self.dispersion)))


@dataclass(frozen=True)
class Beta:
    """G = B / E[B], B ~ beta(a, a + 1) with a = 1 / (2 dispersion): N is beta-Poisson.

    The stationary law of a gene whose promoter switches on and off and is transcribed while it is on: bounded above,
    and with two modes where it switches slowly (dispersion > 1/2). Reference: Vu et al. 2016 (Bioinformatics).
    """

    dispersion: float

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Values of G; B is X / (X + Y) of two gamma variables."""
        a = np.float32(0.5 / self.dispersion)
        on = rng.standard_gamma(a, shape, dtype=np.float32)
        off = rng.standard_gamma(a + np.float32(1), shape, dtype=np.float32)
        off += on
        on /= off
        on *= np.float32((2 * a + 1) / a)
        return on

    def share_above_zero(self, rate: np.ndarray) -> np.ndarray:
        """1 - E[exp(-rate G)], by quadrature over quantiles."""
        a = 0.5 / self.dispersion
        return _integrated(rate, betaincinv(a, a + 1.0, QUANTILES) * (2 * a + 1) / a)


MIXINGS: dict[Counts, type[Gamma | LogNormal | Beta]] = {
    "negative-binomial": Gamma,
    "poisson-lognormal": LogNormal,
    "bursting": Beta,
}
"""The law of G behind each law of counts."""


def _integrated(rate: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The expectation over G with these values at `QUANTILES`."""
    table = -np.expm1(-np.exp(LOG_RATES)[:, None] * factors) @ QUANTILE_WEIGHTS
    inside = np.clip(rate, np.exp(LOG_RATES[0]), np.exp(LOG_RATES[-1]))
    return np.asarray(np.interp(np.log(inside), LOG_RATES, table))
