"""The numerics of kriging against dense algebra and numerical gradients, and its parts on responses whose law is known."""

import numpy as np
import pytest

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.data.gene_mixture import GeneMixture
from cycseq.knowledge.source import Source
from cycseq.models.kriging import tasks
from cycseq.models.kriging.amplitudes import AMPLITUDES
from cycseq.models.kriging.context_amplitudes import learn_context_amplitudes
from cycseq.models.kriging.directions import Measurements
from cycseq.models.kriging.elsewhere import fill, tell_elsewhere
from cycseq.models.kriging.kernels import kernels_of
from cycseq.models.kriging.kernels.known import proportional
from cycseq.models.kriging.leave_out import Fold, find_scale, learn_weights, left_out_error
from cycseq.models.kriging.link import ResponseScale
from cycseq.models.kriging.model import ConditionKriging
from cycseq.models.kriging.nearby import near_conditions
from cycseq.models.kriging.process import learn_process
from cycseq.models.kriging.table import Table

GENES = 40


def drawn_kernel(n: int, seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T / n + 0.3 * np.eye(n)


def table_of(effect: np.ndarray, conditions: list[Condition], **parts: object) -> Table:
    return Table(tuple(conditions), effect.astype(np.float32), np.ones(len(conditions), dtype=bool), **parts)


def grid(n_contexts: int = 4, n_perturbations: int = 12) -> list[Condition]:
    return [Condition(f"C{c}", f"P{p}") for c in range(n_contexts) for p in range(n_perturbations)]


@pytest.mark.parametrize("blocks", [[[i] for i in range(7)], [[0, 1, 2], [3, 4], [5], [6]]])
def test_errors_of_left_out_blocks_and_their_gradient(blocks: list[list[int]]):
    rng = np.random.default_rng(1)
    kernel, y = drawn_kernel(7), rng.normal(size=(7, GENES))
    gram, parts = y @ y.T, [np.array(block) for block in blocks]
    error, gradient = left_out_error(kernel, gram, parts)
    naive = 0.0
    for block in parts:
        rest = np.setdiff1d(np.arange(7), block)
        predicted = kernel[np.ix_(block, rest)] @ np.linalg.solve(kernel[np.ix_(rest, rest)], y[rest])
        naive += ((y[block] - predicted) ** 2).sum()
    assert error == pytest.approx(naive)
    step = 1e-5 * drawn_kernel(7, seed=2)
    numerical = left_out_error(kernel + step, gram, parts)[0] - left_out_error(kernel - step, gram, parts)[0]
    assert 2 * (gradient * step).sum() == pytest.approx(numerical, rel=1e-4)


def test_a_kernel_that_tells_nothing_weighs_nothing():
    rng = np.random.default_rng(0)
    true, idle = drawn_kernel(60), drawn_kernel(60, seed=3)
    y = np.linalg.cholesky(true) @ rng.normal(size=(60, 400))
    y += 0.3 * rng.normal(size=y.shape)
    kernels = np.stack([true, idle, np.eye(60)])
    weights = learn_weights([Fold(kernels, y @ y.T / 400, np.zeros((60, 60)), [np.array([i]) for i in range(60)])])
    assert weights[1] < 0.05 * weights[0]
    assert weights[2] / weights[0] == pytest.approx(0.09, rel=0.5)


def test_the_process_is_dense_algebra_for_every_gene():
    rng = np.random.default_rng(0)
    kernel, y = drawn_kernel(9), rng.normal(size=(6, GENES))
    shared = rng.uniform(0.1, 0.5, size=6)
    noise = np.diag(rng.uniform(0.2, 1.0, size=6)) + np.outer(
        shared, shared
    )  # errors of conditions that share a control mean
    process = learn_process(Measurements.of(kernel[:6, :6], noise, y), np.arange(6))
    mixture = process.predict(kernel[6:, :6], np.diag(kernel)[6:], np.array([6, 7, 8]))
    for i, amplitude in enumerate(AMPLITUDES):
        seen = amplitude * kernel[:6, :6] + noise
        mean = amplitude * kernel[6:, :6] @ np.linalg.solve(seen, y)
        np.testing.assert_allclose(mixture.means[..., i], mean, atol=1e-4)
        left = amplitude * kernel[6:, 6:] - amplitude**2 * kernel[6:, :6] @ np.linalg.solve(seen, kernel[:6, 6:])
        expected = np.sqrt(np.diag(left)[:, None] * process.amplitudes.noise[None])
        np.testing.assert_allclose(mixture.sds[..., i], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(mixture.weights.sum(axis=-1), 1.0, atol=1e-5)


def test_a_gene_that_moved_elsewhere_is_believed_to_move_here_and_no_other_gene():
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(20), 4)
    same = (units[:, None] == units[None]).astype(float)
    moves = rng.random((20, GENES)) < 0.1
    y = (moves * rng.normal(size=(20, GENES)) * 2.0)[units] + 0.3 * rng.normal(size=(80, GENES))
    process = learn_process(Measurements.of(0.4 * same, 0.09 * np.eye(80), y), units, np.full(y.shape, 0.09))
    believed = np.stack([np.array(AMPLITUDES) @ process.amplitudes_of(unit) for unit in range(20)])
    clear = moves & (np.abs(y.reshape(20, 4, GENES).mean(axis=1)) > 1.0)
    assert believed[clear].min() > 10 * np.median(believed[~moves])
    np.testing.assert_array_equal(process.amplitudes_of(99), process.amplitudes.usual)


def test_scale_and_own_responses_are_found_beside_known_errors():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(15, 2000))
    own, errors = rng.normal(size=(60, 2000)), rng.normal(size=(60, 2000))
    units = np.repeat(np.arange(15), 4)
    y = np.sqrt(0.5) * shared[units] + np.sqrt(0.3) * own + np.sqrt(0.2) * errors
    same = (units[:, None] == units[None]).astype(float)
    scale, of_own = find_scale(7.0 * same, y @ y.T / 2000, 0.2 * np.eye(60))
    assert abs(7.0 * scale - 0.5) < 0.1
    assert abs(of_own - 0.3) < 0.03


