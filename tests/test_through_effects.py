"""Effects go in, effects come out: fit, predict, evaluate and benchmark on tables without a single cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.condition import Condition
from cycseq.data.effects import Effects, EffectScale
from cycseq.errors import DataError, ModelError
from cycseq.formats.effects.read import read_effects
from cycseq.models import build_model
from cycseq.preparation.pseudobulk import effects_of
from cycseq.run.fitting import fit_run
from cycseq.run.scoring import evaluate_effects
from cycseq.score.ceiling import INTERPOLATED, SPLIT_HALF, split_half
from cycseq.score.certainty import certainty_of_effects
from cycseq.score.evaluate import evaluate
from cycseq.score.reference import effect_reference
from cycseq.score.settings import EvaluateSettings
from cycseq.show.report.page import write_report
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

GENES = [f"G{i}" for i in range(30)]
PERTURBATIONS = [f"P{i}" for i in range(8)]


def table(*, scale: str = "rank", se: float | None = None) -> Effects:
    """Three contexts that answer alike; G0 is measured in c0 nowhere."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=30), rng.normal(size=(8, 30))
    conditions = [Condition(f"c{i}", p) for i in range(3) for p in PERTURBATIONS]
    effect = np.array([common + own[PERTURBATIONS.index(c.perturbation)] for c in conditions])
    effect += 0.3 * rng.normal(size=effect.shape)
    effect[:8, 0] = np.nan
    layers = {} if se is None else {"se": np.where(np.isnan(effect), np.nan, se)}
    return Effects.from_arrays(effect, conditions, GENES, scale=scale, layers=layers)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table().write(tmp_path / "effects.h5ad")
    return tmp_path / "effects.h5ad"


