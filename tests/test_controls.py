"""Control cells in two halves: what the model is given, and what real responses are taken against."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.data.dataset import PerturbationData
from cycseq.errors import SplitError
from cycseq.models import build_model
from cycseq.preparation.pseudobulk import responses
from cycseq.run.fitting import fit_run
from cycseq.run.parts import learnt_from
from cycseq.run.scoring import evaluate_prediction
from cycseq.score.ceiling import split_half
from cycseq.score.evaluate import evaluate
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import Split
from cycseq.split.controls import MIN_CONTROLS
from cycseq.split.leakage import check_leakage
from cycseq.split.make import make_splits
from cycseq.split.problems import REFERENCE
from cycseq.split.settings import SplitSettings

MEANS = EvaluateSettings(metrics="means")
CELLS, GENES = 60, 150


@pytest.fixture(scope="module")
def noise() -> PerturbationData:
    """Six contexts that differ little, three perturbations that do nothing: every difference is sampling noise."""
    rng = np.random.default_rng(7)
    level = rng.uniform(0.5, 2.0, GENES)
    conditions = [(f"c{i}", p) for i in range(6) for p in ("control", "P", "Q", "R") for _ in range(CELLS)]
    own = {f"c{i}": 0.05 * rng.normal(size=GENES) for i in range(6)}
    means = np.stack([level + own[context] for context, _ in conditions])
    obs = pd.DataFrame(conditions, columns=["context", "perturbation"], index=[f"n{i}" for i in range(len(means))])
    obs["batch"] = [f"b{i % 3}" for i in range(len(obs))]
    x = np.maximum(means + rng.normal(0.0, 0.6, means.shape), 0.0).astype(np.float32)
    genes = pd.DataFrame(index=[f"gene{i}" for i in range(GENES)])
    return PerturbationData.from_anndata(ad.AnnData(x, obs=obs, var=genes), scale="log1p")


def splits_of(data: PerturbationData, **settings: object) -> tuple[Split, ...]:
    return make_splits(data, SplitSettings(**settings))


def mean_score(data: PerturbationData, splits: tuple[Split, ...], model: str, metric: str = "pearson_delta") -> float:
    values = []
    for split in splits:
        parts = split.parts(data)
        training, controls = responses(learnt_from(parts)), parts.train.controls()
        side = Reference.of(parts.test, controls, reference=parts.reference, training=training, settings=MEANS)
        fitted = build_model(model).fit(parts.train, parts.validation)
        table = evaluate(fitted.predict(parts.train.controls(parts.test.contexts), split.test, n_cells=40), side)
        values.append(table.loc[table["metric"] == metric, "value"])
    return float(np.nanmean(np.concatenate(values)))


def test_half_of_the_controls_of_tested_contexts_is_held_back_batch_by_batch(noise: PerturbationData) -> None:
    (split,) = splits_of(noise, context="c1")
    parts = split.parts(noise)
    whole, reference = noise.controls(["c1"]), parts.reference
    assert reference is not None
    model = parts.train.controls(["c1"])
    assert sorted([*reference.adata.obs_names, *model.adata.obs_names]) == sorted(whole.adata.obs_names)
    assert set(reference.contexts) == {"c1"}
    per_batch = whole.adata.obs["batch"].value_counts()
    for half in (reference, model):
        assert (abs(half.adata.obs["batch"].value_counts() - per_batch / 2) <= 1).all()
    assert parts.train.controls(["c0"]).n_cells == CELLS
    assert not split.cuts_conditions
    assert not check_leakage(split, noise)
    backwards = noise.take(np.arange(noise.n_cells)[::-1])
    assert splits_of(backwards, context="c1")[0].cells == split.cells
    assert splits_of(noise, context="c1", seed=1)[0].cells != split.cells


@pytest.mark.parametrize(("kind", "contexts"), [("unseen-perturbation", 6), ("unseen-pair", 1)])
def test_every_tested_context_has_a_reference(noise: PerturbationData, kind: str, contexts: int) -> None:
    for split in splits_of(noise, kind=kind, context="c2" if contexts == 1 else None):
        reference = split.parts(noise).reference
        assert reference is not None
        assert set(reference.contexts) == {c.context for c in split.test}
        assert len(reference.contexts) == contexts


def test_random_cells_take_the_controls_of_the_test_part(noise: PerturbationData) -> None:
    (split,) = splits_of(noise, kind="random-cells", fraction=0.4)
    parts = split.parts(noise)
    assert REFERENCE not in split.cells
    assert parts.reference is not None
    assert set(parts.reference.adata.obs_names) == set(parts.test.controls().adata.obs_names)


def test_controls_are_shared_where_asked_or_too_few_and_the_claim_says_so(noise: PerturbationData) -> None:
    (shared,) = splits_of(noise, context="c1", shared_controls=True)
    assert shared.parts(noise).reference is None
    assert "noise of their mean counts as response" in shared.claim
    few = noise.take(np.sort(np.concatenate([
        np.flatnonzero((noise.adata.obs["perturbation"] != "control") | (noise.adata.obs["context"] != "c1")),
        noise.rows(noise.controls(["c1"]).conditions()[0])[: 2 * MIN_CONTROLS - 1],
    ])))  # fmt: skip
    (split,) = splits_of(few, context="c1")
    parts = split.parts(few)
    assert parts.reference is None
    assert f"fewer than {2 * MIN_CONTROLS}" in split.claim
    predicted = build_model("NoChange").fit(parts.train).predict(parts.train.controls(["c1"]), split.test)
    table = evaluate(predicted, parts.test, parts.train.controls(), reference=parts.reference, settings=MEANS)
    assert any("controls are shared in c1" in note for note in table.attrs["notes"])
    (whole,) = splits_of(noise, context="c1")
    assert "noise of their mean" not in whole.claim


@pytest.mark.parametrize(("model", "n"), [("SmoothedControls", 4), ("ConditionKriging", 1)])
def test_denoised_controls_are_no_response(noise: PerturbationData, model: str, n: int) -> None:
    """The audit's case: where nothing responds, all that a score shows is noise that both sides share."""
    shared = mean_score(noise, splits_of(noise, shared_controls=True)[:n], model)
    halved = mean_score(noise, splits_of(noise)[:n], model)
    assert (shared > 0.3) == (model == "SmoothedControls")  # ConditionKriging does not smooth them unless asked
    assert abs(halved) < 0.1


