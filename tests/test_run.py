"""The run folder: what it keeps, how it is found again, and what a failed fit leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError, FileError, ModelError, SplitError
from cycseq.models import build_model
from cycseq.run.fitting import fit_run
from cycseq.run.folder import Run
from cycseq.run.record import with_record
from cycseq.run.scoring import evaluate_prediction
from cycseq.score.evaluate import evaluate
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import Split
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

MEANS = EvaluateSettings(metrics="means")


def held_out(data: PerturbationData, context: str) -> Split:
    perturbed = [c for c in data.conditions() if not c.is_control]
    return Split(
        name=f"unseen-context:{context}",
        kind="unseen-context",
        claim="The response of a context is predicted of which controls alone were seen.",
        train=tuple(c for c in perturbed if c.context != context),
        validation=(),
        test=tuple(c for c in perturbed if c.context == context),
        seed=0,
        data_hash=data.fingerprint(),
    )


@pytest.fixture
def run(small_data: PerturbationData, tmp_path: Path) -> Run:
    path = tmp_path / "small.h5ad"
    small_data.write(path)
    split = held_out(small_data, "K562")
    return fit_run(
        small_data, split, build_model("ContextAdditive"), tmp_path / "run", 3, data_path=path, command="cycseq fit"
    )


def test_an_opened_run_predicts_what_the_fitted_model_predicts(run: Run, small_data: PerturbationData):
    again = Run.open(run.folder)
    first = run.predict(controls=small_data, n_cells=30, seed=5)
    second = again.predict(n_cells=30, seed=5)
    assert first.conditions() == tuple(c for c in small_data.conditions() if c.context == "K562" and not c.is_control)
    np.testing.assert_array_equal(np.asarray(first.x), np.asarray(second.x))
    train = run.split.parts(small_data).train
    direct = build_model("ContextAdditive").fit(train, seed=3)
    expected = direct.predict(small_data.controls(["K562"]), list(run.split.test), n_cells=30, seed=5)
    np.testing.assert_allclose(first.moments.mean, expected.moments.mean, atol=1e-6)


def test_perturbed_cells_among_the_controls_change_nothing(run: Run, small_data: PerturbationData):
    alone = run.predict(["K562:G1"], controls=small_data.controls(), n_cells=20)
    among = run.predict(["K562:G1"], controls=small_data, n_cells=20)
    np.testing.assert_array_equal(np.asarray(alone.x), np.asarray(among.x))


def test_a_prediction_says_what_it_was_trained_on(run: Run, tmp_path: Path):
    run.predict(n_cells=10).write(tmp_path / "predicted.h5ad")
    read = PerturbationData.from_anndata(ad.read_h5ad(tmp_path / "predicted.h5ad"))
    record = read.provenance()
    assert record["model"] == "ContextAdditive"
    assert record["split"]["name"] == "unseen-context:K562"
    assert {tuple(pair) for pair in record["training"]} == set(run.split.train)


def test_the_folder_says_how_to_repeat_the_fit(run: Run):
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["data"]["hash"] == run.split.data_hash
    assert facts["seed"] == 3
    environment = json.loads((run.folder / "environment.json").read_text())
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["hashes"]["data"] == run.split.data_hash
    assert environment["hashes"]["split"] == run.split.digest()
    assert not set(facts) & set(environment)
    words = Run.open(run.folder).repeat_command().split()
    assert words[:2] == ["cycseq", "fit"]
    assert words[words.index("--data") + 1] == facts["data"]["path"]
    assert words[words.index("--seed") + 1] == "3"


def test_evaluation_uses_the_recorded_training_conditions(run: Run, small_data: PerturbationData):
    from cycseq.preparation.pseudobulk import responses

    predicted = run.predict(n_cells=40)
    parts = run.split.parts(small_data)
    train, test = parts.train, parts.test
    expected = evaluate(
        predicted, test, train.controls(["K562"]), training=responses(train), settings=MEANS,
        model="ContextAdditive", split=run.split.name,
    )  # fmt: skip
    for scores in (
        evaluate_prediction(predicted, small_data, settings=MEANS),
        evaluate_prediction(predicted, small_data, split=run.folder / "split.json", settings=MEANS),
    ):
        assert list(scores.columns) == list(expected.columns)
        merged = expected.merge(scores, on=[*expected.columns[:-1]], suffixes=("", "_found"))
        assert len(merged) == len(expected) == len(scores)
        np.testing.assert_allclose(merged["value_found"], merged["value"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["random-cells", "few-shot"])
def test_conditions_that_are_cut_are_not_scored_without_their_split(small_data, tmp_path, kind):
    """Some of their cells were trained on, which the test must not hold."""
    few = {"context": "K562", "n_cells": 10} if kind == "few-shot" else {}
    (split, *_) = make_splits(small_data, SplitSettings(kind=kind, **few))
    fitted = fit_run(small_data, split, build_model("ContextAdditive"), tmp_path / "run")
    predicted = fitted.predict(controls=small_data, n_cells=10)
    with pytest.raises(DataError, match="--split"):
        evaluate_prediction(predicted, small_data, settings=MEANS)
    asked = {(c.context, c.perturbation) for c in split.test if not c.is_control}
    scores = evaluate_prediction(predicted, small_data, split=split, settings=MEANS)
    assert asked <= set(zip(scores["context"], scores["perturbation"], strict=True))


def test_what_is_no_finished_run_is_refused(run: Run, small_data: PerturbationData, tmp_path: Path):
    with pytest.raises(FileError, match=r"not a run: it has no run\.json"):
        Run.open(tmp_path)
    Run.create(tmp_path / "begun", small_data, run.split, build_model("NoChange"), 0)
    with pytest.raises(FileError, match="has not ended"):
        Run.open(tmp_path / "begun")
    with pytest.raises(FileError, match="--overwrite"):
        fit_run(small_data, run.split, build_model("NoChange"), run.folder)
    record = run.folder / "run.json"
    record.write_text(record.read_text().replace('"seed": 3', '"seed": 4'))
    with pytest.raises(FileError, match=r"run\.json was altered"):
        Run.open(run.folder)
    record.write_text('{"model": "NoChange"}')
    with pytest.raises(FileError, match="it does not say data, settings, seed"):
        Run.open(run.folder)


def test_another_split_in_the_folder_is_noticed(run: Run, small_data: PerturbationData):
    held_out(small_data, "RPE1").write(run.folder / "split.json", overwrite=True)
    with pytest.raises(FileError, match=r"split\.json is not the split that the run was fitted on"):
        Run.open(run.folder).predict()


def test_a_run_of_an_older_version_is_read(run: Run):
    """It said all in run.json, and had neither environment.json nor checksums."""
    said = json.loads((run.folder / "run.json").read_text())
    said |= {"versions": {"cycseq": "0.0.9", "numpy": "1.0"}, "platform": "elsewhere"}
    (run.folder / "run.json").write_text(json.dumps(said))
    (run.folder / "environment.json").unlink()
    (run.folder / "model" / "SHA256SUMS").unlink()
    old = Run.open(run.folder)
    assert old.environment["versions"]["numpy"] == "1.0"
    assert old.broken == ""
    assert old.predict(n_cells=5).n_cells == 5 * len(old.split.test)


def test_scores_of_a_gene_called_na_are_read(run: Run):
    (run.folder / "metrics.csv").write_text("context,perturbation,metric,value\nK562,NA,mse,\nK562,G1,mse,0.5\n")
    metrics = run.metrics()
    assert list(metrics["perturbation"]) == ["NA", "G1"]
    assert metrics["value"].isna().tolist() == [True, False]


def test_a_mistyped_context_is_answered_with_the_nearest(run: Run):
    with pytest.raises(ModelError, match="no context with control cells 'K526': did you mean 'K562'"):
        run.predict(["K526:G1"])


def test_a_damaged_run_can_be_replaced(run: Run, small_data: PerturbationData):
    (run.folder / "run.json").write_text("{")
    with pytest.raises(FileError, match="--overwrite true"):
        fit_run(small_data, run.split, build_model("NoChange"), run.folder)
    again = fit_run(small_data, run.split, build_model("NoChange"), run.folder, overwrite=True)
    assert Run.open(again.folder).facts["model"] == "NoChange"


def test_a_prediction_is_recorded_without_a_copy_of_its_cells(run: Run, small_data: PerturbationData):
    predicted = run.model.predict(small_data.controls(["K562"]), [Condition("K562", "G1")])
    assert np.shares_memory(with_record(predicted, run.model, run.split, 0).x, predicted.x)


def test_a_failed_fit_leaves_nothing_and_brings_the_old_run_back(
    run: Run, small_data: PerturbationData, tmp_path: Path
):
    one_perturbation = small_data.subset(c for c in small_data.conditions() if c.is_control or c.perturbation == "G1")
    split = held_out(one_perturbation, "K562")
    with pytest.raises(ModelError):
        fit_run(one_perturbation, split, build_model("Bilinear"), tmp_path / "fails")
    with pytest.raises(ModelError):
        fit_run(one_perturbation, split, build_model("Bilinear"), run.folder, overwrite=True)
    assert Run.open(run.folder).facts["model"] == "ContextAdditive"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "small.h5ad"]
    assert (
        fit_run(small_data, run.split, build_model("NoChange"), run.folder, overwrite=True).facts["model"] == "NoChange"
    )


def test_other_data_are_refused(run: Run, small_data: PerturbationData, tmp_path: Path):
    fewer = small_data.take(np.arange(small_data.n_cells - 1))
    with pytest.raises(SplitError):
        fit_run(fewer, run.split, build_model("NoChange"), tmp_path / "other")
    fewer.write(Path(run.facts["data"]["path"]), overwrite=True)
    with pytest.raises(DataError, match="has changed"):
        run.predict()
    with pytest.raises(ModelError, match="RPE9"):
        run.predict([Condition("RPE9", "G1")], controls=small_data)