def test_a_table_goes_through_every_command(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pairs.txt").write_text("c0:P1\nc0:P2\nc1:P3\nc2:P5\n")
    session = [
        f"split --data {path} --kind unseen-pair --test-conditions {tmp_path}/pairs.txt --out {tmp_path}/s.json",
        f"fit --data {path} --split {tmp_path}/s.json --model ContextAdditive --run {tmp_path}/run",
        f"predict --run {tmp_path}/run --conditions test --out {tmp_path}/p.h5ad",
        f"evaluate --predicted {tmp_path}/p.h5ad --real {path} --out {tmp_path}/m.csv",
    ]
    for words in session:
        assert main(words.split()) == SUCCESS, words
    out = capsys.readouterr().out
    assert "effects of 4 conditions x 30 genes, rank" in out
    assert "need a magnitude" in out
    predicted = read_effects(tmp_path / "p.h5ad")
    assert predicted.adata.obs[["context", "perturbation"]].to_numpy().tolist() == [
        ["c0", "P1"], ["c0", "P2"], ["c1", "P3"], ["c2", "P5"],
    ]  # fmt: skip
    assert predicted.provenance()["model"] == "ContextAdditive"
    assert len(predicted.provenance()["training"]) == 20
    scores = pd.read_csv(tmp_path / "m.csv").pivot_table(index="perturbation", columns="metric", values="value")
    assert not {"mse", "edistance", "amplitude", "r2_mean"} & set(scores)
    assert scores["mse_ratio"].max() < 0.2
    assert main(f"predict --run {tmp_path}/run --conditions c9:P1 --out {tmp_path}/c.h5ad".split()) == BAD_INPUT
    assert "no context among the effects 'c9'" in capsys.readouterr().err
    (tmp_path / "by_hand.json").write_text('{"kind": "unseen-pair", "train": [["c0", "P1"]], "test": [["c1", "P1"]]}')
    checked = f"split --data {path} --check {tmp_path}/by_hand.json --out {tmp_path}/checked.json"
    assert main(checked.split()) == SUCCESS
    assert "no leakage found" in capsys.readouterr().out
    assert main(f"predict --run {tmp_path}/run --as cells --out {tmp_path}/c.h5ad".split()) == BAD_INPUT
    assert "was fitted on effects, and there are no cells to predict from" in capsys.readouterr().err


def test_scores_are_those_of_a_few_lines_of_numpy() -> None:
    real = table()
    (split,) = make_splits(real, SplitSettings(kind="unseen-pair", context="c0", fraction=0.4))
    parts = split.effect_parts(real)
    model = build_model("PerturbedMean").fit_effects(parts.learnt)  # type: ignore[attr-defined]
    rng = np.random.default_rng(1)
    made = model.predict_effects(parts.test.conditions())
    noise = rng.normal(size=made.effect.shape)
    predicted = Effects.from_arrays(made.effect + noise, made.conditions(), GENES, scale="rank", uns={"model": "M"})
    scores = evaluate_effects(predicted, real, split=split)
    got = scores.pivot_table(index="perturbation", columns="metric", values="value")
    mean = model.predict_effects([split.test[0]]).effect[0].astype(float)[1:]
    inside = real.subset(c for c in real.conditions() if c.context == "c0")
    others = inside.effect.astype(float)[:, 1:]  # G0 was not measured there

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    for row, condition in enumerate(predicted.conditions()):
        ours = predicted.effect[row].astype(float)[1:]
        place = inside.conditions().index(condition)
        theirs, name = others[place], condition.perturbation
        assert got.loc[name, "mse_ratio"] == pytest.approx(((ours - theirs) ** 2).sum() / (theirs**2).sum(), rel=1e-5)
        assert got.loc[name, "pearson_delta"] == pytest.approx(np.corrcoef(ours, theirs)[0, 1], rel=1e-5)
        assert got.loc[name, "cosine_delta_specific"] == pytest.approx(cosine(ours - mean, theirs - mean), rel=1e-4)
        cosines = [cosine(ours - mean, other - mean) for other in others]
        rank = np.mean(np.delete(np.array(cosines), place) < cosines[place])
        assert got.loc[name, "retrieval_cosine_centred"] == pytest.approx(rank)


def test_metrics_are_left_out_by_what_they_need() -> None:
    rng = np.random.default_rng(2)
    for scale, se, there in (
        ("rank", None, {"mse_ratio", "cosine_delta"}),
        ("log1p", None, {"mse_ratio", "cosine_delta", "mse", "amplitude"}),
        ("log1p", 0.3, {"mse_ratio", "cosine_delta", "mse", "amplitude", "wmse", "mse_unbiased"}),
    ):
        real = table(scale=scale, se=se)
        predicted = Effects.from_arrays(rng.normal(size=(24, 30)), real.conditions(), GENES, scale=real.scale)
        metrics = set(evaluate(predicted, real)["metric"])
        looked_at = {"mse_ratio", "cosine_delta", "mse", "amplitude", "wmse", "mse_unbiased", "edistance", "r2_mean"}
        assert metrics & looked_at == there
    with pytest.raises(
        DataError, match=r"no metric is left: left out, as these are effects \(rank\): mse \(need a magn"
    ):
        evaluate(table(), table(), settings=EvaluateSettings(metrics="mse"))


def test_what_cannot_be_compared_is_refused() -> None:
    real = table()
    with pytest.raises(DataError, match="exactly the real ones"):
        evaluate_effects(real.subset(real.conditions()[:3]), real)
    other = Effects.from_arrays(np.ones((1, 30)), [Condition("c0", "P1")], GENES, scale="z")
    with pytest.raises(DataError, match="the predicted effects are z values and the real ones rank"):
        evaluate_effects(other, real)


def test_cells_and_effects_of_one_run_agree(small_data, tmp_path: Path) -> None:
    (split,) = make_splits(small_data, SplitSettings(kind="unseen-pair", context="K562"))
    small_data.write(tmp_path / "cells.h5ad")
    run = fit_run(small_data, split, build_model("Additive"), tmp_path / "run", data_path=tmp_path / "cells.h5ad")
    effects, cells = run.predict_effects(), run.predict()
    controls = split.parts(small_data).train.controls(["K562"])
    shift = cells.moments.mean - controls.moments.mean[0]
    wanted = np.maximum(effects.effect, -controls.moments.mean[0])
    order = [cells.conditions().index(c) for c in effects.conditions()]
    np.testing.assert_allclose(shift[order], wanted, atol=1e-5)
    table_path = tmp_path / "effects.h5ad"
    effects_of(small_data).write(table_path)
    data = read_effects(table_path)
    (of_effects,) = make_splits(data, SplitSettings(kind="unseen-pair", context="K562"))
    with pytest.raises(ModelError, match=r"learns from cells, and these are effects.*NoChange"):
        fit_run(data, of_effects, build_model("SmoothedControls"), tmp_path / "other")


def test_a_benchmark_of_effects_has_the_same_tables(tmp_path: Path) -> None:
    data = table()
    data.adata.obs["plate"] = [f"plate{c.perturbation[-1]}" for c in data.conditions()]
    settings = BenchmarkSettings(
        models=["ContextAdditive", "Bilinear"], split=["unseen-pair", "unseen-context"], seeds=1
    )
    result = benchmark(data, settings, tmp_path / "out")
    assert not result.failed
    assert set(result.skipped["model"]) == {"SmoothedControls", "Bilinear"}
    means = result.summary[result.summary["metric"] == "mse_ratio"].set_index(["split", "model"])["mean"]
    for kind in settings.split:
        assert means[kind, "ContextAdditive"] < means[kind, "PerturbedMean"] < means[kind, "NoChange"] == 1.0
    assert all("measured in the same plate" in split["warnings"][0] for split in result.record["splits"])
    page = write_report(tmp_path / "out").read_text()
    assert "There is no ceiling" in page
    assert "taken against the same controls before they were split" in page
    assert "held back from the models" not in page
    assert not any(split["shared_controls"] for split in result.record["splits"])
    assert "measured in the same plate as their perturbation in a training context" in page
    assert "The same is found in 3 of 3 splits." in page
    assert "ContextAdditive" in page


def test_effects_with_standard_errors_have_a_ceiling(tmp_path: Path) -> None:
    """Their noise is cut in two: halves agree as measurements of half the cells would."""
    rng = np.random.default_rng(1)
    truth, se = rng.normal(size=(12, 400)), 0.5
    conditions = [Condition("c0", f"P{i}") for i in range(12)]
    measured = truth + se * rng.normal(size=truth.shape)
    layers = {"se": np.where(np.arange(400) < 390, se, np.nan)[None].repeat(12, axis=0)}
    effects = Effects.from_arrays(
        measured, conditions, [f"G{i}" for i in range(400)], scale="log_fold_change", layers=layers
    )
    settings = EvaluateSettings(metrics=["pearson_delta", "mse_ratio"])
    halves = split_half(effect_reference(effects, None, settings), repeats=4)
    means = halves.groupby(["model", "metric"])["value"].mean()
    assert means[SPLIT_HALF, "pearson_delta"] == pytest.approx(1.0 / (1.0 + 2 * se**2), abs=0.02)
    assert means[SPLIT_HALF, "mse_ratio"] == pytest.approx(4 * se**2 / (1 + 2 * se**2), abs=0.03)
    assert means[INTERPOLATED, "mse_ratio"] < means[SPLIT_HALF, "mse_ratio"]
    result = benchmark(table(scale="log1p", se=0.3), BenchmarkSettings(models=["ContextAdditive"], split=["unseen-pair"], seeds=1), tmp_path / "out")  # fmt: skip
    assert result.summary["ceiling"].notna().any()
    assert "half of a measurement gets" in write_report(tmp_path / "out").read_text()


@pytest.mark.parametrize(("source", "scale", "unit"), [("data", "z", 1.0), ("model", "z", 1.0), ("data", "rank", 0.2)])
def test_intervals_of_effects_cover_as_often_as_they_say(source: str, scale: EffectScale, unit: float) -> None:
    """The noise of the measured effects is known from their standard errors, or learned by the model."""
    rng = np.random.default_rng(6)
    conditions = [Condition("c", f"P{i}") for i in range(60)]
    truth, sd, se = unit * rng.normal(size=(60, 30)), 0.4 * unit, np.full((60, 30), 0.3 * unit)
    predicted, measured = truth + sd * rng.normal(size=truth.shape), truth + se * rng.normal(size=truth.shape)
    layers = {"sd": np.full(truth.shape, sd), **({"noise_sd": se} if source == "model" else {})}
    made = Effects.from_arrays(predicted, conditions, GENES, scale=scale, layers=layers)
    real = Effects.from_arrays(measured, conditions, GENES, scale=scale, layers={"se": se} if source == "data" else {})
    coverage, reliability = certainty_of_effects(made, real)
    assert abs(coverage.set_index("stratum")["observed"]["all genes"] - 0.9) < 0.03
    away = (reliability["stated"] - reliability["observed"]).abs()
    assert away[reliability["n"] > 150].max() < 0.12
    assert reliability.groupby("event")["observed"].max().min() > 0.5  # scores that stay below 1 are large too
    unknown = Effects.from_arrays(predicted, conditions, GENES, scale=scale, layers={"sd": layers["sd"]})
    assert certainty_of_effects(unknown, real)[0].empty == (source == "model")


def test_commands_that_need_cells_say_so_of_effects(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs.txt").write_text("c0:P1\n")
    assert (
        main(
            f"split --data {path} --kind unseen-pair --test-conditions {tmp_path}/pairs.txt --out {tmp_path}/s.json".split()
        )
        == SUCCESS
    )
    tuned = f"tune --data {path} --split {tmp_path}/s.json --model Ridge --trials 1 --out {tmp_path}/t"
    assert main(tuned.split()) == BAD_INPUT
    assert "contains effects of conditions, but this command needs cells" in capsys.readouterr().err


def test_inspect_says_what_a_table_holds(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(path)]) == SUCCESS
    out = " ".join(capsys.readouterr().out.split())
    for words in (
        "effects of 24 conditions x 30 genes, rank values (without magnitude",
        "3 contexts: c0 (8), c1 (8), c2 (8)",
        "measured in two contexts or more: 8 of 8; in all: 8",
        "missing: 1.1% of the values; 29 of 30 genes are measured in every condition",
        "standard errors: unknown",
    ):
        assert words in out
    assert "warning" not in out
    conditions = [Condition(c, f"drug@{dose}@24h") for c in ("a", "b") for dose in ("100nM", "9nM")]
    dosed = Effects.from_arrays(np.ones((4, 2)), conditions, ["A", "B"], scale="z")
    dosed.adata.obs["plate"] = ["p1", "p2", "p1", "p3"]
    dosed.write(tmp_path / "dosed.h5ad")
    assert main(["inspect", str(tmp_path / "dosed.h5ad")]) == SUCCESS
    out = " ".join(capsys.readouterr().out.split())
    assert "2 doses: 9nM, 100nM" in out
    assert "1 time: 24 h" in out
    assert "warning: 2 of 4 conditions share their plate with the same perturbation in another context" in out


def test_a_posterior_becomes_effects_with_standard_deviations(small_data, tmp_path: Path) -> None:
    (split,) = make_splits(small_data, SplitSettings(kind="unseen-pair", context="K562"))
    small_data.write(tmp_path / "cells.h5ad")
    run = fit_run(
        small_data, split, build_model("ConditionKriging"), tmp_path / "run", data_path=tmp_path / "cells.h5ad"
    )
    effects = run.predict_effects()
    assert set(effects.conditions()) == set(split.test)
    assert (effects.layer("sd") > 0).all()
    assert np.isfinite(effects.effect).all()