def test_the_mean_of_other_perturbations_earns_nothing_from_noise(noise: PerturbationData) -> None:
    shared, halved = (
        mean_score(noise, splits_of(noise, kind="unseen-pair", shared_controls=said), "PerturbedMean")
        for said in (True, False)
    )
    assert shared > 0.3
    assert abs(halved) < 0.05


def test_the_specific_response_is_free_of_shared_controls_too(noise: PerturbationData) -> None:
    shared, halved = (
        mean_score(noise, splits_of(noise, shared_controls=said), "SmoothedControls", "pearson_delta_specific")
        for said in (True, False)
    )
    assert shared > halved + 0.2


def test_no_change_has_no_response_and_the_perturbed_mean_nothing_specific(noise: PerturbationData) -> None:
    splits = splits_of(noise, kind="unseen-pair", context="c3")
    assert mean_score(noise, splits, "NoChange") == 0.0
    assert mean_score(noise, splits, "NoChange", "mse_ratio") == pytest.approx(1.0, abs=1e-5)
    for kind in ("unseen-pair", "unseen-context"):
        splits = splits_of(noise, kind=kind, context="c3")
        assert mean_score(noise, splits, "PerturbedMean", "pearson_delta_specific") == 0.0


def test_halves_of_pure_noise_do_not_agree(noise: PerturbationData) -> None:
    ceilings = []
    for said in (True, False):
        values = []
        for split in splits_of(noise, shared_controls=said):
            parts = split.parts(noise)
            side = Reference.of(parts.test, parts.train.controls(), reference=parts.reference, settings=MEANS)
            table = split_half(side, repeats=4)
            values.append(table.loc[table["metric"] == "pearson_delta", "value"])
        ceilings.append(float(np.concatenate(values).mean()))
    assert ceilings[0] > 0.2
    assert abs(ceilings[1]) < 0.1


def test_a_run_hands_its_model_one_half_and_its_prediction_says_which(noise: PerturbationData, tmp_path: Path) -> None:
    path = tmp_path / "noise.h5ad"
    noise.write(path)
    (split,) = splits_of(noise, context="c5")
    run = fit_run(noise, split, build_model("SmoothedControls"), tmp_path / "run", data_path=path)
    predicted = run.predict()
    held_back = set(split.cells[REFERENCE])
    assert not held_back & set(predicted.adata.obs["source_cell"])
    assert set(predicted.provenance()[REFERENCE]) == held_back
    alone = evaluate_prediction(predicted, noise, settings=MEANS)
    pd.testing.assert_frame_equal(alone, evaluate_prediction(predicted, noise, split=split, settings=MEANS), rtol=1e-5)
    assert not any("shared" in note for note in alone.attrs["notes"])
    own = run.predict(controls=noise)
    assert set(own.adata.obs["source_cell"]) & held_back
    for of_model in (None, split):
        said = evaluate_prediction(own, noise, split=of_model, settings=MEANS).attrs["notes"]
        assert any("controls are shared in c5" in note for note in said)


def test_the_prediction_of_another_tool_shares_controls_and_the_table_says_so(noise: PerturbationData) -> None:
    real = noise.subset(c for c in noise.conditions() if c.context == "c0")
    adata = real.adata[real.adata.obs["perturbation"] != "control"].copy()
    adata.X = adata.X + np.float32(0.1)
    adata.uns.clear()
    table = evaluate_prediction(replace(real, adata=adata), real, settings=MEANS)
    assert any("controls are shared in c0" in note for note in table.attrs["notes"])


def test_a_reference_that_is_no_control_cell_is_refused(noise: PerturbationData) -> None:
    (split,) = splits_of(noise, context="c1")
    perturbed = str(noise.adata.obs_names[noise.rows(split.test[0])[0]])
    wrong = replace(split, cells={REFERENCE: (*split.cells[REFERENCE], perturbed)})
    with pytest.raises(SplitError, match=f"1 cell of the reference is no control cell .first: '{perturbed}'"):
        wrong.parts(noise)
