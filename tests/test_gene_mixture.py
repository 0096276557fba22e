"""Mixtures against numerical integration and sampling, and what is said of sign and size."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from cycseq.data.gene_mixture import GeneMixture, mix

RNG = np.random.default_rng(0)
GENES, COMPONENTS = 6, 5
MIXTURE = GeneMixture(
    RNG.dirichlet(np.ones(COMPONENTS), GENES),
    RNG.normal(scale=0.3, size=(GENES, COMPONENTS)),
    np.exp(RNG.normal(-1.5, 1.0, size=(GENES, COMPONENTS))),
)


def density(gene: int, x: float) -> float:
    return float(MIXTURE.weights[gene] @ norm.pdf(x, MIXTURE.means[gene], MIXTURE.sds[gene]))


def test_tail_probabilities_are_integrals_of_the_density():
    told = MIXTURE.probabilities(0.2)
    for gene in range(GENES):
        within = [
            quad(lambda x, g=gene: density(g, x), *ends, epsabs=1e-10, limit=200)[0] for ends in ((0, 8), (-0.2, 0.2))
        ]
        assert told.up[gene] == pytest.approx(within[0], abs=1e-6)
        assert told.beyond[gene] == pytest.approx(1 - within[1], abs=1e-6)
    np.testing.assert_allclose(told.up + told.down, 1.0)


def test_the_false_sign_rate_is_that_of_samples():
    rng = np.random.default_rng(1)
    n = 200_000
    for gene in range(GENES):
        component = rng.choice(COMPONENTS, n, p=MIXTURE.weights[gene])
        x = rng.normal(MIXTURE.means[gene, component], MIXTURE.sds[gene, component])
        wrong = min((x > 0).mean(), (x < 0).mean())
        assert MIXTURE.probabilities(0.1).lfsr[gene] == pytest.approx(wrong, abs=0.005)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
def test_quantiles_are_the_inverse_of_the_distribution(level: float):
    np.testing.assert_allclose(MIXTURE.cdf(MIXTURE.quantile(level)), level, atol=1e-5)


def test_a_sum_has_the_moments_and_the_tails_of_samples():
    rng = np.random.default_rng(2)
    other = GeneMixture(MIXTURE.weights[::-1], 0.5 * MIXTURE.means[::-1], MIXTURE.sds[::-1])
    both = MIXTURE.plus(other, 8)
    assert both.means.shape == (GENES, 8)
    np.testing.assert_allclose(both.mean, MIXTURE.mean + other.mean)
    np.testing.assert_allclose(both.variance, MIXTURE.variance + other.variance)
    for gene in range(GENES):
        total = np.zeros(100_000)
        for part in (MIXTURE, other):
            component = rng.choice(COMPONENTS, len(total), p=part.weights[gene])
            total += rng.normal(part.means[gene, component], part.sds[gene, component])
        assert both.probabilities(0.2).up[gene] == pytest.approx((total > 0).mean(), abs=0.03)
        assert both.probabilities(0.2).beyond[gene] == pytest.approx((np.abs(total) > 0.2).mean(), abs=0.03)


def test_a_narrow_part_and_a_wide_part_are_not_one_normal_distribution():
    """Nine chances of nothing, one of a large response: a normal distribution of the same sd would say 0.75 beyond 0.1."""
    spike = mix([0.9, 0.1], [GeneMixture.normal(*np.array([[0.0], [s]])) for s in (0.01, 1.0)])
    assert spike.probabilities(0.1).beyond[0] == pytest.approx(0.1 * 2 * norm.sf(0.1), abs=1e-6)
    assert 2 * norm.sf(0.1 / np.sqrt(spike.variance[0])) > 0.7


def test_ignorance_does_not_make_a_direction_surer():
    """The wider the distribution around the same effect, the higher the false sign rate."""
    sds = np.geomspace(0.01, 10.0, 20)
    rates = GeneMixture.normal(np.full(20, 0.3), sds).probabilities(0.1).lfsr
    assert (np.diff(rates) >= 0).all()
    assert rates[-1] == pytest.approx(0.5, abs=0.02)


def test_changes_of_scale_and_width_keep_what_they_should():
    np.testing.assert_allclose(MIXTURE.stretched(2.0).mean, MIXTURE.mean)
    np.testing.assert_allclose(MIXTURE.stretched(2.0).variance, 4 * MIXTURE.variance)
    np.testing.assert_allclose(MIXTURE.scaled(-1.0).probabilities(0.1).up, MIXTURE.probabilities(0.1).down)
    np.testing.assert_allclose(MIXTURE.noisy(np.full(GENES, 0.5)).variance, MIXTURE.variance + 0.5)
    np.testing.assert_allclose(MIXTURE.compressed(2).mean, MIXTURE.mean)
    np.testing.assert_allclose(MIXTURE.compressed(2).variance, MIXTURE.variance)
