"""The table of `evaluate`, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError, SettingsError
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import responses
from cycseq.score import evaluate as evaluation_module
from cycseq.score.evaluate import COLUMNS, evaluate
from cycseq.score.metrics import GROUPS, HEADLINE, chosen
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings

MEANS = EvaluateSettings(metrics="means")
SOME = EvaluateSettings(metrics="mse,r2_delta_top20,retrieval_cosine,edistance,edistance_genes,mmd,deg_auprc")


def predicted_from(data: PerturbationData, seed: int = 0) -> PerturbationData:
    """Other cells of the same conditions: half of the real values of a shuffled context, so that nothing is perfect."""
    rng = np.random.default_rng(seed)
    x = data.x.toarray() * rng.uniform(0.7, 1.0, len(data.genes)).astype(np.float32)
    obs = data.adata.obs.copy()
    obs.index = [f"predicted/{i}" for i in range(len(obs))]
    return PerturbationData(ad.AnnData(x, obs=obs, var=data.adata.var.copy()), "log1p")


def test_tidy_table(small_data: PerturbationData) -> None:
    table = evaluate(predicted_from(small_data), small_data, settings=MEANS, model="M", split="s:K562", seed=3)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 3 * 4 * len(GROUPS["means"])
    assert not table.duplicated(["context", "perturbation", "metric"]).any()
    assert set(table["metric"]) == set(GROUPS["means"])
    assert set(table["perturbation"]) == {"G1", "G2", "G3", "G1+G2"}
    assert table[["model", "split", "seed"]].drop_duplicates().to_numpy().tolist() == [["M", "s:K562", 3]]
    assert table["value"].notna().mean() > 0.8


def test_one_condition_scores_what_it_scores_among_others(small_data: PerturbationData) -> None:
    predicted = predicted_from(small_data)
    keys = ["context", "perturbation", "metric"]
    whole = evaluate(predicted, small_data, settings=SOME).set_index(keys)["value"]
    alone = evaluate(predicted.subset([Condition("RPE1", "G1")]), small_data, settings=SOME)
    np.testing.assert_allclose(alone["value"], whole[pd.MultiIndex.from_frame(alone[keys])], rtol=1e-5, atol=1e-7)
    assert "were not predicted" in alone.attrs["notes"][-1]


def test_blocks_of_conditions_change_nothing(small_data: PerturbationData, monkeypatch: pytest.MonkeyPatch) -> None:
    predicted = predicted_from(small_data)
    whole = evaluate(predicted, small_data, settings=SOME)
    monkeypatch.setattr(evaluation_module, "DENSE_VALUES", 1)
    pd.testing.assert_frame_equal(evaluate(predicted, small_data, settings=SOME), whole, rtol=1e-6)


def test_real_side_is_the_same_as_its_data(small_data: PerturbationData) -> None:
    train = small_data.subset(c for c in small_data.conditions() if c.context != "K562" or c.is_control)
    real = small_data.subset(c for c in small_data.conditions() if c.context == "K562" and not c.is_control)
    predicted, measured = predicted_from(real), responses(train)
    side = Reference.of(real, train.controls(), training=measured, settings=MEANS)
    for _ in range(2):
        pd.testing.assert_frame_equal(
            evaluate(predicted, side), evaluate(predicted, real, train.controls(), training=measured, settings=MEANS)
        )


def test_mu_all_comes_from_training(small_data: PerturbationData) -> None:
    test = [Condition("K562", "G1")]
    train = small_data.subset(c for c in small_data.conditions() if c not in test)
    measured = responses(train)
    real = small_data.subset(test)
    inside = [i for i, c in enumerate(measured.conditions) if c.context == "K562"]
    control = train.controls(["K562"]).x.toarray().mean(0)
    side = Reference.of(real, train.controls(), training=measured, settings=MEANS)
    expected = np.maximum(control + measured.delta[inside].mean(0), 0)
    np.testing.assert_allclose(side.contexts["K562"].mean_perturbed[0], expected, atol=1e-6)
    elsewhere = [i for i, c in enumerate(measured.conditions) if c.context != "K562"]

    def only(places: list[int]) -> object:
        conditions = tuple(measured.conditions[i] for i in places)
        given = replace(
            measured,
            conditions=conditions,
            delta=measured.delta[places],
            noise=measured.noise[places],
            n_cells=measured.n_cells[places],
        )
        return Reference.of(real, train.controls(), training=given, settings=MEANS).contexts["K562"].mean_perturbed

    expected = np.maximum(control + measured.delta[elsewhere].mean(0), 0)
    np.testing.assert_allclose(np.asarray(only(elsewhere))[0], expected, atol=1e-6)
    one = [i for i, c in enumerate(measured.conditions) if c.perturbation == "G2"]
    assert only(one) is None


def test_the_reference_is_what_the_perturbed_mean_predicts(small_data: PerturbationData) -> None:
    measured = responses(small_data)
    side = Reference.of(small_data, training=measured, settings=MEANS)
    context = side.contexts["THP1"]
    own = context.perturbations.index("G3")
    learnt = [i for i, c in enumerate(measured.conditions) if c.context == "THP1"]
    expected = np.maximum(context.control_mean + measured.delta[learnt].mean(0), 0)
    np.testing.assert_allclose(context.mean_perturbed[own], expected, atol=1e-6)
    assert not any("mu_all" in note for note in side.notes)


def test_without_training_the_table_says_what_stood_in(small_data: PerturbationData) -> None:
    table = evaluate(predicted_from(small_data), small_data, settings=MEANS)
    assert "other real perturbations" in table.attrs["notes"][0]


def test_gene_order_is_put_right_and_extra_genes_are_noted(small_data: PerturbationData) -> None:
    predicted = predicted_from(small_data)
    shuffled = predicted.with_genes(predicted.genes[::-1])
    pd.testing.assert_frame_equal(
        evaluate(shuffled, small_data, settings=MEANS), evaluate(predicted, small_data, settings=MEANS), rtol=1e-6
    )
    fewer = small_data.with_genes(small_data.genes[5:])
    assert "5 predicted genes" in evaluate(predicted, fewer, settings=MEANS).attrs["notes"][-1]


def test_perturbed_genes_are_left_out_unless_kept(small_data: PerturbationData) -> None:
    predicted = predicted_from(small_data)
    wrong = predicted.adata.copy()
    wrong.X[:, 0] += 3.0  # G1
    wrong = PerturbationData(wrong, "log1p")

    def mse(data: PerturbationData, *, keep: bool) -> pd.Series:
        table = evaluate(data, small_data, settings=EvaluateSettings(metrics="mse,edistance_genes", keep_target=keep))
        return table.set_index(["perturbation", "context", "metric"])["value"]

    left_out, kept = mse(wrong, keep=False), mse(wrong, keep=True)
    np.testing.assert_allclose(left_out["G1"], mse(predicted, keep=False)["G1"], rtol=1e-6)
    assert (left_out["G2"] > mse(predicted, keep=False)["G2"]).all()
    assert (kept["G1"] > left_out["G1"]).all()


def test_groups_and_typos() -> None:
    assert [metric.name for metric in chosen(["headline"])] == [name for name in GROUPS["all"] if name in HEADLINE]
    assert [metric.name for metric in chosen("mse, mae")] == ["mae", "mse"]
    with pytest.raises(SettingsError, match="did you mean 'edistance'"):
        chosen("edistence")


def without(data: PerturbationData, **changes: object) -> PerturbationData:
    return replace(data, **changes)  # type: ignore[arg-type]


def test_counts_are_taken_as_log1p_on_either_side() -> None:
    counts = simulate(SimulateSettings(contexts=2, perturbations=3, cells=400, genes=50))
    assert counts.scale == "counts"
    log1p = as_log1p(counts)
    expected = evaluate(predicted_from(log1p), log1p, log1p.controls(), settings=MEANS)
    pd.testing.assert_frame_equal(evaluate(predicted_from(log1p), counts, counts.controls(), settings=MEANS), expected)
    same = evaluate(counts, log1p, settings=MEANS)
    pd.testing.assert_frame_equal(same, evaluate(log1p, log1p, settings=MEANS))


def test_bad_input_is_named(small_data: PerturbationData) -> None:
    predicted = predicted_from(small_data)
    perturbed = small_data.subset(c for c in small_data.conditions() if not c.is_control)
    with pytest.raises(DataError, match=r"lack 2 of the 60 real genes \(G1, G2\)"):
        evaluate(predicted.with_genes(predicted.genes[2:]), small_data)
    with pytest.raises(DataError, match=r"predicted cells\) needs log1p values, but the data are scaled"):
        evaluate(without(predicted, scale="scaled"), small_data)
    with pytest.raises(DataError, match=r"real cells\) needs log1p"):
        evaluate(predicted, without(small_data, scale="scaled"))
    with pytest.raises(DataError, match="no control cells among the real ones"):
        evaluate(predicted, perturbed)
    with pytest.raises(DataError, match="no control cells in context 'RPE1'"):
        evaluate(predicted, perturbed, small_data.controls(["K562", "THP1"]))
    with pytest.raises(DataError, match="only control cells among the predicted"):
        evaluate(predicted.controls(), small_data)
    with pytest.raises(DataError, match="only control cells among the real"):
        evaluate(predicted, small_data.controls())
    with pytest.raises(DataError, match="'K562:G2': did you mean 'K562:G3'"):
        evaluate(predicted, small_data.subset(c for c in small_data.conditions() if c.perturbation != "G2"))
    with pytest.raises(DataError, match=r"no condition in common: predicted are K562:G1.*real are RPE1:G1"):
        evaluate(
            predicted.subset([Condition("K562", "G1")]),
            small_data.subset(c for c in small_data.conditions() if c.context == "RPE1"),
        )
    broken = predicted.adata.copy()
    broken.X[3, 4] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        evaluate(PerturbationData(broken, "log1p"), small_data)
    with pytest.raises(DataError, match="training responses have 55 genes"):
        Reference.of(small_data, training=responses(small_data.with_genes(small_data.genes[5:])))


def test_a_condition_of_one_cell_is_undefined_not_broken(small_data: PerturbationData) -> None:
    one = small_data.rows(Condition("K562", "G1"))
    data = small_data.take(np.setdiff1d(np.arange(small_data.n_cells), one[1:]))
    table = evaluate(predicted_from(small_data), data)
    lone = table[(table["context"] == "K562") & (table["perturbation"] == "G1")].set_index("metric")["value"]
    assert lone[["edistance", "wmse", "c2st_auc", "gene_correlation_error"]].isna().all()
    assert lone[["mse", "pearson_delta", "zero_fraction_error"]].notna().all()
