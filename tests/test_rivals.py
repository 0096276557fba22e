"""The simple rivals: each against its formula or a world in which it must win, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from cycseq.data.condition import Condition, treatment_name
from cycseq.data.effects import Effects
from cycseq.data.treatments import place_of_dose
from cycseq.errors import ModelError
from cycseq.models import build_model
from cycseq.models.baselines.shrunk_additive import _fitted
from cycseq.models.linear import kernel_ridge
from cycseq.models.means import MeansModel
from cycseq.models.other_contexts import components, leading_directions

GENES = 40


def world(*, contexts: int = 4, perturbations: int = 30, noise: float = 0.3, rank: int = 3, seed: int = 0) -> Effects:
    """Contexts turn the same few programs of perturbations into genes in ways of their own, beside a response of their own."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(perturbations, rank))
    conditions, rows = [], []
    for c in range(contexts):
        loadings, common = rng.normal(size=(rank, GENES)), rng.normal(size=GENES)
        for p in range(perturbations):
            conditions.append(Condition(f"c{c}", f"P{p}"))
            rows.append(common + scores[p] @ loadings + noise * rng.normal(size=GENES))
    return Effects.from_arrays(np.array(rows), conditions, [f"G{i}" for i in range(GENES)], scale="rank")


def additive_world(seed: int = 0) -> Effects:
    rng = np.random.default_rng(seed)
    of_name, of_context = rng.normal(size=(12, GENES)), rng.normal(size=(4, GENES))
    conditions = [Condition(f"c{c}", f"P{p}") for c in range(4) for p in range(12)]
    rows = [of_name[p] + of_context[c] + 0.2 * rng.normal(size=GENES) for c in range(4) for p in range(12)]
    return Effects.from_arrays(np.array(rows), conditions, [f"G{i}" for i in range(GENES)], scale="rank")


def error(name: str, data: Effects, held: list[Condition], task: str | None = None, **settings: object) -> float:
    """Squared error over that of no change, of conditions that are held out."""
    model = build_model(name, settings)
    assert isinstance(model, MeansModel)
    train = data.subset(c for c in data.conditions() if c not in held)
    predicted = model.fit_effects(train, task=task).predict_effects(held)  # type: ignore[arg-type]
    real = data.subset(held)
    order = [real.conditions().index(c) for c in held]
    return float(np.square(predicted.effect - real.effect[order]).sum() / np.square(real.effect).sum())


PAIRS = [Condition("c0", f"P{p}") for p in range(6)]
CONTEXT = [Condition("c0", f"P{p}") for p in range(12)]


def test_leaving_one_out_in_closed_form_is_leaving_one_out() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 5))
    fit = kernel_ridge(z @ z.T, y, penalties=(0.5,))
    unit = np.diag(z @ z.T).mean()
    for i in range(9):
        rest = np.arange(9) != i
        weights = np.linalg.solve(z[rest].T @ z[rest] + 0.5 * unit * np.eye(4), z[rest].T @ y[rest])
        np.testing.assert_allclose(fit.left_out[i], z[i] @ weights, atol=1e-8)
    np.testing.assert_allclose(fit.error, np.square(y - fit.left_out).mean())


def test_unmeasured_values_tell_a_kernel_ridge_nothing() -> None:
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    holes = y.copy()
    holes[:4, 0] = np.nan
    fit = kernel_ridge(z @ z.T, holes, penalties=(1.0,))
    unit = np.diag(z @ z.T).mean()
    rest = z[4:]
    alone = np.linalg.solve(rest.T @ rest + unit * np.eye(3), rest.T @ y[4:, 0])
    assert np.linalg.norm(z.T @ fit.weights[:, 0] - alone) < 0.35 * np.linalg.norm(alone)
    np.testing.assert_allclose(fit.weights[:, 1], kernel_ridge(z @ z.T, y, penalties=(1.0,)).weights[:, 1])


@pytest.mark.parametrize("name", ["ComponentRidge", "ResponseKernel"])
def test_a_context_that_answers_in_its_own_way_is_learned_from_its_other_perturbations(name: str) -> None:
    data = world()
    assert error(name, data, PAIRS) < 0.5 * min(
        error(other, data, PAIRS) for other in ("PerturbedMean", "ContextAdditive")
    )


