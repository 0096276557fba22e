"""The numerics of kriging against a few lines of textbook algebra and known truths."""

from dataclasses import replace
from itertools import product
from unittest.mock import Mock

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.models.kriging import batches, mixture
from cycseq.models.kriging.batches import Controls, match_controls
from cycseq.models.kriging.block import Block
from cycseq.models.kriging.calibration import Trust, leave_one_out
from cycseq.models.kriging.conserved import Conserved, learn_conserved
from cycseq.models.kriging.covariance import RESPONSE_PATTERNS, Pattern, euclidean, median_distance
from cycseq.models.kriging.features import feature_covariances
from cycseq.models.kriging.field import Field
from cycseq.models.kriging.learning import learned_stage, level_slope
from cycseq.models.kriging.levels import learn_levels, smooth_levels, weight_of_known
from cycseq.models.kriging.measured import measure
from cycseq.models.kriging.mixture import Mixture, krige, learn_mixture
from cycseq.models.kriging.private import learn_private

SCALES = (0.01, 0.1, 1.0, 10.0)


def distances(n: int, seed: int = 0) -> np.ndarray:
    between = euclidean(np.random.default_rng(seed).normal(size=(n, 5)))
    return between / median_distance(between)


def block(rows: int = 30, points: int = 4, seed: int = 0) -> Block:
    rng = np.random.default_rng(seed)
    return Block(
        y=rng.normal(size=(rows, points)),
        noise=rng.uniform(0.05, 0.5, size=(rows, points)),
        variance=rng.uniform(0.5, 2.0, size=rows),
        points=np.arange(points),
    )


