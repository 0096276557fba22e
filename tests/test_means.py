"""Models of means learn from effects alone: the same from cells and from tables, and what was not measured is never 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_of_measured, weighted_mean
from cycseq.data.effects import Effects
from cycseq.errors import ModelError
from cycseq.models import build_model, load_model
from cycseq.models.means import MeansModel
from cycseq.preparation.pseudobulk import effects_of

GENES = [f"G{i}" for i in range(8)]
NEEDS_NOTHING = ("NoChange", "PerturbedMean", "ContextAdditive", "Additive", "MatchingMean", "Ridge")
WITH_FEATURES = ("Bilinear", "NearestPerturbation")


def table(*, missing: bool = False, scale: str = "log1p") -> Effects:
    """Three contexts, four perturbations, nothing measured of c2:P3; with `missing`, G0 of c0 and G7 of all."""
    rng = np.random.default_rng(0)
    conditions = [Condition(f"c{i}", f"P{j}") for i in range(3) for j in range(4) if (i, j) != (2, 3)]
    effect = rng.normal(size=(len(conditions), len(GENES)))
    if missing:
        effect[[c.context == "c0" for c in conditions], 0] = np.nan
        effect[:, 7] = np.nan
    return Effects.from_arrays(effect, conditions, GENES, scale=scale)  # type: ignore[arg-type]


def fitted(name: str, effects: Effects, **settings: object) -> MeansModel:
    model = build_model(name, settings)
    assert isinstance(model, MeansModel)
    return model.fit_effects(effects)


@pytest.fixture
def features(tmp_path: Path) -> Path:
    rows = np.random.default_rng(1).normal(size=(4, 3))
    path = tmp_path / "features.csv"
    path.write_text("name,a,b,c\n" + "\n".join(f"P{j}," + ",".join(map(str, row)) for j, row in enumerate(rows)))
    return path


def test_means_look_at_what_was_measured_alone() -> None:
    values = np.array([[1.0, np.nan, 2.0], [3.0, 4.0, np.nan], [5.0, 6.0, np.nan]])
    np.testing.assert_allclose(mean_of_measured(values), [3.0, 5.0, 2.0])
    weighted = weighted_mean(np.array([[0.5, 0.25, 0.25]]), values)[0]
    np.testing.assert_allclose(weighted, [2.5, 5.0, 2.0])
    assert np.isnan(weighted_mean(np.array([[0.0, 0.5, 0.5]]), values)[0, 2])


@pytest.mark.parametrize("name", NEEDS_NOTHING)
def test_cells_and_their_effects_teach_the_same(name: str, small_data) -> None:
    wanted = [Condition("K562", "G1")]
    from_cells = build_model(name).fit(small_data)
    effects = effects_of(small_data)
    from_effects = fitted(name, effects)
    for key, array in from_cells.learned.arrays.items():
        np.testing.assert_array_equal(array, from_effects.learned.arrays[key])
    predicted = from_effects.predict_effects(wanted, effects.controls())
    cells = from_cells.predict(small_data.controls(), wanted)
    shift = cells.moments.mean[0] - effects.control_means()["K562"]
    np.testing.assert_allclose(shift, np.maximum(predicted.effect[0], -effects.control_means()["K562"]), atol=1e-5)


@pytest.mark.parametrize("name", [*NEEDS_NOTHING, *WITH_FEATURES])
def test_what_was_not_measured_is_never_zero(name: str, features: Path) -> None:
    settings = {"features": features} if name == "NearestPerturbation" else {}
    if name == "Bilinear":  # which finds components in mean expression
        with pytest.raises(ModelError, match="need the control means"):
            fitted(name, table())
        return
    wanted = [Condition("c2", "P3"), Condition("c0", "P1")]
    whole, holes = (fitted(name, table(missing=m), **settings).predict_effects(wanted).effect for m in (False, True))
    assert np.isnan(holes[:, 7]).all()
    assert np.isfinite(holes[:, :7]).all()
    if name in {"NoChange", "PerturbedMean", "Additive", "MatchingMean"}:  # the others choose a setting from all genes
        np.testing.assert_array_equal(holes[:, 1:7], whole[:, 1:7])
    if name == "ContextAdditive":
        others = table().subset([Condition("c1", "P3")]).effect[0, 0]
        model = fitted(name, table(missing=True), amplitude=1.0)
        assert model.predict_effects(wanted).effect[0, 0] == pytest.approx(others)  # c0 did not measure it


def test_a_ridge_with_holes_is_the_ridge_of_what_is_there() -> None:
    """Filled values tell nothing: each gene is as if its unmeasured conditions were left out."""
    train = table(missing=True)
    penalty, wanted = 1.0, [Condition("c2", "P3")]
    filled = fitted("Ridge", train, penalty=penalty).predict_effects(wanted).effect[0, 0]
    there = train.subset(c for c in train.conditions() if c.context != "c0")
    alone = fitted("Ridge", there, penalty=penalty).predict_effects(wanted).effect[0, 0]
    mean = mean_of_measured(train.effect)[0]
    assert abs(filled - alone) < 0.5 * abs(alone - mean)


def test_a_model_with_holes_is_saved_and_makes_no_cells(tmp_path: Path, small_data) -> None:
    effects = effects_of(small_data)
    effects.adata.X[:, 0] = np.nan
    wanted = [Condition("K562", "G1")]
    model = fitted("Additive", effects)
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert isinstance(again, MeansModel)
    np.testing.assert_array_equal(again.predict_effects(wanted).effect, model.predict_effects(wanted).effect)
    with pytest.raises(ModelError, match=r"has no prediction for 1 gene of 'K562:G1'.*--as effects"):
        model.predict(small_data.controls(), wanted)


def test_ranks_cannot_be_added_to_cells(small_data) -> None:
    effects = Effects(effects_of(small_data).adata, "rank")
    with pytest.raises(ModelError, match=r"rank values, which cannot be added to cells"):
        fitted("Additive", effects).predict(small_data.controls(), [Condition("K562", "G1")])


def test_weights_that_need_what_effects_do_not_have_are_refused() -> None:
    for weighting, lacking in (("cells", "numbers of cells"), ("nearness", "control profiles")):
        with pytest.raises(ModelError, match=f"needs {lacking}.*--model.weighting equal"):
            fitted("ContextAdditive", table(), weighting=weighting)