def test_contexts_that_answer_with_the_opposite_sign_are_told_so():
    rng = np.random.default_rng(0)
    conditions, sign = grid(), np.array([1.0, -1.0, 1.0, -1.0])
    responses = rng.normal(size=(12, GENES))
    effect = np.concatenate([s * responses for s in sign]) + 0.1 * rng.normal(size=(48, GENES))
    there = tell_elsewhere(table_of(effect, conditions))
    specific = table_of(effect, conditions).specific
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(there.guess, specific, strict=True)]) > 0.95
    assert (np.sign(there.covariance) == np.outer(sign, sign)).all()


def test_a_guess_rests_on_nothing_of_its_own_context():
    effect = np.random.default_rng(0).normal(size=(48, GENES))
    hidden = table_of(effect, grid()).hide(np.array([5]))
    changed = effect.copy()
    changed[5] += 100.0
    first, second = (tell_elsewhere(one).guess[5] for one in (hidden, table_of(changed, grid()).hide(np.array([5]))))
    np.testing.assert_array_equal(first, second)


def test_what_was_not_measured_is_filled_from_elsewhere():
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(12, GENES))
    effect = np.tile(responses, (4, 1)) + 0.1 * rng.normal(size=(48, GENES))
    missing = rng.random(effect.shape) < 0.2
    filled = fill(table_of(np.where(missing, np.nan, effect), grid())).effect
    assert ((filled - effect)[missing] ** 2).mean() < 0.1 * (effect[missing] ** 2).mean()
    np.testing.assert_allclose(filled[~missing], effect[~missing], rtol=1e-6)


@pytest.mark.parametrize(
    "conditions", [grid(), [Condition("A", name) for name in ("K", "L", "K+L", "K@1uM@8h", "K@10uM@8h")]]
)
def test_every_kernel_is_positive_semidefinite(conditions: list[Condition]):
    rng = np.random.default_rng(0)
    names = sorted({part for c in conditions for part in c.parts})
    known = Source("embedding", "features", tuple(names), rng.normal(size=(len(names), 6)))
    profiles = {c.context: rng.random(GENES) for c in conditions}
    table = table_of(rng.normal(size=(len(conditions), GENES)), conditions, sources=(known,), profiles=profiles)
    kernels = list(kernels_of(table))
    assert len({kernel.name for kernel in kernels}) == len(kernels)
    for kernel in kernels:
        assert np.linalg.eigvalsh(kernel.values).min() > -1e-5 * np.trace(kernel.values), kernel.name