def test_contexts_that_answer_with_the_opposite_sign_are_told_by_their_weights() -> None:
    rng = np.random.default_rng(7)
    of_name, sign = rng.normal(size=(12, GENES)), (1.0, 1.0, 1.0, -1.0, -1.0)
    conditions = [Condition(f"c{c}", f"P{p}") for c in range(5) for p in range(12)]
    rows = [sign[c] * of_name[p] + 0.1 * rng.normal(size=GENES) for c in range(5) for p in range(12)]
    data = Effects.from_arrays(np.array(rows), conditions, [f"G{i}" for i in range(GENES)], scale="rank")
    held = PAIRS[:3]
    assert error("ContextRidge", data, held) < 0.2
    assert error("ContextAdditive", data, held) > 0.9
    holes = data.subset(c for c in conditions if (c.context, c.perturbation) != ("c1", "P0"))
    assert error("ContextRidge", holes, held) < 0.5


def test_stacking_is_no_worse_than_what_it_stacks() -> None:
    for data in (world(), additive_world()):
        for held, task in ((PAIRS, "unseen-pair"), (CONTEXT, "unseen-context")):
            stacked = error("Stacked", data, held, task)
            assert stacked < 1.05 * error("ContextAdditive", data, held, task)
            assert stacked < 1.05


def test_what_adds_up_is_best_told_by_adding() -> None:
    data = additive_world()
    shrunk = error("ShrunkAdditive", data, PAIRS, "unseen-pair")
    assert shrunk < 0.1
    assert shrunk < error("ContextAdditive", data, PAIRS)
    assert error("ShrunkAdditive", data, CONTEXT, "unseen-context") < 1.0
    fitted = build_model("ShrunkAdditive").fit_effects(data)  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="neither its perturbation nor its context"):
        fitted.predict_effects([Condition("new", "new")])


def test_low_rank_takes_noise_off_before_it_is_carried_over() -> None:
    rng = np.random.default_rng(3)
    scores, loadings = rng.normal(size=(60, 2)), rng.normal(size=(2, GENES))
    conditions = [Condition(f"c{c}", f"P{p}") for c in range(3) for p in range(60)]
    truth = np.tile(scores @ loadings, (3, 1))
    data = Effects.from_arrays(
        truth + 2.0 * rng.normal(size=truth.shape), conditions, [f"G{i}" for i in range(GENES)], scale="rank"
    )
    held = [c for c in conditions if c.context == "c0"]
    train = data.subset(c for c in conditions if c.context != "c0")
    told = {
        name: build_model(name, settings).fit_effects(train).predict_effects(held).effect  # type: ignore[attr-defined]
        for name, settings in (("LowRank", {"n_components": 2}), ("ContextAdditive", {}))
    }
    errors = {name: np.square(effect - truth[:60]).sum() for name, effect in told.items()}
    assert errors["LowRank"] < 0.4 * errors["ContextAdditive"]


def test_fold_changes_multiply_what_is_there() -> None:
    """A gene that a context does not express cannot answer there; where it is expressed more, the change is larger."""
    rng = np.random.default_rng(4)
    basal = rng.uniform(1, 20, (3, GENES))
    basal[2, :10] = 0.0
    fold = np.exp(rng.normal(size=(5, GENES)))
    controls = [Condition(f"c{c}", "control") for c in range(3)]
    conditions = [Condition(f"c{c}", f"P{p}") for c in range(3) for p in range(5)]
    mean = np.log1p(basal)
    changed = np.array([np.log1p(basal[int(c.context[1])] * fold[int(c.perturbation[1])]) for c in conditions])
    effect = changed - mean[[int(c.context[1]) for c in conditions]]
    data = Effects.from_arrays(
        np.concatenate([np.zeros_like(mean), effect]),
        [*controls, *conditions],
        [f"G{i}" for i in range(GENES)],
        scale="log1p",
        layers={"mean": np.concatenate([mean, changed])},
    )
    held = conditions[10:]
    train = data.subset([*controls, *conditions[:10]])
    model = build_model("FoldChange").fit_effects(train)  # type: ignore[attr-defined]
    predicted = model.predict_effects(held, train.controls())
    np.testing.assert_allclose(predicted.effect, effect[10:], atol=0.1)
    assert np.abs(predicted.effect[:, :10]).max() < 0.1
    with pytest.raises(ModelError, match="needs mean expression beside effects"):
        build_model("FoldChange").fit_effects(world())  # type: ignore[attr-defined]


