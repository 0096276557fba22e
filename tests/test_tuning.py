"""Settings chosen by nested validation: nothing of the test part is seen, and an interrupted search goes on as it was."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import yaml

pytest.importorskip("optuna", reason="tuning needs optuna: pip install 'cycseq[networks]'")

from conftest import make_counts
from cycseq.benchmarking.tuning import folds as folds_module
from cycseq.benchmarking.tuning.folds import Fold, inner_folds
from cycseq.benchmarking.tuning.search import tune
from cycseq.benchmarking.tuning.settings import TuneSettings
from cycseq.benchmarking.tuning.spaces import SPACES, Range, defaults_in, space_of
from cycseq.benchmarking.tuning.trials import Trial, propose
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import FileError, ModelError, SettingsError, SplitError
from cycseq.io.files import lock_folder
from cycseq.models import build_model
from cycseq.split.make import make_splits
from cycseq.split.settings import KINDS, SplitSettings

RIDGE = TuneSettings("Ridge", trials=4)


@pytest.fixture(scope="module")
def data() -> PerturbationData:
    """4 contexts x (control, 5 singles, 3 doubles) x 24 cells."""
    doubles = ("G1+G2", "G1+G3", "G2+G3", "G3+G4")
    counts = make_counts(("A", "B", "C", "D"), ("control", "G1", "G2", "G3", "G4", "G5", *doubles), cells=24)
    x = counts.X.toarray()
    counts.X = sp.csr_matrix(np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4), dtype=np.float32)
    return PerturbationData.from_anndata(counts)


@pytest.fixture(scope="module")
def split(data):
    return make_splits(data, SplitSettings(kind="unseen-context", context="C"))[0]


def without_times(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.drop(columns="seconds")


def test_the_test_part_is_not_looked_at(data, split, tmp_path):
    changed = data.adata.copy()
    tested = data.condition_codes[:, None] == [data.conditions().index(c) for c in split.test]
    x = changed.X.toarray()
    x[tested.any(axis=1)] = np.random.default_rng(0).exponential(5.0, size=(int(tested.sum()), x.shape[1]))
    changed.X = sp.csr_matrix(x)
    other = PerturbationData(changed, scale="log1p")
    (its_split,) = make_splits(other, SplitSettings(kind="unseen-context", context="C"))
    assert its_split.data_hash != split.data_hash
    first, second = tune(data, split, RIDGE, tmp_path / "a"), tune(other, its_split, RIDGE, tmp_path / "b")
    pd.testing.assert_frame_equal(without_times(first.trials), without_times(second.trials))
    assert first.best == second.best


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"unseen-dose", "unseen-time"}])
def test_inner_folds_are_of_the_same_kind_and_within_training(kind, data):
    options = {"few-shot": {"n_cells": 10}}.get(kind, {})
    outer = make_splits(data, SplitSettings(kind=kind, **options))[0]
    rows = outer.rows(data)
    allowed = set(data.adata.obs_names[np.concatenate([rows["train"], rows["validation"]])])
    for fold in inner_folds(data, outer, TuneSettings("Ridge")):
        assert fold.split.kind == kind
        assert set(fold.data.adata.obs_names) == allowed
        assert set(fold.real.data.adata.obs_names) <= allowed
        if kind not in {"random-cells", "few-shot"}:  # which cut conditions
            assert not set(fold.conditions) & set(fold.split.train)
        if kind == "few-shot":
            cells = fold.split.parts(fold.data).train
            assert set(cells.subset(fold.conditions).moments.n_cells) == {10}


def test_every_training_context_is_held_out_in_turn(data, split):
    held = [{c.context for c in fold.conditions} for fold in inner_folds(data, split, RIDGE)]
    assert held == [{"A"}, {"B"}, {"D"}]
    assert len(inner_folds(data, split, TuneSettings("Ridge", folds=2))) == 2


def test_few_shot_folds_keep_as_many_conditions(data):
    outer = make_splits(data, SplitSettings(kind="few-shot", context="B", k=3))[0]
    for fold in inner_folds(data, outer, RIDGE):
        held = {c.context for c in fold.split.test}
        assert held != {"B"}
        assert sum(c.context in held for c in (*fold.split.train, *fold.split.left_out)) == 3


def test_an_interrupted_search_goes_on_as_if_it_had_not_stopped(data, split, tmp_path, monkeypatch):
    whole = tune(data, split, RIDGE, tmp_path / "whole")
    honest, calls = Fold.scores, []

    def interrupted(self, model, seed):
        calls.append(model)
        if len(calls) == 8:  # within the third trial
            raise KeyboardInterrupt
        return honest(self, model, seed)

    monkeypatch.setattr(Fold, "scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(data, split, RIDGE, tmp_path / "parts")
    monkeypatch.setattr(Fold, "scores", honest)
    few = tune(data, split, TuneSettings("Ridge", trials=3), tmp_path / "parts")
    assert len(few.trials) == 3
    resumed = tune(data, split, RIDGE, tmp_path / "parts")
    pd.testing.assert_frame_equal(without_times(resumed.trials), without_times(whole.trials))
    pd.testing.assert_frame_equal(resumed.folds, whole.folds)
    assert pd.read_csv(tmp_path / "parts" / "trials.csv")["trial"].tolist() == list(range(4))


def test_the_defaults_come_first_and_scores_are_those_of_a_fit_by_hand(data, split, tmp_path):
    found = tune(data, split, TuneSettings("Ridge", trials=1), tmp_path / "t")
    assert found.best == {name: build_model("Ridge").settings()[name] for name in SPACES["Ridge"]}
    fold = inner_folds(data, split, RIDGE)[0]
    parts = fold.split.parts(fold.data)
    model = build_model("Ridge").fit(parts.train, parts.validation)
    ratios = []
    for condition in fold.conditions:
        context = condition.context
        control = parts.train.cells(Condition(context, "control")).mean(axis=0, dtype=np.float64)
        real = parts.test.cells(condition).mean(axis=0, dtype=np.float64)
        made = (
            model.predict(parts.train.controls([context]), [condition]).cells(condition).mean(axis=0, dtype=np.float64)
        )
        kept = ~np.isin(data.genes, condition.parts)
        ratios.append(np.square(made - real)[kept].sum() / np.square(control - real)[kept].sum())
    said = found.folds[(found.folds["fold"] == fold.split.name) & (found.folds["metric"] == "mse_ratio")]["value"]
    assert said.item() == pytest.approx(np.mean(ratios), rel=1e-4)
    assert found.default_value == found.best_value == pytest.approx(found.trials["mse_ratio"][0])


def test_objectives():
    values = {o: TuneSettings("Ridge", objective=o) for o in ("mse_ratio", "pearson_delta", "both")}
    assert [s.value(0.4, 0.9) for s in values.values()] == pytest.approx([0.4, 0.9, 0.25])
    assert [s.direction for s in values.values()] == ["minimize", "maximize", "minimize"]


def test_the_best_is_best_and_hopeless_trials_stop_early(data, split, tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text("penalty: {low: 1.0e-3, high: 1.0e+6, log: true}\nencoding: [one-hot]\nn_components: [5]\n")
    settings = TuneSettings("Ridge", trials=14, objective="pearson_delta", space=space)
    found = tune(data, split, settings, tmp_path / "t")
    trials = found.trials
    complete, pruned = (trials[trials["state"] == state] for state in ("complete", "pruned"))
    assert found.best_value == complete["objective"].max() == trials.loc[found.best_trial, "objective"]
    assert found.best["penalty"] == trials.loc[found.best_trial, "penalty"]
    assert len(pruned)
    assert (pruned["folds"] < 3).all()
    assert set(trials["encoding"]) == {'"one-hot"'}


def test_an_undefined_score_does_not_end_pruning():
    space = {"n_components": Range(2, 50)}
    trials = [Trial("failed", {"n_components": 2}, [{"mse_ratio": np.nan, "pearson_delta": 0.0}], reason="undefined")]
    trials += [
        Trial("complete", {"n_components": 3 + i}, [{"mse_ratio": value, "pearson_delta": 0.0}])
        for i, value in enumerate((0.4, 0.5, 0.6, 0.7))
    ]

    def stops(value: float) -> bool:
        proposal = propose(trials, RIDGE, space, {})
        proposal.report(value, 0)
        return proposal.should_prune()

    assert stops(0.56)
    assert not stops(0.54)


def test_failed_trials_are_counted_and_reported(data, split, tmp_path, monkeypatch):
    honest, calls = Fold.scores, []

    def sometimes(self, model, seed):
        calls.append(model)
        if len(calls) in (2, 4):
            raise FloatingPointError("the loss exploded")
        return honest(self, model, seed)

    monkeypatch.setattr(folds_module.Fold, "scores", sometimes)
    trials = tune(data, split, RIDGE, tmp_path / "t").trials
    failed = trials[trials["state"] == "failed"]
    assert failed["trial"].tolist() == [0, 1]
    assert failed["reason"].str.contains("FloatingPointError: the loss exploded").all()
    monkeypatch.setattr(Fold, "scores", lambda *_: {"mse_ratio": np.nan, "pearson_delta": 0.0})
    with pytest.raises(ModelError, match=r"all 3 trials of Ridge failed, .* mse_ratio is undefined"):
        tune(data, split, RIDGE, tmp_path / "hopeless")


@pytest.mark.parametrize("model", SPACES)
def test_every_range_holds_the_default_and_values_that_the_model_takes(model):
    if model in {"Autoencoder", "VAE", "GAN", "CycSeq"}:
        pytest.importorskip("torch", reason="networks need torch")
    space = space_of(model)
    assert set(defaults_in(model, space)) == set(space)


def test_a_file_of_ranges(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps({"n_components": {"low": 3, "high": 9}, "penalty": [None, 0.5], "encoding": ["both"]}))
    space = space_of("Ridge", path)
    assert space["n_components"] == Range(3, 9)
    assert space["penalty"].values == (None, 0.5)
    assert defaults_in("Ridge", space).keys() == space.keys() - {"n_components"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_componentz: [1, 2]", "no setting of Ridge 'n_componentz': did you mean 'n_components'"),
        ("n_components: [1, big]", "must be a whole number"),
        ("penalty: {low: 0, high: 1, log: true}", "low is then above 0"),
        ("penalty: {low: 1e-3, high: 1}", "write 1.0e-4"),
        ("penalty: 3", "must be a list of values"),
        ("[1, 2]", "names no settings"),
        ("a: [", "is not YAML or JSON"),
    ],
)
def test_a_file_of_ranges_that_makes_no_sense(text, message, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises((SettingsError, FileError), match=r"space\.yaml") as caught:
        space_of("Ridge", path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_tuned_is_refused(data, split, tmp_path):
    with pytest.raises(SettingsError, match="NoChange has no settings to tune"):
        tune(data, split, TuneSettings("NoChange"), tmp_path / "t")
    with pytest.raises(SettingsError, match="did you mean 'Ridge'"):
        tune(data, split, TuneSettings("Rigde"), tmp_path / "t")
    two = data.subset(c for c in data.conditions() if c.context in {"A", "B"})
    lonely = make_splits(two, SplitSettings(kind="unseen-context", context="A"))[0]
    with pytest.raises(SplitError, match="training part of unseen-context:A cannot be split again"):
        tune(two, lonely, RIDGE, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_another_search_in_the_folder_is_not_mixed_up(data, split, tmp_path):
    one = TuneSettings("Ridge", trials=1)
    tune(data, split, one, tmp_path / "t")
    other = TuneSettings("Ridge", trials=1, objective="both")
    with pytest.raises(SettingsError, match="holds a search with other objective"):
        tune(data, split, other, tmp_path / "t")
    assert tune(data, split, other, tmp_path / "t", overwrite=True).settings.objective == "both"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(FileError, match="holds no search"):
        tune(data, split, one, tmp_path / "mine", overwrite=True)
    with lock_folder(tmp_path / "taken"), pytest.raises(FileError, match="another cycseq process is working in"):
        tune(data, split, one, tmp_path / "taken")


def test_on_the_command_line(data, split, tmp_path, capsys):
    pytest.importorskip("torch", reason="networks need torch: pip install 'cycseq[networks]'")
    data.write(tmp_path / "data.h5ad")
    split.write(tmp_path / "split.json")
    (tmp_path / "space.yaml").write_text("hidden: [[16], [16, 8]]\nnum_epochs: [1]\nlatent: [4]\nbatch_size: [64]\n")
    words = f"tune --data {tmp_path}/data.h5ad --split {tmp_path}/split.json --model VAE --trials 2 --folds 2 --out {tmp_path}/t"
    assert main([*words.split(), "--space", f"{tmp_path}/space.yaml"]) == SUCCESS
    out = capsys.readouterr().out
    assert "2 trials: 2 complete, 0 pruned, 0 failed" in out
    said = yaml.safe_load((tmp_path / "t" / "best.yaml").read_text())
    assert said["model"]["class_path"] == "cycseq.models.networks.vae.VAE"
    assert (tmp_path / "t" / "trials.png").read_bytes()[:4] == b"\x89PNG"
    following = next(line for line in out.splitlines() if line.startswith("next: cycseq "))
    assert main(following.removeprefix("next: cycseq ").split()) == SUCCESS
    run = json.loads((tmp_path / "t" / "run" / "run.json").read_text())
    assert run["settings"]["num_epochs"] == 1
    assert run["settings"]["hidden"] in ([16], [16, 8])
    assert main([*words.split(), "--objective", "boht"]) == BAD_INPUT
