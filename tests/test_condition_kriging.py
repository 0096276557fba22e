"""ConditionKriging on simulated worlds whose truth is known, and on real data."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.gene_mixture import GeneMixture
from cycseq.data.posterior import changes
from cycseq.errors import DataError, ModelError, SettingsError
from cycseq.models import load_model
from cycseq.models.kriging.check import Hidden
from cycseq.models.kriging.field import common_fall
from cycseq.models.kriging.link import Link, ResponseScale
from cycseq.models.kriging.model import ConditionKriging
from cycseq.models.kriging.rest import correct_fall, learn_fall, learn_width_at_rest, widen_rest
from cycseq.models.kriging.table import Table
from cycseq.preparation.merge import join
from cycseq.score.coverage import coverage_by_stratum
from cycseq.score.evaluate import evaluate
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

N_GENES, LINES, PERTURBATIONS = 60, 5, 6


@cache
def world(shared: float, *, cells: int = 60, long_tail: int = 0, doubles: bool = False, seed: int = 0):
    """Data and true Deltas: normal cells around means, a share of every response common to all lines."""
    rng = np.random.default_rng(seed)

    def sparse(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) * 0.5 * (rng.random(shape) < 0.3)

    base = 3.0 + rng.normal(size=(LINES, N_GENES)) * 0.5
    effects = np.sqrt(shared) * sparse(1, PERTURBATIONS, N_GENES) + np.sqrt(1 - shared) * sparse(
        LINES, PERTURBATIONS, N_GENES
    )
    truth = {(f"L{i}", f"P{j}"): effects[i, j] for i in range(LINES) for j in range(PERTURBATIONS)}
    if doubles:
        truth |= {(f"L{i}", "P0+P1"): effects[i, 0] + effects[i, 1] for i in range(LINES)}
        truth |= {(f"L{i}", "P2+P3"): effects[i, 2] + effects[i, 3] for i in range(LINES)}
    x, obs = [], []
    for i in range(LINES):
        for name in ["control", *[p for line, p in truth if line == f"L{i}"]]:
            n = 20 if i < long_tail and name != "control" else cells * (3 if name == "control" else 1)
            x.append(base[i] + truth.get((f"L{i}", name), 0.0) + rng.normal(size=(n, N_GENES)))
            obs += [(f"L{i}", name, f"b{k % 2}") for k in range(n)]
    frame = pd.DataFrame(obs, columns=["context", "perturbation", "batch"], index=[f"c{k}" for k in range(len(obs))])
    genes = pd.DataFrame(index=[f"g{k}" for k in range(N_GENES)])
    adata = ad.AnnData(np.maximum(np.concatenate(x), 0.0).astype(np.float32), obs=frame, var=genes)
    return PerturbationData.from_anndata(adata), {Condition(*key): value for key, value in truth.items()}


def trained(data: PerturbationData, held_out: list[Condition], **settings: object) -> ConditionKriging:
    return ConditionKriging(**settings).fit(data.subset(c for c in data.conditions() if c not in held_out))


def predicted(model: ConditionKriging, data: PerturbationData, conditions: list[Condition]) -> PerturbationData:
    return model.predict(data.controls({c.context for c in conditions}), conditions, n_cells=10)


def means(data: PerturbationData, conditions: list[Condition]) -> np.ndarray:
    return np.stack([data.cells(c).mean(axis=0, dtype=np.float64) for c in conditions])


def control_of(data: PerturbationData, conditions: list[Condition]) -> np.ndarray:
    return means(data, [Condition(c.context, "control") for c in conditions])


HALF = 1.645
"""Half the width of a 90 % interval, in standard deviations."""
HELD_OUT = {
    "unseen pair": [Condition("L0", "P1"), Condition("L1", "P3"), Condition("L2", "P5"), Condition("L3", "P0")],
    "unseen context": [Condition("L4", f"P{j}") for j in range(PERTURBATIONS)],
}


@cache
def without_held_out(seed: int) -> ConditionKriging:
    data, _ = world(0.5, seed=seed)
    return trained(data, [c for held_out in HELD_OUT.values() for c in held_out])


@cache
def without_double() -> ConditionKriging:
    data, _ = world(0.7, doubles=True)
    return trained(data, [Condition(f"L{i}", "P0+P1") for i in range(LINES)])


@pytest.mark.parametrize("kind", list(HELD_OUT))
def test_it_beats_the_means_and_knows_how_sure_it_is(kind: str):
    """Errors are against the truth and paired by condition: the same test conditions of three worlds, both predictors."""
    errors, covered, mean_covered = [], [], []
    for seed in range(3):
        data, truth = world(0.5, seed=seed)
        test = HELD_OUT[kind]
        made = predicted(without_held_out(seed), data, test)
        true = np.stack([truth[c] for c in test])
        delta, sd, sd_of_mean = (
            np.asarray(made.adata.varm[name], dtype=np.float64).T
            for name in ("posterior_mean", "posterior_sd", "posterior_mean_sd")
        )
        seen = set(truth) - {c for held_out in HELD_OUT.values() for c in held_out}
        others = [sorted(o for o in seen if o.perturbation == c.perturbation) for c in test]
        additive = np.stack([(means(data, o) - control_of(data, o)).mean(axis=0) for o in others])
        errors += np.stack([((p - true) ** 2).mean(axis=1) for p in (delta, additive, 0 * true)], axis=1).tolist()
        covered.append(np.abs(delta - true) < HALF * sd)
        n_cells = np.array([len(data.rows(c)) for c in test])[:, None]
        miss = np.abs(means(made, test) - means(data, test))
        mean_covered.append(miss < HALF * np.sqrt(sd_of_mean**2 + 1.0 / n_cells))
    kriging, additive, no_change = np.array(errors).T
    for baseline in (additive, no_change):
        assert ttest_rel(kriging, baseline, alternative="less").pvalue < 0.001
    assert 0.85 < np.mean(covered) < 0.95
    assert 0.85 < np.mean(mean_covered) < 0.95


def test_on_unrelated_lines_it_predicts_no_change():
    data, truth = world(0.0)
    test = HELD_OUT["unseen context"]
    made = predicted(trained(data, test), data, test)
    true = np.stack([truth[c] for c in test])
    delta = np.asarray(made.adata.varm["posterior_mean"]).T
    assert ((delta - true) ** 2).mean() < 1.01 * (true**2).mean()
    assert (delta**2).mean() < 0.05 * (true**2).mean()
    unchanged = ((control_of(data, test) - means(data, test)) ** 2).mean()
    assert ((means(made, test) - means(data, test)) ** 2).mean() < 1.01 * unchanged


def test_a_long_tail_context_gains_from_the_others_and_never_loses():
    data, truth = world(0.6, long_tail=1)
    tail = [c for c in truth if c.context == "L0"]
    true = np.stack([truth[c] for c in tail])

    def error(model: ConditionKriging) -> float:
        return float(((np.asarray(predicted(model, data, tail).adata.varm["posterior_mean"]).T - true) ** 2).mean())

    together, others_alone = error(trained(data, [])), error(trained(data, tail))
    own_data = ((means(data, tail) - control_of(data, tail) - true) ** 2).mean()
    own_alone = error(trained(data, [c for c in truth if c.context != "L0"]))
    assert together < min(others_alone, own_data, own_alone)


def test_a_combination_is_additive_unless_data_say_otherwise():
    data, truth = world(0.7, doubles=True)
    test = [Condition(f"L{i}", "P0+P1") for i in range(LINES)]
    made = predicted(without_double(), data, test)
    true = np.stack([truth[c] for c in test])
    parts = [means(data, [Condition(c.context, p) for c in test]) - control_of(data, test) for p in ("P0", "P1")]
    delta = np.asarray(made.adata.varm["posterior_mean"]).T
    assert ((delta - true) ** 2).mean() < 0.8 * ((sum(parts) - true) ** 2).mean()


def test_a_known_part_of_a_combination_counts_though_the_other_was_never_measured():
    data, truth = world(0.7, doubles=True)
    touched = [c for c in data.conditions() if "P1" in c.perturbation.split("+")]
    test = [Condition(f"L{i}", "P0+P1") for i in range(LINES)]
    without_any = [Condition(c.context, "P1") for c in test]
    model = trained(data, touched, unseen="common")
    true = np.stack([truth[c] for c in test])
    error, as_if_unknown = (
        ((np.asarray(predicted(model, data, asked).adata.varm["posterior_mean"]).T - true) ** 2).mean()
        for asked in (test, without_any)
    )
    assert error < 0.75 * as_if_unknown


def test_other_control_cells_are_not_shifted_by_the_chance_error_of_those_in_training():
    data, truth = world(0.5)
    few = np.ones(data.n_cells, dtype=bool)
    for context in data.contexts:
        few[data.rows(Condition(context, "control"))[10:]] = False
    model = ConditionKriging().fit(PerturbationData(adata=data.adata[few].copy(), scale=data.scale))
    given = PerturbationData(adata=data.adata[~few].copy(), scale=data.scale)
    test = [Condition(context, "P2") for context in data.contexts]
    made = model.predict(given, test)
    true = control_of(data, test) + np.stack([truth[c] for c in test])
    error = ((means(made, test) - true) ** 2).mean()
    assert error < 0.03  # the mean of ten cells alone errs by 0.1


def test_a_perturbation_never_seen_needs_features(tmp_path: Path):
    data, _ = world(0.9)
    test = [Condition("L1", "P2")]
    all_of_it = [c for c in data.conditions() if c.perturbation == "P2"]
    refusing = trained(data, all_of_it)
    with pytest.raises(ModelError, match=r"'L1:P2': no training condition has 'P2'.*--model\.knowledge"):
        predicted(refusing, data, test)
    with pytest.raises(ModelError, match="no training condition has 'P2'"):
        predicted(refusing, data, [Condition("L1", "P1+P2")])
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(PERTURBATIONS, 4)))
    table.insert(0, "gene", [f"P{j}" for j in range(PERTURBATIONS)])
    table.to_csv(tmp_path / "features.csv", index=False)
    seen = predicted(trained(data, []), data, test).adata.varm["posterior_sd"]
    refusing.unseen = "common"  # is read when it predicts: nothing is to be learned again
    for model in (refusing, trained(data, all_of_it, features=tmp_path / "features.csv")):
        assert np.mean(predicted(model, data, test).adata.varm["posterior_sd"]) > 2 * np.mean(seen)


def test_features_that_explain_the_responses_are_used(tmp_path: Path):
    rng = np.random.default_rng(0)
    names, values = [f"P{j}" for j in range(30)], rng.normal(size=(30, 3))
    effect = values @ rng.normal(size=(3, N_GENES)) * 0.3
    x, obs = [], []
    for i, name in enumerate(["control", *names]):
        x.append(3.0 + (effect[i - 1] if i else 0.0) + rng.normal(size=(40, N_GENES)))
        obs += [(name, "b")] * 40
    frame = pd.DataFrame(obs, columns=["perturbation", "batch"], index=[f"c{k}" for k in range(len(obs))])
    adata = ad.AnnData(
        np.concatenate(x).astype(np.float32), frame, pd.DataFrame(index=[f"g{k}" for k in range(N_GENES)])
    )
    adata.X = np.maximum(adata.X, 0.0)
    data = PerturbationData.from_anndata(adata)
    np.savez(tmp_path / "f.npz", genes=np.array(names), features=values.astype(np.float32))
    test = [Condition("all", name) for name in names[:5]]
    delta = predicted(trained(data, test, features=tmp_path / "f.npz"), data, test).adata.varm["posterior_mean"]
    assert ((np.asarray(delta).T - effect[:5]) ** 2).mean() < 0.4 * (effect[:5] ** 2).mean()


def test_saved_and_loaded_it_says_the_same_of_every_gene(tmp_path: Path):
    data, _ = world(0.7, doubles=True)
    test = [Condition("L4", "P0+P1"), Condition("L4", "P3"), Condition("L1", "P3")]
    model = without_double()
    model.save(tmp_path / "model")
    first, second = (predicted(m, data, test).adata for m in (model, load_model(tmp_path / "model")))
    for name in (
        "posterior_mean",
        "posterior_sd",
        "posterior_weights",
        "posterior_means",
        "posterior_sds",
        "informative",
    ):
        np.testing.assert_array_equal(first.varm[name], second.varm[name])
    np.testing.assert_array_equal(first.X, second.X)


def test_which_genes_change_with_what_probability(tmp_path: Path):
    data, truth = world(0.9)
    test = [Condition("L2", "P4")]
    made = predicted(trained(data, test, threshold=0.2), data, test)
    made.write(tmp_path / "made.h5ad")
    written = ad.read_h5ad(tmp_path / "made.h5ad")
    np.testing.assert_array_equal(written.varm["posterior_weights"], made.adata.varm["posterior_weights"])
    table = changes(made, test[0])
    assert table["lfsr"].is_monotonic_increasing
    true = pd.Series(truth[test[0]], index=made.genes)[table.index].to_numpy()
    assert (np.sign(true) == np.sign(table["effect"]))[table["lfsr"] < 0.05].mean() > 0.9
    changed = np.abs(true) > 0.2
    sure = table["probability_beyond"].to_numpy() > 0.9
    assert sure.sum() >= 5
    assert changed[sure].mean() > 0.85
    with pytest.raises(DataError, match="no predicted condition"):
        changes(made, Condition("L2", "P5"))
    with pytest.raises(DataError, match="no posterior"):
        changes(data, test[0])


def test_a_context_without_any_training_cells_is_predicted_from_its_controls():
    data, _ = world(0.9)
    new = data.subset(c for c in data.conditions() if c.context == "L4")
    model = ConditionKriging().fit(data.subset(c for c in data.conditions() if c.context != "L4"))
    test = [Condition("L4", "P0")]
    made = model.predict(new.controls(), test)
    real = means(data, test) - control_of(data, test)
    assert np.corrcoef(means(made, test)[0] - control_of(data, test)[0], real[0])[0, 1] > 0.6


def test_one_line_and_one_perturbation_are_enough():
    data, truth = world(0.5)
    few = data.subset([Condition("L0", "control"), Condition("L0", "P0")])
    made = predicted(ConditionKriging().fit(few), few, [Condition("L0", "P0")])
    delta = np.asarray(made.adata.varm["posterior_mean"])[:, 0]
    raw = (means(few, [Condition("L0", "P0")]) - control_of(few, [Condition("L0", "P0")]))[0]
    true = truth[Condition("L0", "P0")]
    assert ((delta - true) ** 2).mean() < ((raw - true) ** 2).mean()


def test_settings_that_make_no_sense_are_refused():
    data, _ = world(0.5)
    for name, value in (("n_components", 0), ("threshold", -0.1)):
        with pytest.raises(SettingsError, match=f"--model.{name} is {value}"):
            ConditionKriging(**{name: value}).fit(data)


def test_a_model_of_another_version_says_so():
    data, _ = world(0.5)
    model = ConditionKriging().fit(data)
    for task in model.learned.facts["tasks"].values():
        del task["width_at_rest"]
    with pytest.raises(ModelError, match="saved by another version"):
        model.predict(data.controls(), ["L0:P0"], n_cells=1)


@pytest.mark.parametrize(
    ("cell_type", "error", "pearson"),
    [("NK", 0.5, 0.73), ("FCGR3A+ Mono", 0.18, 0.9)],  # the best of Ridge, FoldChange, ContextAdditive: 0.56 and 0.33
)
def test_kang_a_cell_type_from_the_other_types(shared_data, cell_type: str, error: float, pearson: float):
    """Cells of known donors: those of unknown ones are from other sources with and without interferon, of other depths."""
    adata = ad.read_h5ad(shared_data("kang2018_pbmc_ifnb.h5ad"))
    x = adata.X.toarray()
    adata.X = np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    known = (adata.obs["donor"] != "unknown").to_numpy()
    data = PerturbationData.from_anndata(adata[known, ::2].copy())  # every second gene: half the time
    (split,) = make_splits(data, SplitSettings(kind="unseen-context", context=cell_type))
    parts = split.parts(data)
    controls = parts.train.controls([cell_type])
    made = ConditionKriging().fit(parts.train).predict(controls, split.test, n_cells=10)
    table = evaluate(made, parts.test, controls, reference=parts.reference).set_index("metric")["value"]
    assert table["mse_ratio"] < error
    assert table["pearson_delta"] > pearson
    covered = coverage_by_stratum(made, join(parts.test, parts.reference)).set_index("stratum")["observed"]
    assert 0.85 < covered["all genes"] < 0.955


@pytest.mark.parametrize("link", ["additive", "multiplicative"])
def test_genes_that_do_not_respond_fall_in_share_by_how_much_they_are_expressed(link: Link):
    """All counts fall by 20 %: what that does to log1p is told, and taken off, gene by gene."""
    rng = np.random.default_rng(0)
    level = np.exp(rng.normal(0.0, 2.0, 400))
    profiles = {"A": np.log1p(level).astype(np.float32)}
    fall = np.log(0.8)
    effect = (np.log1p(level * 0.8) - np.log1p(level)).astype(np.float32)
    responding = rng.choice(400, 80, replace=False)
    effect[responding] += 2.0
    scale = ResponseScale.of([Condition("A", "P")], profiles, link, {})
    table = replace(
        Table((Condition("A", "P"),), scale.from_effects(effect[None]), np.ones(1, dtype=bool)), falls=scale.falls
    )
    falls = table.falls_of(np.array([0]))
    told, error = common_fall(table.effect, falls)
    assert told[0, 0] == pytest.approx(fall, rel=0.15)
    assert 0 < error < 0.1
    left = np.delete(np.nan_to_num(table.effect - told * falls)[0], responding)
    assert np.abs(left).max() < 0.25 * np.abs(np.nan_to_num(table.effect)).max()


def test_true_responses_are_covered_and_the_prior_alone_is_no_information():
    """A context left out: nine of ten true responses in their intervals; less is told of the unmeasured."""
    data, truth = world(0.7)
    test = [c for c in truth if c.context == "L2"]
    model = trained(data, test, features=None)
    made = predicted(model, data, test)
    covered = coverage_by_stratum(made, data, truth=truth).set_index("stratum")["observed"]
    assert 0.85 <= covered["true response"] <= 0.97
    assert changes(made, test[0])["informative"].mean() > 0.2
    unknown = trained(data, [c for c in truth if c.perturbation == "P0"], features=None, unseen="common")
    told = changes(predicted(unknown, data, [Condition("L2", "P0")]), Condition("L2", "P0"))
    assert told["informative"].mean() < 0.05


def strong_gene_rises(scale: ResponseScale, falls: np.ndarray, factors: np.ndarray) -> tuple[GeneMixture, np.ndarray]:
    """A gene with half of all counts rises by these factors: a prediction of that alone, and what all genes do."""
    n, n_genes = len(factors), falls.shape[1]
    counts = scale.level * np.where(np.arange(n_genes) == 0, factors[:, None], 1.0)
    share = counts * scale.level.sum(axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True)
    effect = scale.from_effects((np.log1p(share) - np.log1p(scale.level)).astype(np.float32))
    means = np.zeros((n, n_genes, 2))
    alone = (np.log1p(counts) - np.log1p(scale.level)).astype(np.float32)
    means[:, 0, 1] = scale.from_effects(alone)[:, 0]
    weights = np.tile([1.0, 0.0], (n, n_genes, 1))
    weights[:, 0] = [0.0, 1.0]
    sds = np.repeat(0.02 * falls[..., None], 2, axis=2)
    return GeneMixture(weights, means, sds), np.nan_to_num(effect)


@pytest.mark.parametrize("link", ["additive", "multiplicative"])
def test_where_a_strong_gene_is_predicted_to_rise_all_others_are_predicted_to_fall(link: Link):
    rng = np.random.default_rng(0)
    level = np.exp(rng.normal(0.0, 1.5, 200))
    level[0] = level[1:].sum()
    conditions = tuple(Condition("A", f"P{i}") for i in range(30))
    scale = ResponseScale.of(conditions, {"A": np.log1p(level).astype(np.float32)}, link, {})
    table = Table(conditions, np.zeros((30, 200), np.float32), np.ones(30, dtype=bool), falls=scale.falls)
    rows = np.arange(30)
    falls, factors = table.falls_of(rows), np.exp(rng.normal(0.0, 0.5, 30))
    predicted, effect = strong_gene_rises(scale, falls, factors)
    implied = scale.implied_fall(predicted.mean)[:, 0]
    np.testing.assert_allclose(implied, -np.log(0.5 * factors + 0.5), rtol=0.02, atol=0.005)
    hidden = [Hidden(rows, rows, predicted, np.full_like(effect, 1e-6))]
    shares = learn_fall(hidden, replace(table, effect=effect), np.ones_like(effect, dtype=bool), scale)
    assert 0.75 < shares[1] <= 1.0
    corrected = correct_fall(predicted, falls, scale, shares)
    error, before = (np.square(part.mean[:, 1:] - effect[:, 1:]).mean() for part in (corrected, predicted))
    assert error < 0.1 * before
    chance = replace(table, effect=rng.permutation(effect))
    assert learn_fall(hidden, chance, np.ones_like(effect, dtype=bool), scale)[1] < 0.5


@pytest.mark.parametrize("of_fall", [0.0, 1.0])
def test_how_sure_the_fall_is_follows_its_size_where_errors_do(of_fall: float):
    rng = np.random.default_rng(1)
    fall = rng.choice([-0.02, -0.5], 80)
    error = rng.normal(0.0, 1.0, 80) * np.where(of_fall, 0.3 * np.abs(fall), 0.05)
    ones = np.ones((80, 50), dtype=np.float32)
    effect = (fall + error)[:, None] * ones
    table = Table(tuple(Condition("A", f"P{i}") for i in range(80)), effect, np.ones(80, dtype=bool))
    predicted = GeneMixture(ones[..., None], (fall[:, None] * ones)[..., None], 0.05 * ones[..., None])
    hidden = [Hidden(np.arange(80), np.arange(80), predicted, np.full_like(effect, 1e-6))]
    factors = learn_width_at_rest(hidden, table, np.ones_like(effect, dtype=bool))
    sds = widen_rest(predicted, factors).sds[:, 0, 0]
    by_size = {size: float(sds[fall == size].mean()) for size in np.unique(fall)}
    if of_fall:
        assert 0.11 < by_size[-0.5] < 0.2
        assert by_size[-0.02] < 0.025
    else:
        assert 0.04 < by_size[-0.5] < 0.065
        assert 0.03 < by_size[-0.02] < 0.06
