"""The benchmark: complete, resumed without computing twice, and never stopped by one model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from conftest import make_log1p
from cycseq.benchmarking import predictions, work
from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.result import Result
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import BenchmarkResult, open_benchmark
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import CycseqError, FileError, SettingsError
from cycseq.models import build_model
from cycseq.run.tables import read_table
from cycseq.score.evaluate import evaluate
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.split.make import make_splits
from cycseq.split.problems import REFERENCE

MEANS = EvaluateSettings(metrics="mse,mse_ratio,pearson_delta,retrieval_cosine")
SETTINGS = BenchmarkSettings(models=["ContextAdditive"], seeds=2)
KEYS = ["model", "split", "seed", "context", "perturbation", "metric"]


def ordered(metrics: pd.DataFrame) -> pd.DataFrame:
    return metrics.sort_values(KEYS).reset_index(drop=True)


@pytest.fixture(scope="module")
def data() -> PerturbationData:
    """2 contexts x (control, G1, G2)."""
    wanted, cells = ("control", "G1", "G2"), make_log1p()
    return cells.subset(c for c in cells.conditions() if c.context != "THP1" and c.perturbation in wanted)


def count_fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of every model that is built for fitting from now on, in order."""
    names: list[str] = []
    build = work.build_model

    def counting(name: str, settings: object = None) -> object:
        names.append(name)
        return build(name, settings)

    monkeypatch.setattr(work, "build_model", counting)
    return names


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As of `count_fits`."""
    return count_fits(monkeypatch)


@pytest.fixture(scope="module")
def finished(data: PerturbationData, tmp_path_factory: pytest.TempPathFactory) -> BenchmarkResult:
    """One benchmark for all tests that only read it; others take a copy of its folder."""
    with pytest.MonkeyPatch.context() as patch:
        names = count_fits(patch)
        result = go(data, tmp_path_factory.mktemp("benchmark") / "out")
    assert len(names) == 4 * 2 * 2
    return result


@pytest.fixture
def copied(finished: BenchmarkResult, tmp_path: Path) -> Path:
    """A copy of its folder."""
    return shutil.copytree(finished.folder, tmp_path / "out")


def go(data: PerturbationData, out: Path, settings: BenchmarkSettings = SETTINGS, **said: object) -> BenchmarkResult:
    return benchmark(data, settings, out, evaluation=MEANS, **said)


def test_every_model_split_and_seed_is_scored_on_every_condition(data: PerturbationData, finished: BenchmarkResult):
    metrics = read_table(finished.folder / "metrics.csv")
    assert list(metrics.columns) == ["model", "split", "seed", "context", "perturbation", "metric", "value"]
    models = metrics[~metrics["model"].str.contains("SplitHalf|InterpolatedDuplicate|wrong target")]
    assert set(models["model"]) == {"NoChange", "PerturbedMean", "SmoothedControls", "ContextAdditive"}
    tested = models.groupby(["model", "seed"])[["context", "perturbation"]].apply(
        lambda rows: len(rows.drop_duplicates())
    )
    assert (tested == 2 * 2).all()
    assert not models.duplicated(KEYS).any()
    assert finished.record["data"]["hash"] == data.fingerprint()
    assert {"SplitHalf", "InterpolatedDuplicate", "ContextAdditive (wrong target)"} <= set(metrics["model"])


def test_no_change_scores_what_numpy_says(data: PerturbationData, finished: BenchmarkResult):
    metrics = finished.metrics
    x, obs = data.x.toarray(), data.adata.obs
    held_back = {name for split in make_splits(data) for name in split.cells[REFERENCE]}
    given = ~obs.index.isin(held_back) & (obs["perturbation"] == "control").to_numpy()
    for context, perturbation in (("K562", "G1"), ("RPE1", "G2")):
        here = (obs["context"] == context).to_numpy()
        real = x[here & (obs["perturbation"] == perturbation).to_numpy()].mean(axis=0)
        control = x[here & given].mean(axis=0)
        kept = np.array(data.genes) != perturbation
        rows = metrics.query("model == 'NoChange' and metric == 'mse' and seed == 1")
        found = rows[(rows["context"] == context) & (rows["perturbation"] == perturbation)]["value"].item()
        assert found == pytest.approx(np.square(real - control)[kept].mean(), rel=1e-4)


def test_finished_results_are_not_computed_again(
    data: PerturbationData, finished: BenchmarkResult, copied: Path, fitted: list[str]
):
    again = go(data, copied)
    assert fitted == []
    assert again.record["computed_now"] == 0
    pd.testing.assert_frame_equal(ordered(finished.metrics), ordered(again.metrics))


def test_killed_in_the_middle_it_goes_on_where_it_stopped(
    data: PerturbationData,
    finished: BenchmarkResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fitted: list[str],
):
    counting = work.build_model

    def killed(name: str, settings: object = None) -> object:
        if len(fitted) == 7:
            raise KeyboardInterrupt
        return counting(name, settings)

    with monkeypatch.context() as patch:
        patch.setattr(work, "build_model", killed)
        with pytest.raises(KeyboardInterrupt):
            go(data, tmp_path / "out")
    with pytest.raises(FileError, match="has not ended"):
        open_benchmark(tmp_path / "out")
    record = tmp_path / "out" / "benchmark.json"
    begun = record.read_text()
    record.write_text("{")
    with pytest.raises(FileError, match="is damaged"):
        open_benchmark(tmp_path / "out")
    record.write_text(begun)
    fitted.clear()
    resumed = go(data, tmp_path / "out")
    assert len(fitted) == 16 - 7
    pd.testing.assert_frame_equal(ordered(resumed.metrics), ordered(finished.metrics))
    pd.testing.assert_frame_equal(resumed.summary, finished.summary)


def test_a_calibration_that_was_killed_loses_one_repeat(
    data: PerturbationData, finished: BenchmarkResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    once, begun = work.split_half_once, list[int]()

    def counting(real: Reference, repeat: int, **said: Any) -> pd.DataFrame:
        begun.append(repeat)
        if len(begun) == 5:
            raise KeyboardInterrupt
        return once(real, repeat, **said)

    monkeypatch.setattr(work, "split_half_once", counting)
    with pytest.raises(KeyboardInterrupt):
        go(data, tmp_path / "out")
    written = sorted((tmp_path / "out" / "results").iterdir())
    assert begun == [0, 1, 2, 3, 4]
    assert len(written) == 4
    written[1].write_bytes(written[1].read_bytes()[:100])  # what is damaged is computed again
    resumed = go(data, tmp_path / "out")
    assert begun[5:] == [1, *range(4, 10), *range(10)]  # then the other split
    for name in ("metrics.csv", "summary.csv", "differences.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (finished.folder / name).read_bytes()
    assert len(resumed.metrics) == len(finished.metrics)
    assert all(path.suffix == ".npz" for path in (tmp_path / "out" / "results").iterdir())


def test_a_damaged_result_is_computed_again(
    data: PerturbationData, finished: BenchmarkResult, copied: Path, fitted: list[str]
):
    victim = next((copied / "results").glob("ContextAdditive*.npz"))
    victim.write_bytes(victim.read_bytes()[:200])
    again = go(data, copied)
    assert fitted == ["ContextAdditive"]
    pd.testing.assert_frame_equal(ordered(finished.metrics), ordered(again.metrics))


def test_other_settings_need_another_folder_or_overwrite(
    data: PerturbationData, copied: Path, tmp_path: Path, fitted: list[str]
):
    more = replace(SETTINGS, seeds=3)
    with pytest.raises(SettingsError, match=r"other seeds: choose another --out, or use --overwrite"):
        go(data, copied, more)
    result = go(data, copied, more, overwrite=True)
    assert len(fitted) == 4 * 2
    assert set(result.metrics.query("model == 'NoChange'")["seed"]) == {0, 1, 2}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FileError, match="is not a benchmark"):
        go(data, tmp_path / "mine")


def test_a_model_that_does_not_apply_is_a_row_with_its_reason(data: PerturbationData, tmp_path: Path):
    one = data.subset(c for c in data.conditions() if c.is_control or c.perturbation == "G1")
    result = go(one, tmp_path / "out", BenchmarkSettings(models=["Bilinear"], seeds=1))
    skipped = read_table(tmp_path / "out" / "skipped.csv")
    assert set(skipped["model"]) == {"Bilinear"}
    assert len(skipped) == 2
    assert skipped["reason"].str.contains("Bilinear").all()
    assert not result.failed
    assert "Bilinear" not in set(result.metrics["model"])


def test_a_model_that_breaks_costs_its_own_results_alone(
    data: PerturbationData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fitted: list[str]
):
    counting = work.build_model

    def breaking(name: str, settings: object = None) -> object:
        if name == "ContextAdditive":
            msg = "a wheel came off"
            raise ZeroDivisionError(msg)
        return counting(name, settings)

    with monkeypatch.context() as patch:
        patch.setattr(work, "build_model", breaking)
        result = go(data, tmp_path / "out")
    assert {(f.model, f.seed) for f in result.failed} == {("ContextAdditive", 0), ("ContextAdditive", 1)}
    assert "a wheel came off" in result.failed[0].error
    assert {"NoChange", "PerturbedMean"} <= set(result.metrics["model"])
    fitted.clear()
    fixed = go(data, tmp_path / "out")
    assert set(fitted) == {"ContextAdditive"}
    assert not fixed.failed


@pytest.mark.cluster
def test_two_processes_find_what_one_finds(data: PerturbationData, finished: BenchmarkResult, tmp_path: Path):
    two = go(data, tmp_path / "two", replace(SETTINGS, jobs=2))
    pd.testing.assert_frame_equal(ordered(finished.metrics), ordered(two.metrics))
    reopened = open_benchmark(tmp_path / "two")
    pd.testing.assert_frame_equal(ordered(reopened.metrics), ordered(two.metrics))
    assert list(reopened.summary.columns) == list(two.summary.columns)


@pytest.mark.parametrize(
    ("settings", "near"),
    [
        ({"models": ["ContextAditive"]}, "ContextAdditive"),
        ({"split": ["unseen-contxt"]}, "unseen-context"),
        ({"model_settings": {"NoChang": {}}}, "NoChange"),
        ({"model_settings": {"NoChange": {"alpha": 1}}}, "alpha"),
    ],
)
def test_typos_name_the_nearest_before_anything_runs(
    data: PerturbationData, tmp_path: Path, settings: dict[str, object], near: str
):
    with pytest.raises(CycseqError, match=near):
        go(data, tmp_path / "out", BenchmarkSettings(**settings))
    assert not (tmp_path / "out").exists()


def test_a_setting_below_one_makes_no_sense():
    with pytest.raises(SettingsError, match="seeds is 0"):
        BenchmarkSettings(seeds=0)


def test_a_result_keeps_odd_names(tmp_path: Path):
    scores = pd.DataFrame(
        {"model": "M", "split": "s:CD14+ Mono", "seed": 0, "context": "CD14+ Mono", "perturbation": ["NA", 'a,"b"', "nan"],
         "metric": "mse", "value": [0.1, np.nan, -np.inf]}
    )  # fmt: skip
    conditions = tuple(Condition("CD14+ Mono", p) for p in scores["perturbation"])
    cell = Result("M", "s:CD14+ Mono", 0, scores, 1.5, "", conditions, np.ones((3, 4), dtype=np.float32))
    cell.write(tmp_path / "cell.npz")
    back = Result.read(tmp_path / "cell.npz")
    assert back is not None
    pd.testing.assert_frame_equal(back.scores, scores)
    assert back.conditions == conditions
    assert (back.means == 1).all()


def test_distances_between_cells_hardly_depend_on_which_controls_are_drawn():
    """44 real cells, 800 controls: draws of 44 cells vary, and all have the predicted mean, as no random cells would."""
    rng = np.random.default_rng(0)
    kinds = rng.normal(1.0, 0.8, (3, 50))  # three states of cells, so that a draw of few cells may miss one

    def cells(n: int, shift: float) -> np.ndarray:
        return np.log1p(rng.poisson(np.exp(kinds[rng.integers(0, 3, n)] + shift))).astype(np.float32)

    x = np.concatenate([cells(800, 0.0), cells(44, 1.0), cells(44, 0.5)])
    obs = pd.DataFrame({"context": "A", "perturbation": ["control"] * 800 + ["G1"] * 44 + ["G2"] * 44, "batch": "b"})
    adata = ad.AnnData(
        x, obs.set_index(obs.index.map("cell{}".format)), pd.DataFrame(index=[f"N{i}" for i in range(50)])
    )
    data = PerturbationData(adata, "log1p")
    real, controls = data.subset(c for c in data.conditions() if not c.is_control), data.controls()
    side = Reference.of(real, controls, settings=EvaluateSettings(metrics="edistance", components=10, max_cells=800))
    model = build_model("NoChange").fit(data)

    def of_draws(n_cells: int | None, seeds: int) -> np.ndarray:
        made = (
            predictions.concatenate(
                list(predictions.predict_conditions(model, controls, real, cells=n_cells, seed=seed))
            )
            for seed in range(seeds)
        )
        tables = [evaluate(predicted, side) for predicted in made]
        return np.array([table.set_index("perturbation")["value"]["G1"] for table in tables])

    before, now, expected = of_draws(44, 20), of_draws(None, 20), of_draws(800, 1)[0]
    assert now.std() < 0.3 * before.std()
    assert abs(now.mean() - expected) < 0.01 * expected
    assert before.mean() < expected - 3 * before.std() / np.sqrt(20)


def test_predicted_cells_are_bounded(data: PerturbationData, monkeypatch: pytest.MonkeyPatch):
    real = data.subset(c for c in data.conditions() if c.context == "K562" and not c.is_control)
    model, controls = build_model("NoChange").fit(data), data.controls(["K562"])
    few = real.take(np.concatenate([real.rows(c)[:10] for c in real.conditions()]))
    assert set(
        predictions.concatenate(
            list(predictions.predict_conditions(model, controls, few, cells=None, seed=0))
        ).moments.n_cells
    ) == {controls.n_cells}
    assert set(
        predictions.concatenate(
            list(predictions.predict_conditions(model, controls, few, cells=7, seed=0))
        ).moments.n_cells
    ) == {7}
    monkeypatch.setattr(predictions, "MAX_VALUES", 20 * 2 * len(data.genes))
    assert set(
        predictions.concatenate(
            list(predictions.predict_conditions(model, controls, few, cells=None, seed=0))
        ).moments.n_cells
    ) == {20}
    monkeypatch.setattr(predictions, "MAX_VALUES", 0)
    assert set(
        predictions.concatenate(
            list(predictions.predict_conditions(model, controls, few, cells=None, seed=0))
        ).moments.n_cells
    ) == {10}