def dosed(doses: tuple[str, ...] = ("10nM", "100nM", "1000nM"), hours: tuple[float, ...] = (2.0, 8.0, 24.0)) -> Effects:
    """Responses that are linear in the logarithm of dose and of time."""
    rng = np.random.default_rng(5)
    of_agent = {agent: rng.normal(size=GENES) for agent in "AB"}
    conditions = [Condition("c", treatment_name(a, d, t)) for a in "AB" for d in doses for t in hours]
    rows = [of_agent[c.agent] * place_of_dose(c.dose)[1] * np.log(c.time) for c in conditions]  # type: ignore[index, arg-type]
    return Effects.from_arrays(np.array(rows), conditions, [f"G{i}" for i in range(GENES)], scale="z")


def test_doses_are_interpolated_on_a_logarithmic_scale() -> None:
    held = [Condition("c", "A@100nM@8h")]
    data = dosed()
    assert error("DoseInterpolation", data, held) < 1e-10
    train = data.subset(c for c in data.conditions() if c not in held)
    near = build_model("NearestDose").fit_effects(train).predict_effects(held).effect[0]  # type: ignore[attr-defined]
    both = [data.subset([Condition("c", f"A@{dose}@8h")]).effect[0] for dose in ("10nM", "1000nM")]
    np.testing.assert_allclose(near, np.mean(both, axis=0), rtol=1e-5)  # both are as near


def test_a_time_is_told_from_the_nearest_time_where_no_dose_is_measured() -> None:
    data = dosed()
    held = [c for c in data.conditions() if c.agent == "A" and c.time == 24.0]
    train = data.subset(c for c in data.conditions() if c not in held)
    for name in ("NearestDose", "DoseInterpolation"):  # beyond the last time nothing is interpolated
        predicted = build_model(name).fit_effects(train).predict_effects(held).effect  # type: ignore[attr-defined]
        wanted = [data.subset([Condition("c", f"A@{c.dose}@8h")]).effect[0] for c in held]
        np.testing.assert_allclose(predicted, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["ContextRidge", "ComponentRidge", "ResponseKernel", "LowRank", "Stacked", "NearestDose"]
)
def test_a_perturbation_that_was_never_measured_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=rf"{name} cannot predict 'c0:new'"):
        build_model(name).fit_effects(world()).predict_effects([Condition("c0", "new")])  # type: ignore[attr-defined]


def test_the_mean_perturbation_is_that_of_the_same_dose_and_time() -> None:
    data = dosed()
    held = [Condition("c", "B@100nM@8h")]
    train = data.subset(c for c in data.conditions() if c not in held)
    fitted = build_model("PerturbedMean").fit_effects(train)  # type: ignore[attr-defined]
    whole = np.mean(train.effect, axis=0)
    np.testing.assert_allclose(
        fitted.predict_effects(held).effect[0], whole, rtol=1e-5
    )  # A alone has this dose at this time
    other = [Condition("c", "C@10nM@8h")]
    alike = [Condition("c", f"{agent}@10nM@8h") for agent in "AB"]
    wanted = train.subset(alike).effect.mean(axis=0)
    np.testing.assert_allclose(fitted.predict_effects(other).effect[0], wanted, rtol=1e-5)


@pytest.mark.parametrize("penalties", [(0.1, 0.3), (3.0, 100.0), (0.0, 0.0)])
def test_shrunk_effects_are_the_same_where_a_gene_beside_them_was_not_measured(penalties: tuple[float, float]) -> None:
    """A gene that lacks a value takes every gene through the rounds of single conditions, a complete table goes by sums."""
    rng = np.random.default_rng(0)
    of_name, of_context = rng.integers(0, 9, size=40), rng.integers(0, 4, size=40)
    effect = rng.normal(size=(40, 6)) + rng.normal(size=(9, 6))[of_name]
    holes = np.column_stack([effect, np.where(np.arange(40) == 3, np.nan, 1.0)])
    for whole, beside in zip(
        _fitted(effect, of_name, of_context, penalties), _fitted(holes, of_name, of_context, penalties), strict=True
    ):
        np.testing.assert_allclose(whole, beside[..., :-1], atol=1e-12)


@pytest.mark.parametrize("shape", [(7, 30), (30, 7), (12, 12)])
@pytest.mark.parametrize("rank", [2, 6])
def test_components_are_those_of_the_singular_value_decomposition(shape: tuple[int, int], rank: int) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    for n in (1, 4, 20):
        u, s, v = np.linalg.svd(features, full_matrices=False)
        np.testing.assert_allclose(components(features, n), (u[:, :n] * s[:n]) @ v[:n], atol=1e-10)
        directions = leading_directions(features, n)
        np.testing.assert_allclose(directions @ directions.T, np.eye(min(n, *shape)), atol=1e-10)
