"""Which conditions to measure next: the greedy batch against dense algebra, and against random choice."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import ModelError, SettingsError
from cycseq.models import build_model
from cycseq.models.baselines.no_change import NoChange
from cycseq.models.kriging.design import choose
from cycseq.models.kriging.model import ConditionKriging
from cycseq.run.suggest import COLUMNS, suggest

GENES, LINES, PERTURBATIONS = 40, 4, 8


@cache
def world(seed: int = 0) -> tuple[PerturbationData, dict[Condition, np.ndarray]]:
    """Normal cells; responses that lines share to a large part."""
    rng = np.random.default_rng(seed)
    base = 3.0 + rng.normal(size=(LINES, GENES)) * 0.3
    shared, own = (rng.normal(size=(n, PERTURBATIONS, GENES)) for n in (1, LINES))
    effects = 0.5 * shared + 0.2 * own
    truth, x, obs = {}, [], []
    for i in range(LINES):
        for name in ["control", *(f"P{j}" for j in range(PERTURBATIONS))]:
            effect = 0.0 if name == "control" else effects[i, int(name[1:])]
            if name != "control":
                truth[Condition(f"L{i}", name)] = effect
            n = 60 if name == "control" else 20
            x.append(base[i] + effect + rng.normal(size=(n, GENES)))
            obs += [(f"L{i}", name)] * n
    frame = pd.DataFrame(obs, columns=["context", "perturbation"], index=[f"c{k}" for k in range(len(obs))])
    genes = pd.DataFrame(index=[f"g{k}" for k in range(GENES)])
    data = ad.AnnData(np.maximum(np.concatenate(x), 0.0).astype(np.float32), obs=frame, var=genes)
    return PerturbationData.from_anndata(data), truth


def uneven() -> list[Condition]:
    """Half of the perturbations measured in all lines but one, the others in one: where to go is not all the same."""
    half = PERTURBATIONS // 2
    often = [Condition(f"L{i}", f"P{j}") for i in range(LINES - 1) for j in range(half)]
    return often + [Condition("L0", f"P{j}") for j in range(half, PERTURBATIONS)]


def fitted(data: PerturbationData, measured: list[Condition]) -> ConditionKriging:
    return ConditionKriging(features=None).fit(
        data.subset(c for c in data.conditions() if c.is_control or c in measured), task="unseen-pair"
    )


def drawn_covariance(n: int = 12) -> np.ndarray:
    root = np.random.default_rng(0).normal(size=(n, n))
    return root @ root.T


def test_the_batch_is_that_of_dense_conditioning():
    dense = drawn_covariance()
    noise = np.random.default_rng(1).uniform(0.1, 1.0, size=len(dense))
    for choice in choose(dense, noise, np.ones(len(dense), dtype=bool), 5):
        after = [dense - np.outer(dense[:, k], dense[:, k]) / (dense[k, k] + noise[k]) for k in range(len(dense))]
        left = np.array([np.trace(a) for a in after])
        assert choice.condition == np.argmin(left)
        assert choice.reduction == pytest.approx(np.trace(dense) - left[choice.condition])
        dense = after[choice.condition]


def test_what_may_not_be_measured_is_never_chosen():
    allowed = np.zeros(12, dtype=bool)
    allowed[[7, 0]] = True
    assert {c.condition for c in choose(drawn_covariance(), np.ones(12), allowed, 10)} == {7, 0}


def test_a_batch_does_not_ask_twice_for_the_same_knowledge():
    """Two perturbations that all contexts share: one measurement of each tells more than two of the less certain one."""
    shared = np.kron(np.diag([1.0, 0.8]), np.ones((3, 3)))
    chosen = choose(shared, np.full(6, 0.1), np.ones(6, dtype=bool), 2)
    assert [c.condition // 3 for c in chosen] == [0, 1]
    assert chosen[0].reduction == pytest.approx(3.0 / 1.1)


@pytest.mark.parametrize("errors_known", [True, False])
def test_a_new_measurement_is_as_noisy_as_the_median_measured_condition(errors_known: bool):
    data, _ = world()
    model = fitted(data, uneven())
    noise = 1.0 / 20  # of the mean of twenty cells, each of variance 1
    if not errors_known:
        arrays = {name: values for name, values in model.learned.arrays.items() if name != "cells_noise"}
        model.fitted_ = replace(model.learned, arrays=arrays, cache={})
        own = model.learned_for("pair").weights["noise"]
        noise = float(np.median([own[str((c.context, None, None))] for c in model.measured_conditions]))
    everything = [Condition(f"L{i}", f"P{j}") for i in range(LINES) for j in range(PERTURBATIONS)]
    field, _ = model.field(everything, "pair", {})
    covariance = field.covariance(len(uneven()) + np.arange(len(everything)))
    best = suggest(model, 1).iloc[0]
    column = everything.index(Condition(best["context"], best["perturbation"]))
    gain = (covariance[column] ** 2).sum() / (covariance[column, column] + noise)
    assert best["expected_reduction"] == pytest.approx(gain / np.trace(covariance), rel=0.05)


def test_suggested_conditions_teach_more_than_random_ones():
    """Paired over worlds: the error of all conditions after fitting again with the batch measured."""
    won = []
    for seed in range(12):
        data, truth = world(seed)
        start, everything = uneven(), list(truth)

        def error(measured: list[Condition], data=data, truth=truth, everything=everything) -> float:
            made = fitted(data, measured).predict(data.controls(), everything, n_cells=1)
            true = np.stack([truth[c] for c in everything])
            return float(((np.asarray(made.adata.varm["posterior_mean"]).T - true) ** 2).mean())

        chosen = suggest(fitted(data, start), 4)
        batch = [Condition(c, p) for c, p in zip(chosen["context"], chosen["perturbation"], strict=True)]
        assert not set(batch) & set(start)
        rng = np.random.default_rng(seed)
        left = [c for c in everything if c not in start]
        random = [error([*start, *(left[i] for i in rng.choice(len(left), 4, replace=False))]) for _ in range(3)]
        won.append(np.mean(random) - error([*start, *batch]))
    assert ttest_1samp(won, 0.0, alternative="greater").pvalue < 0.05


def test_the_table_adds_up_and_refusals_name_the_cure():
    data, _ = world()
    model = fitted(data, uneven())
    table = suggest(model, 4)
    assert tuple(table) == COLUMNS
    assert table["expected_reduction"].is_monotonic_decreasing
    np.testing.assert_allclose(1 - table["expected_reduction"].cumsum(), table["variance_left"])
    assert 0 < table["variance_left"].iloc[-1] < 1
    with pytest.raises(ModelError, match="NoChange does not know how sure it is"):
        suggest(NoChange().fit(data))
    with pytest.raises(SettingsError, match="at least one"):
        suggest(model, 0)
    with pytest.raises(ModelError, match="'L9'"):
        suggest(model, candidates=[Condition("L9", "P0")])
    with pytest.raises(SettingsError, match="measured in every context already"):
        suggest(fitted(data, [c for c in data.conditions() if not c.is_control]))


def test_what_the_split_held_out_is_measured_and_not_suggested_unless_named():
    data, _ = world()
    model = fitted(data, uneven())
    first = suggest(model, 1).iloc[0]
    held_out = [Condition(first["context"], first["perturbation"])]
    again = suggest(model, 30, held_out=held_out)
    assert set(again["status"]) == {"not measured"}
    assert held_out[0] not in {Condition(c, p) for c, p in zip(again["context"], again["perturbation"], strict=True)}
    assert (
        suggest(model, 1, candidates=held_out, held_out=held_out)["status"].item().startswith("held out by the split")
    )
    assert suggest(model, 1, candidates=uneven()[:1])["status"].item() == "measured in training"


def test_a_model_without_a_posterior_suggests_nothing():
    with pytest.raises(ModelError, match="NoChange does not know how sure it is"):
        suggest(build_model("NoChange").fit(world()[0]))


def test_commands_write_what_to_measure_and_which_genes_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, _ = world()
    data.write(tmp_path / "data.h5ad")
    f = tmp_path
    for words in (
        f"split --data {f}/data.h5ad --kind unseen-pair --context L1 --out {f}/split.json",
        f"fit --data {f}/data.h5ad --split {f}/split.json --model ConditionKriging --run {f}/run",
        f"suggest --run {f}/run --n 2 --conditions test --out {f}/next.csv --plot {f}/next.png",
        f"predict --run {f}/run --cells 5 --out {f}/made.h5ad --genes-out {f}/genes.csv",
    ):
        assert main(words.split()) == SUCCESS, words
    table = pd.read_csv(tmp_path / "next.csv")
    assert tuple(table) == COLUMNS
    assert set(table["context"]) == {"L1"}
    assert set(table["status"]) == {"held out by the split, measured in the file"}
    assert main(f"suggest --run {f}/run --n 2 --out {f}/none.csv".split()) == BAD_INPUT  # all of it is in the file
    assert "measured in every context already" in capsys.readouterr().err
    assert (tmp_path / "next.png").read_bytes().startswith(b"\x89PNG")
    assert main(f"suggest --run {f}/run --out {f}/more.csv --plot {f}/next.xyz".split()) == BAD_INPUT
    assert "must end in .png" in capsys.readouterr().err
    genes = pd.read_csv(tmp_path / "genes.csv")
    made = ad.read_h5ad(tmp_path / "made.h5ad")
    assert list(genes) == [
        "context", "perturbation", "gene", "effect", "sd", "lower", "upper",
        "probability_up", "probability_down", "lfsr", "probability_beyond", "informative",
    ]  # fmt: skip
    assert len(genes) == GENES * len(made.uns["posterior_conditions"])
    for i, name in enumerate(made.uns["posterior_conditions"]):
        of_condition = genes[genes["perturbation"] == name.split(":")[1]]
        assert of_condition["lfsr"].is_monotonic_increasing
        by_gene = of_condition.set_index("gene").loc[made.var_names]
        np.testing.assert_allclose(by_gene["effect"], made.varm["posterior_mean"][:, i], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(by_gene["sd"], made.varm["posterior_sd"][:, i], rtol=1e-4)


def test_models_without_uncertainty_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, _ = world()
    data.write(tmp_path / "data.h5ad")
    f = tmp_path
    for words in (
        f"split --data {f}/data.h5ad --kind unseen-pair --context L1 --out {f}/split.json",
        f"fit --data {f}/data.h5ad --split {f}/split.json --model NoChange --run {f}/run",
    ):
        assert main(words.split()) == SUCCESS, words
    for words in (
        f"predict --run {f}/run --out {f}/made.h5ad --genes-out {f}/genes.csv",
        f"suggest --run {f}/run --out {f}/n.csv",
    ):
        capsys.readouterr()
        assert main(words.split()) == BAD_INPUT
        err = capsys.readouterr().err
        assert "NoChange" in err
        assert "ConditionKriging" in err
    assert not (f / "made.h5ad").exists()