def drawn(covariance: np.ndarray, rows: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True values at all points, and noisy ones."""
    rng = np.random.default_rng(seed)
    truth = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=rows)
    return truth, truth + rng.normal(scale=np.sqrt(noise), size=truth.shape)


@pytest.mark.parametrize(
    ("slopes", "low", "high"),
    [((0.8, 0.8, 0.8, 0.8), 0.8, 0.8), ((0.9, 0.5), 0.0, 0.69), ((0.9, 0.0), 0.0, 0.0), ((-0.5, -0.5), 0.0, 0.0)],
)
def test_few_contexts_tell_little_of_the_slope_of_levels(slopes: tuple[float, ...], low: float, high: float):
    """Contexts whose responses miss by so much of what smoothing takes off their control means."""
    excess = np.random.default_rng(0).choice([-1.0, 1.0], size=(len(slopes), 50))
    field = Mock(spec=Field, settings=Mock(), covariances=None)
    field.settings.common.krige.return_value.mean = np.zeros((50, 1))
    field.common_block.return_value = replace(
        block(50, len(slopes)), y=-excess.T * np.array(slopes), noise=np.ones((50, len(slopes)))
    )
    slope = level_slope(field, excess)
    assert low - 1e-12 <= slope <= high + 1e-12


def test_one_component_is_textbook_kriging():
    seen, scale = block(), 2.0
    covariance = Pattern(0.3, 0.5, 0.2, 0.8).covariance(distances(6))
    targets = np.array([1, 4, 5])
    got = krige(seen, Mixture((scale,), np.ones((1, 1))), covariance[None], targets)
    for row in range(len(seen.y)):
        prior = scale * seen.variance[row] * covariance
        gain = prior[np.ix_(targets, seen.points)] @ np.linalg.inv(
            prior[np.ix_(seen.points, seen.points)] + np.diag(seen.noise[row])
        )
        left = prior[np.ix_(targets, targets)] - gain @ prior[np.ix_(seen.points, targets)]
        np.testing.assert_allclose(got.mean[row], gain @ seen.y[row], atol=1e-10)
        np.testing.assert_allclose(got.variance[row], np.diag(left), atol=1e-10)
        np.testing.assert_allclose(got.own_weight[row], [gain[0, 1], 0, 0], atol=1e-10)


def test_a_mixture_weighs_components_by_their_likelihood():
    seen = block(rows=5, points=3)
    covariances = np.stack([p.covariance(distances(4)) for p in RESPONSE_PATTERNS[:2]])
    weights = np.array([[0.3, 0.2], [0.1, 0.4]])
    got = krige(seen, Mixture((0.5, 3.0), weights), covariances, np.array([3]))
    for row in range(5):
        joint, means, seconds = [], [], []
        for k in range(2):
            for j, scale in enumerate((0.5, 3.0)):
                alone = krige(seen, Mixture((scale,), np.ones((1, 1))), covariances[[k]], np.array([3]))
                a = scale * seen.variance[row] * covariances[k][:3, :3] + np.diag(seen.noise[row])
                density = np.exp(-0.5 * seen.y[row] @ np.linalg.solve(a, seen.y[row])) / np.sqrt(np.linalg.det(a))
                joint.append(weights[k, j] * density)
                means.append(alone.mean[row, 0])
                seconds.append(alone.variance[row, 0] + alone.mean[row, 0] ** 2)
        share = np.array(joint) / np.sum(joint)
        assert got.mean[row, 0] == pytest.approx(share @ means)
        assert got.variance[row, 0] == pytest.approx(share @ seconds - (share @ means) ** 2)


def test_factorised_noise_is_exact_where_noise_factorises(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.1, 1.0, (40, 1)) * rng.uniform(0.5, 2.0, (1, 5))
    seen = Block(rng.normal(size=(40, 5)), noise, rng.uniform(0.5, 2, 40), np.arange(5))
    covariances = np.stack([p.covariance(distances(7)) for p in RESPONSE_PATTERNS])
    targets = np.array([0, 5, 6])
    exact_prior = learn_mixture([seen], covariances, SCALES)
    exact = krige(seen, exact_prior, covariances, targets)
    monkeypatch.setattr(mixture, "EXACT_POINTS", 0)
    np.testing.assert_allclose(learn_mixture([seen], covariances, SCALES).weights, exact_prior.weights, atol=1e-6)
    shared = krige(seen, exact_prior, covariances, targets)
    for name in ("mean", "variance", "own_weight"):
        np.testing.assert_allclose(getattr(shared, name), getattr(exact, name), atol=1e-8)


@pytest.mark.parametrize(("pattern", "place"), [(Pattern(1.0, 0.0, 0.0), 0), (Pattern(0.0, 0.0, 1.0), 2)])
def test_sharing_between_contexts_is_learned(pattern: Pattern, place: int):
    between = distances(6)
    patterns = (Pattern(1.0, 0.0, 0.0), Pattern(0.0, 1.0, 0.0), Pattern(0.0, 0.0, 1.0))
    _, y = drawn(pattern.covariance(between), 2_000, 0.3)
    seen = Block(y, np.full_like(y, 0.3), np.ones(len(y)), np.arange(6))
    learned = learn_mixture([seen], np.stack([p.covariance(between) for p in patterns]), SCALES)
    assert learned.pattern_weights[place] > 0.9
    assert learned.weights.sum() == pytest.approx(1.0)


def test_unrelated_contexts_shrink_a_new_one_to_nothing():
    between = distances(6)
    _, y = drawn(np.eye(6), 2_000, 0.1)
    seen = Block(y[:, :5], np.full((2_000, 5), 0.1), np.ones(2_000), np.arange(5))
    covariances = np.stack([p.covariance(between) for p in RESPONSE_PATTERNS])
    learned = learn_mixture([seen], covariances, SCALES)
    trust = leave_one_out([seen], learned, covariances)
    got = trust.applied(seen, krige(seen, learned, covariances, np.array([5])))
    assert (got.mean**2).mean() < 0.01
    assert got.variance.mean() == pytest.approx(1.0, abs=0.15)


def test_intervals_cover_though_the_noise_was_understated():
    covariances = np.ones((1, 6, 6))
    _, y = drawn(0.2 * covariances[0], 3_000, 1.0)
    seen = Block(y[:, :5], np.full((3_000, 5), 0.6), np.ones(3_000), np.arange(5))
    learned = learn_mixture([seen], covariances, SCALES)
    trust = leave_one_out([seen], learned, covariances)
    plain = krige(seen, learned, covariances, np.array([5]))
    corrected = trust.applied(seen, plain)

    def coverage(variance: np.ndarray, mean: np.ndarray) -> float:
        return float((np.abs(y[:, 5] - mean[:, 0]) < 1.645 * np.sqrt(variance[:, 0] + 0.6)).mean())

    assert coverage(plain.variance, plain.mean) < 0.87
    assert 0.87 < coverage(corrected.variance, corrected.mean) < 0.94


def test_few_points_that_disagree_are_not_trusted():
    """Eight points, all alike in one block; in the other two are alike and strong, and the others are their own."""
    covariance, rng = np.stack([0.8 + 0.2 * np.eye(8)]), np.random.default_rng(0)
    prior = Mixture((1.0,), np.ones((1, 1)))
    _, alike = drawn(covariance[0], 400, 0.1)
    apart = rng.normal(size=(400, 8)) + rng.normal(size=(400, 1)) * np.array([3.0, 3, 0, 0, 0, 0, 0, 0])
    slopes = {}
    for name, y in (("alike", alike), ("apart", apart)):
        seen = Block(y, np.full_like(y, 0.1), np.ones(400), np.arange(8))
        plain, cautious = (leave_one_out([seen], prior, covariance, cautious=how).slope for how in (False, True))
        parts = [krige(seen.without(i), prior, covariance, np.array([i])).mean[:, 0] for i in range(8)]
        kept = [[j for j in range(8) if j != i] for i in range(8)]
        jack = [sum(parts[j] @ y[:, j] for j in k) / sum(parts[j] @ parts[j] for j in k) for k in kept]
        slope = sum(parts[j] @ y[:, j] for j in range(8)) / sum(p @ p for p in parts)
        error = np.sqrt(7 * np.var(jack))
        assert plain == pytest.approx(np.clip(slope - error**2 / slope, 0, 1))
        assert cautious == pytest.approx(np.clip(slope - error, 0, 1))
        slopes[name] = slope, plain, cautious
    assert min(slopes["alike"][1:]) > 0.9
    assert slopes["apart"][2] < 0.5 * slopes["apart"][0]


def test_what_was_measured_well_needs_no_correction():
    seen = Block(np.ones((3, 2)), np.full((3, 2), 1e-6), np.ones(3), np.arange(2))
    posterior = krige(seen, Mixture((1.0,), np.ones((1, 1))), np.eye(2)[None], np.array([0]))
    got = Trust(slope=0.0, nugget=9.0, inflation=9.0).applied(seen, posterior)
    np.testing.assert_allclose(got.mean, 1.0, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.2, 4), st.integers(2, 8), st.integers(0, 99))
def test_every_pattern_is_a_covariance(shared: float, near: float, length: float, n: int, seed: int):
    covariance = Pattern(shared, near, 0.1, length).covariance(distances(n, seed))
    np.testing.assert_allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0


def controls_with_batches(effect: float, seed: int = 0) -> tuple[Controls, np.ndarray]:
    """One context, six batches of unequal size, 500 genes; the true mean of every batch beside it."""
    rng = np.random.default_rng(seed)
    n = np.array([5, 10, 20, 40, 80, 0])
    truth = 1.0 + rng.normal(scale=effect, size=(6, 500))
    mean = truth + rng.normal(size=truth.shape) / np.sqrt(np.maximum(n, 1))[:, None]
    return Controls(n, mean, np.zeros(6, dtype=np.int64), np.ones((1, 500))), truth


@pytest.mark.parametrize("effect", [0.0, 0.1, 1.0])
def test_controls_are_matched_as_far_as_batches_differ(effect: float):
    controls, truth = controls_with_batches(effect)
    shares = np.array([[0.9, 0.1, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 0, 1.0]])
    got = match_controls(controls, shares, np.zeros(3, dtype=np.int64))
    error = (got.mean - shares @ truth) ** 2
    pooled = controls.n_cells @ controls.mean / controls.n_cells.sum()
    of_pooled = (pooled - shares @ truth) ** 2
    of_matched = (shares[:2] @ controls.mean - shares[:2] @ truth) ** 2
    assert error.mean() <= of_pooled.mean() * 1.1
    assert error[:2].mean() <= of_matched.mean() * 1.1
    assert error.mean() == pytest.approx(got.noise.mean(), rel=0.35)


def test_weights_of_control_batches_sum_to_one():
    controls, _ = controls_with_batches(0.3)
    for ratio in batches.RATIOS:
        np.testing.assert_allclose(batches._weights(controls, np.full((1, 6), 1 / 6), ratio).sum(), 1.0)


def test_smoothing_brings_control_levels_nearer_to_the_truth():
    rng = np.random.default_rng(0)
    shared, own = rng.gamma(1.0, 0.5, size=(1, 800)), rng.random((5, 800)) < 0.1
    truth = np.maximum(shared + own * rng.normal(size=(5, 800)), 0.0)
    noise = np.repeat([[0.001], [0.001], [0.002], [0.02], [0.05]], 800, axis=1)
    measured = truth + rng.normal(size=truth.shape) * np.sqrt(noise)
    smooth = smooth_levels(measured, noise, learn_levels(measured, noise))
    before, after = ((measured - truth) ** 2).mean(axis=1), ((smooth.mean.T - truth) ** 2).mean(axis=1)
    assert (after[3:] < 0.5 * before[3:]).all()
    assert (after < 1.05 * before).all()


def test_features_are_compared_by_angle_and_distance():
    values = np.array([[1.0, 0], [2.0, 0], [0, 1.0], [-1.0, -1.0]])
    got = feature_covariances(values, 4)
    np.testing.assert_allclose(got[0], np.eye(4))
    for covariance in got:
        np.testing.assert_allclose(np.diag(covariance), 1.0)
        assert np.linalg.eigvalsh(covariance).min() > -1e-9


@pytest.mark.parametrize("points", [4, 12])
def test_how_well_an_observation_fits_the_others(points: int):
    """Against the densities of SciPy; noise alike at all points, so that many points are exact too."""
    seen = block(rows=6, points=points)
    seen = Block(seen.y, np.full_like(seen.y, 0.2), seen.variance, seen.points)
    covariances = np.stack([p.covariance(distances(points)) for p in (RESPONSE_PATTERNS[4], RESPONSE_PATTERNS[7])])
    weights = np.array([[0.3, 0.2], [0.1, 0.4]])
    fit = krige(seen, Mixture((0.1, 3.0), weights), covariances, np.array([2])).own_fit[:, 0]

    def log_density(row: int, kept: np.ndarray) -> float:
        parts = []
        for i, covariance in enumerate(covariances):
            for j, scale in enumerate((0.1, 3.0)):
                total = scale * seen.variance[row] * covariance[np.ix_(kept, kept)] + 0.2 * np.eye(len(kept))
                parts.append(np.log(weights[i, j]) + multivariate_normal(cov=total).logpdf(seen.y[row, kept]))
        return float(logsumexp(parts))

    every = np.arange(points)
    expected = [log_density(row, every) - log_density(row, np.delete(every, 2)) for row in range(6)]
    np.testing.assert_allclose(fit - 0.5 * np.log(2 * np.pi), expected, atol=1e-8)


def test_what_contexts_have_to_themselves_is_not_averaged():
    """Strong here and nothing there, in turn by chance: a row's scale elsewhere tells nothing."""
    rng = np.random.default_rng(0)
    between = distances(4)
    covariances = np.stack([p.covariance(between) for p in RESPONSE_PATTERNS])
    strong = rng.normal(size=(3000, 4)) * 2.0 * (rng.random((3000, 4)) < 0.2)
    alike = np.repeat(strong[:, :1], 4, axis=1)
    errors = {}
    for name, truth in (("own", strong), ("alike", alike)):
        seen = Block(
            truth + rng.normal(size=truth.shape) * 0.7, np.full(truth.shape, 0.49), np.ones(3000), np.arange(4)
        )
        learned = learn_mixture([seen], covariances, SCALES)
        private = learn_private([seen], learned, covariances)
        joint = krige(seen, learned, covariances, seen.points)
        made = private.applied(seen, joint, joint, seen.points)
        errors[name] = [((p.mean - truth) ** 2).mean() for p in (made, joint)]
        assert 0.87 < (np.abs(made.mean - truth) < 1.645 * np.sqrt(made.variance)).mean() < 0.96
        assert (private.shares[0][0] > 0.9) == (name == "alike")
    assert errors["own"][0] < 0.95 * errors["own"][1]
    assert errors["alike"][0] < 1.02 * errors["alike"][1]


def test_conserved_responses_against_all_ways_to_share_them():
    """Every subset of points that have the response, f integrated over a fine grid; an observed target, and a new one."""
    law, scale = Conserved(rate=0.7, spread=0.2, scales=(0.05, 4.0), own=(0.6, 0.4)), 2.0
    seen = block(rows=5, points=3)
    mixed = Mixture((scale,), np.ones((1, 1)), law)
    got = krige(seen, mixed, np.empty((0, 4, 4)), np.array([1, 3]))
    for row in range(5):
        y, noise, variance = seen.y[row], seen.noise[row], seen.variance[row]
        f = np.linspace(-12, 12, 40_001) * np.sqrt(variance)
        own = [norm(0, np.sqrt(variance * s + noise)) for s in law.scales]
        total, mean, square, own_mean, without = 0.0, np.zeros(2), np.zeros(2), 0.0, 0.0
        prior = norm.pdf(f, 0, np.sqrt(scale * variance)) * (f[1] - f[0])
        kept = law.spread * f**2 / (law.spread * f**2 + noise[1])
        shared_mean, shared_variance = f + kept * (y[1] - f), kept * noise[1]
        ratios = [variance * s / (variance * s + noise[1]) for s in law.scales]
        chances = np.array([w * o.pdf(y)[1] for w, o in zip(law.own, own, strict=True)])
        chances /= chances.sum()
        alone = chances @ ratios * y[1]
        alone_square = chances @ [r * noise[1] + (r * y[1]) ** 2 for r in ratios]
        for has in product((True, False), repeat=3):
            weight = prior.copy()
            for c in range(3):
                each = sum(w * o.pdf(y)[c] for w, o in zip(law.own, own, strict=True))
                shared = norm.pdf(y[c], f, np.sqrt(noise[c] + law.spread * f**2))
                weight *= law.rate * shared if has[c] else (1 - law.rate) * each
                if c == 1:
                    factor = law.rate * shared if has[c] else (1 - law.rate) * each
            without += (weight / factor).sum() * (law.rate if has[1] else 1 - law.rate)
            total += weight.sum()
            mean += [(weight * shared_mean).sum() if has[1] else weight.sum() * alone, law.rate * (weight * f).sum()]
            own_square = law.rate * (1 + law.spread) * f**2 + (1 - law.rate) * variance * np.dot(law.own, law.scales)
            here = (weight * (shared_variance + shared_mean**2)).sum() if has[1] else weight.sum() * alone_square
            square += [here, (weight * own_square).sum()]
            own_mean += (weight * kept).sum() if has[1] else weight.sum() * (chances @ ratios)
        np.testing.assert_allclose(got.mean[row], mean / total, atol=0.02)
        np.testing.assert_allclose(got.variance[row], square / total - (mean / total) ** 2, rtol=0.05)
        np.testing.assert_allclose(got.own_weight[row], [own_mean / total, 0], atol=0.02)
        fit = np.log(total / without) + 0.5 * np.log(2 * np.pi)
        np.testing.assert_allclose(got.own_fit[row, 0], fit, atol=0.03)


def with_own_responses(rate: float, rows: int = 3000, points: int = 6) -> np.ndarray:
    """One response for all points, that each point has with this probability, else one of its own; most are small."""
    rng = np.random.default_rng(0)
    sizes = np.where(rng.random((rows, points + 1)) < 0.3, 2.0, 0.1)
    values = rng.normal(size=(rows, points + 1)) * sizes
    return np.where(rng.random((rows, points)) < rate, values[:, :1], values[:, 1:])


@pytest.mark.parametrize("rate", [0.6, 0.8, 0.95])
def test_how_often_a_response_is_conserved_is_learned(rate: float):
    truth = with_own_responses(rate)
    noise = np.full(truth.shape, 0.05)
    y = truth + np.random.default_rng(1).normal(size=truth.shape) * np.sqrt(noise)
    law = learn_conserved([Block(y, noise, np.ones(len(y)), np.arange(6))], SCALES)
    assert law is not None
    assert abs(law.rate - rate) < 0.06


def test_contexts_that_agree_outvote_one_that_differs():
    """A seventh of the contexts is predicted from six: against Gaussian patterns alone, and where these are the truth."""
    covariances = np.stack([p.covariance(distances(6)) for p in RESPONSE_PATTERNS])
    near = drawn(RESPONSE_PATTERNS[1].covariance(distances(6)), 3000, 0.05)[0]
    errors, chosen = {}, {}
    for name, truth in (("some differ", with_own_responses(0.75)), ("near ones alike", near)):
        noise = np.full(truth.shape, 0.05)
        y = truth + np.random.default_rng(1).normal(size=truth.shape) * np.sqrt(noise)
        seen = Block(y, noise, np.ones(len(y)), np.arange(6)).without(5)
        stage = learned_stage([seen], covariances, SCALES)
        gaussian = learn_mixture([seen], covariances, SCALES)
        made = stage.krige(seen, covariances, np.array([5]))
        errors[name] = [
            ((p.mean[:, 0] - truth[:, 5]) ** 2).mean()
            for p in (made, krige(seen, gaussian, covariances, np.array([5])))
        ]
        chosen[name] = stage.mixture.conserved is not None
        half = 1.645 * np.sqrt(made.variance[:, 0] + 0.05)
        assert 0.86 < (np.abs(made.mean[:, 0] - y[:, 5]) < half).mean() < 0.96
    assert chosen == {"some differ": True, "near ones alike": False}
    assert errors["some differ"][0] < 0.95 * errors["some differ"][1]
    assert errors["near ones alike"][0] < 1.02 * errors["near ones alike"][1]


def test_one_context_tells_nothing_of_what_is_conserved():
    assert learn_conserved([block(points=1)], SCALES) is None


def test_control_levels_of_training_count_as_far_as_the_given_ones_are_of_the_same_cells():
    rng = np.random.default_rng(0)
    level = rng.normal(size=500)
    known, given_ = level + rng.normal(size=500) * 0.1, level + rng.normal(size=500) * 0.2
    noises = np.full(500, 0.01), np.full(500, 0.04)
    assert (weight_of_known(known, noises[0], known, noises[0]) == 1.0).all()
    np.testing.assert_allclose(weight_of_known(known, noises[0], given_, noises[1]), 0.8, atol=0.05)
    other = given_ + rng.normal(size=500)
    assert weight_of_known(known, noises[0], other, noises[1]).max() < 0.06


def test_the_variance_of_few_cells_is_drawn_to_that_of_control_cells():
    """Sparse counts, 10 perturbed cells a condition: noise against the known sampling variance of a mean."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.5, 1.0, size=200)
    n = {"control": 300, **{f"P{j}": 10 for j in range(8)}}
    x = np.log1p(np.concatenate([rng.poisson(rates, size=(cells, 200)) for cells in n.values()])).astype(np.float32)
    obs = pd.DataFrame({"perturbation": np.repeat(list(n), list(n.values())), "context": "L", "batch": "b"})
    obs.index = [f"c{i}" for i in range(len(obs))]
    data = PerturbationData.from_anndata(
        ad.AnnData(x, obs, pd.DataFrame(index=[f"g{i}" for i in range(200)])), scale="log1p"
    )
    noise = measure(data).cell_noise
    true = np.log1p(rng.poisson(rates, size=(20_000, 200))).var(axis=0) / 10
    raw = np.stack([data.cells(Condition("L", name)).var(axis=0, ddof=1) / 10 for name in list(n)[1:]])
    kept = true > 1e-3
    errors = [np.abs(np.log(np.maximum(v, 1e-5) / true)[:, kept]).mean() for v in (noise, raw)]
    assert errors[0] < 0.3 * errors[1]