def test_a_task_leaves_out_what_it_will_be_asked_for():
    conditions = [*grid(3, 4), Condition("C0", "P0+P1"), Condition("C1", "P0+P1")]
    table = table_of(np.ones((len(conditions), 2)), conditions)
    of = {task: [[conditions[i] for i in block] for block in tasks.blocks_of(table, task)] for task in tasks.TASKS}
    assert [c.perturbation for c in of["combination"][0]] == ["P0+P1"] * 2
    assert {len(block) for block in of["context"]} == {5, 4}
    assert all("P0" in c.parts for c in of["perturbation"][0])
    assert len(of["perturbation"][0]) == 5
    assert all(len(block) == 1 for block in of["pair"])
    assert of["dose"] == of["time"] == []
    assert tasks.Measured(conditions).task_of(Condition("C9", "P1")) == "context"
    assert tasks.Measured(conditions).task_of(Condition("C2", "P0+P1")) == "pair"
    assert tasks.Measured(conditions).task_of(Condition("C0", "P2+P3")) == "combination"
    assert tasks.Measured(conditions).task_of(Condition("C0", "Q")) == "perturbation"
    assert tasks.Measured(conditions).task_of(Condition("C0", "P1@8h")) == "time"


AMPLITUDES_OF_CONTEXTS = {"C0": 4.0, "C1": 1.0, "C2": 0.5, "C3": 0.5}


def of_strong_and_weak_contexts(noise: float) -> Table:
    """Contexts that answer alike, each with its own amplitude, to a twelfth of the variance."""
    rng, conditions = np.random.default_rng(0), grid()
    shared = dict(zip([f"P{p}" for p in range(12)], rng.normal(size=(12, GENES)), strict=True))
    effect = [
        AMPLITUDES_OF_CONTEXTS[c.context] * (shared[c.perturbation] + 0.3 * rng.normal(size=GENES)) for c in conditions
    ]
    return table_of(np.stack(effect) + noise * rng.normal(size=(len(conditions), GENES)), conditions)


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_how_strongly_contexts_answer_is_told_beside_noise_larger_than_weak_responses(noise: float):
    told = learn_context_amplitudes(of_strong_and_weak_contexts(noise))
    assert told == {context: pytest.approx(a, rel=0.25) for context, a in AMPLITUDES_OF_CONTEXTS.items()}


def test_contexts_that_share_nothing_or_are_two_have_no_amplitudes():
    rng = np.random.default_rng(0)
    assert not learn_context_amplitudes(table_of(rng.normal(size=(48, GENES)) * 1.0, grid(2, 24)))
    shared = np.tile(rng.normal(size=(12, GENES)), (4, 1))
    assert not learn_context_amplitudes(table_of(shared, grid()))


def test_strong_contexts_do_not_decide_what_weak_ones_do():
    """Beside the mean of the other contexts, times the best slope that these know."""
    table = of_strong_and_weak_contexts(0.05)
    for context in ("C1", "C2"):
        hidden = [Condition(context, f"P{p}") for p in range(4)]
        kept = [i for i, c in enumerate(table.conditions) if c not in hidden]
        train = Effects.from_arrays(
            table.effect[kept], [table.conditions[i] for i in kept], [f"g{i}" for i in range(GENES)], scale="z"
        )
        model = ConditionKriging(features=None).fit_effects(train, task="unseen-pair")
        real = table.effect[[table.conditions.index(c) for c in hidden]]
        error = ((model.predict_effects(hidden).effect - real) ** 2).sum() / (real**2).sum()
        assert error < 0.2  # 0.09 of it is the condition's own


@pytest.mark.parametrize(("shared", "bound", "coverage"), [(0.7, 0.8, 0.85), (0.4, 0.9, 0.85), (0.1, 1.05, 0.8)])
def test_from_the_only_context_measured_no_more_is_carried_over_than_serves(
    shared: float, bound: float, coverage: float
):
    """Nothing measured tells how alike two contexts are: beside no change it gains much or loses hardly anything (copying: 0.6, 1.2, 1.8)."""
    rng, names = np.random.default_rng(0), [f"P{p}" for p in range(20)]
    draws = rng.normal(size=(3, 20, GENES))
    here, there = (np.sqrt(shared) * draws[0] + np.sqrt(1 - shared) * draws[i] for i in (1, 2))
    genes = [f"g{i}" for i in range(GENES)]
    train = Effects.from_arrays(here, [Condition("A", name) for name in names], genes, scale="z")
    model = ConditionKriging(features=None).fit_effects(train, task="unseen-context")
    made = model.predict_effects([Condition("B", name) for name in names])
    error = ((made.effect - there) ** 2).mean()
    assert error < bound * (there**2).mean()
    assert (
        coverage
        < (np.abs(made.effect - there) < 1.645 * np.hypot(made.layer("sd"), made.layer("noise_sd"))).mean()
        < 0.99
    )


