"""Recalibration by left-out conditions: a mixture over slopes, on responses whose law is known."""

from dataclasses import replace

import numpy as np
import pytest

from cycseq.data.gene_mixture import GeneMixture
from cycseq.models.kriging.recalibration import LeftOut, Recalibration, learn_recalibration

GENES, NOISE, SD = 1_000, 0.05, 0.1


def left_out(slopes: tuple[float, ...], seed: int) -> tuple[LeftOut, np.ndarray]:
    """A condition in each unit, whose true responses are its slope times what was predicted; a third of genes respond."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(size=(len(slopes), GENES)) * (rng.random((len(slopes), GENES)) < 0.33)
    true = np.array(slopes)[:, None] * predicted + SD * rng.normal(size=predicted.shape)
    y = true + np.sqrt(NOISE) * rng.normal(size=true.shape)
    unit = np.repeat(np.arange(len(slopes), dtype=np.float64), GENES)
    mixture = at_rest_or(predicted.ravel())
    return LeftOut(mixture, y.ravel(), np.full(y.size, NOISE), unit, unit), true.ravel()


def at_rest_or(mean: np.ndarray) -> GeneMixture:
    """Stated distributions: the first component, that of no response, has no weight."""
    means = np.stack([np.zeros_like(mean), mean], axis=-1)
    return GeneMixture(np.broadcast_to([0.0, 1.0], means.shape), means, np.broadcast_to([0.001, SD], means.shape))


def learned(slopes: tuple[float, ...]) -> Recalibration:
    recalibration = learn_recalibration(left_out(slopes, 0)[0])
    assert recalibration is not None
    return recalibration


def test_contexts_that_flip_are_covered_and_their_probabilities_are_right():
    """Slopes 2, 2 and -1 have the mean 1 that was predicted; without slopes hardly any strong response is covered."""
    slopes = (2.0, -1.0, 2.0, 2.0, -1.0, 2.0)
    new, true = left_out(slopes, 1)
    recalibrated = learned(slopes).applied(new.mixture)
    np.testing.assert_allclose(recalibrated.mean, new.mixture.mean, atol=1e-9)
    responding = np.abs(new.mixture.mean) > 0.5

    def covered(mixture: GeneMixture) -> np.ndarray:
        return np.asarray(np.abs(2.0 * mixture.cdf(true) - 1.0) < 0.9)

    assert covered(new.mixture)[responding].mean() < 0.2
    assert 0.85 < covered(recalibrated)[responding].mean() < 0.97
    stated = recalibrated.probabilities(0.1)
    for probability, event in ((stated.up, true > 0), (stated.beyond, np.abs(true) > 0.1)):
        for low in np.arange(0.0, 1.0, 0.1):
            here = (probability >= low) & (probability < low + 0.1)
            if here.sum() >= 100:
                assert probability[here].mean() == pytest.approx(event[here].mean(), abs=0.1)


def test_what_was_right_stays_and_what_was_too_wide_becomes_narrower():
    new, true = left_out((1.0,) * 6, 1)
    recalibrated = learned((1.0,) * 6).applied(new.mixture)
    assert recalibrated.variance == pytest.approx(new.mixture.variance, rel=0.15)
    assert 0.88 < (np.abs(2.0 * recalibrated.cdf(true) - 1.0) < 0.9).mean() < 0.95
    sds = new.mixture.sds * np.array([1.0, 3.0])
    unsure = LeftOut(replace(new.mixture, sds=sds), new.y, new.noise, new.condition, new.unit)
    narrower = learn_recalibration(unsure)
    assert narrower is not None
    applied = narrower.applied(unsure.mixture)
    assert (applied.variance < 0.5 * unsure.mixture.variance).all()
    assert 0.88 < (np.abs(2.0 * applied.cdf(true) - 1.0) < 0.9).mean() < 0.97


def test_variance_in_closed_form_is_that_of_the_distribution():
    recalibration = learned((2.0, -1.0, 2.0, 2.0, -1.0, 2.0))
    mixture = left_out((1.0,), 3)[0].mixture
    np.testing.assert_allclose(recalibration.variance(mixture), recalibration.applied(mixture).variance, rtol=1e-4)


@pytest.mark.parametrize(
    ("slopes", "tells"), [((1.0, 0.8, 1.2, 1.0), True), ((1.0, -1.0, 1.0, -1.0), False), ((0.0,) * 5, False)]
)
def test_directions_are_believed_where_left_out_units_agree_with_them(slopes: tuple[float, ...], *, tells: bool):
    assert learned(slopes).tells is tells