def test_fold_changes_carry_over_as_such_and_silent_genes_tell_nothing_of_them():
    """A fold of 4 of 1 and of 100 counts per 10,000: unlike effects, one value on the scale, and back."""
    levels = np.array([[1.0, 1.0], [100.0, 0.0]])
    profiles = dict(zip(["low", "high"], np.log1p(levels), strict=True))
    conditions = [Condition("low", "P"), Condition("high", "P")]
    effect = (np.log1p(4.0 * levels) - np.log1p(levels)).astype(np.float32)
    scale = ResponseScale.of(conditions, profiles, "multiplicative", {"low": 2.0})
    values = scale.from_effects(effect)
    top = np.array([100 / 101, 0.5])
    assert values[:, 0] == pytest.approx(top[0] * np.log(4.0) / np.array([2.0, 1.0]), rel=0.04)  # of 1 + 0.05 counts
    assert np.isnan(values).tolist() == [[False, False], [False, True]]
    on_scale = GeneMixture.normal(top * np.log(4.0) / np.array([[2.0], [1.0]]), np.full((2, 2), 0.01))
    back = scale.to_effects(on_scale)
    silent = np.log1p(4 * 0.005) - np.log1p(0.005)  # no count was seen: it may have as much as this, or none
    expected = np.where(levels > 0, effect, silent)
    assert back.mean == pytest.approx(expected, abs=1e-6)
    sds = np.array([[0.02, 0.02], [0.01, 0.0]]) * (4 * levels / (1 + 4 * levels)) / top
    assert back.sds[..., 0] == pytest.approx(np.where(levels > 0, sds, silent), rel=0.01)
    assert ResponseScale.of(conditions, {}, "multiplicative", {}).level is None


def test_knowledge_predicts_perturbations_that_were_measured_nowhere():
    """Responses drawn from a source's kernel: those of unmeasured perturbations are told; a source of noise weighs little."""
    rng = np.random.default_rng(0)
    names = tuple(f"P{i}" for i in range(60))
    known = Source("known", "features", names, rng.normal(size=(60, 8)))
    effect = np.linalg.cholesky(known.kernel(names) + 0.05 * np.eye(60)) @ rng.normal(size=(60, 200))
    conditions = [Condition("A", name) for name in names]
    model = ConditionKriging(features=None)
    train = Effects.from_arrays(effect[:45], conditions[:45], [f"g{i}" for i in range(200)], scale="z")
    model._sources = lambda *_, **__: (known, Source("idle", "features", names, rng.normal(size=(60, 8))))  # type: ignore[method-assign]
    made = model.fit_effects(train, task="unseen-perturbation").predict_effects(conditions[45:])
    assert ((made.effect - effect[45:]) ** 2).mean() < 0.6 * (effect[45:] ** 2).mean()
    weights = model.tasks["perturbation"].weights
    assert weights["known"][tasks.ANY] > 5 * weights["idle"][tasks.ANY]
    sd = np.sqrt(made.layer("sd") ** 2 + made.layer("noise_sd") ** 2)
    assert 0.85 < (np.abs(made.effect - effect[45:]) < 1.645 * sd).mean() < 0.97


def test_of_too_many_measured_conditions_those_of_the_context_and_of_the_perturbation_are_there():
    measured = [Condition(f"c{c}", f"P{p}") for c in range(6) for p in range(50) if (c, p % 5) != (0, 0)]
    asked = [Condition("c0", f"P{p}") for p in range(0, 50, 5)]
    ((rows, seen),) = near_conditions(measured, asked)
    assert rows.tolist() == list(range(10))
    assert seen.tolist() == list(range(len(measured)))
    parts = list(near_conditions(measured, asked, limit=90))
    assert len(parts) > 1
    assert sorted(np.concatenate([rows for rows, _ in parts]).tolist()) == list(range(10))
    for rows, seen in parts:
        near = [measured[row] for row in seen]
        assert len(near) == len(set(near)) == 90
        assert sum(c.context == "c0" for c in near) >= 30
        for row in rows:
            assert sum(c.perturbation == asked[row].perturbation for c in near) == 5


def test_features_in_proportion_are_found_by_other_names_of_a_gene():
    values = np.random.default_rng(0).normal(size=(3, 4))
    source = Source("embedding", "features", ("MYC", "TP53", "KLF1"), values, aliases={"p53": "tp53", "eklf": "klf1"})
    expected = proportional(source, ["MYC", "TP53", "TP53+KLF1"])
    assert expected.any(axis=1).all()
    np.testing.assert_array_equal(proportional(source, ["myc", "P53", "TP53+EKLF"]), expected)
    assert not proportional(source, ["GATA1", "MYC"])[0].any()
