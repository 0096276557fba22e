"""The six members of the challenge against their formulas, written out anew, and what `evaluate` makes of them."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu

from challenge_panel import PANELS, make_panel
from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.cli import SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.score.ceiling import SPLIT_HALF
from cycseq.score.challenge.evaluate import evaluate_counts
from cycseq.score.challenge.rows import WHOLE
from cycseq.score.challenge.scale import MEAN_RESPONSE, ChallengeScale
from cycseq.score.metrics.challenge import CHALLENGE, POOLED, profiles
from cycseq.score.settings import EvaluateSettings
from cycseq.split.settings import SplitSettings

RECORDED = {
    "pds_cosine": 1.0,
    "expr_mse_unbiased_capped_norm": 0.3628389137888448,
    "direction_fidelity_yield": 0.7092421471919149,
    "direction_reach": 0.8758162002056548,
    "sig_jaccard": 0.3606218679150179,
    "lfc_nmae": 0.5137454418341107,
}
"""Of the plain panel, by cell-eval2 0.20.0 with its scanpy route."""


def dense(data: PerturbationData, perturbation: str) -> np.ndarray:
    return data.adata[(data.adata.obs["perturbation"] == perturbation).to_numpy()].X.toarray().astype(np.float64)


def log_bulk(sums: np.ndarray, totals: np.ndarray) -> np.ndarray:
    return np.log1p(5e4 * sums / np.where(totals > 0, totals, 1.0)[..., None]) * (totals > 0)[..., None]


def side_of(cells: np.ndarray, control: np.ndarray) -> dict[str, np.ndarray]:
    """Everything of one condition from its dense counts, gene by gene."""
    n, totals = len(cells), cells.sum(axis=1)
    left_out = log_bulk(cells.sum(axis=0) - cells, totals.sum() - totals)
    cpm, control_cpm = (1e6 * x / x.sum(axis=1, keepdims=True) for x in (cells, control))
    tested = control_cpm.mean(axis=0) > 5
    p = np.full(cells.shape[1], np.nan)
    p[tested] = np.nan_to_num(
        mannwhitneyu(cpm[:, tested], control_cpm[:, tested], use_continuity=False, method="asymptotic").pvalue, nan=1.0
    )
    adjusted = p.copy()
    adjusted[tested] = false_discovery_control(p[tested])
    lfc = np.log2((cpm.mean(axis=0) + 1e-9) / (control_cpm.mean(axis=0) + 1e-9))
    bulk = log_bulk(cells.sum(axis=0)[None], totals.sum(keepdims=True))[0]
    variance = (n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum()
    return {"bulk": bulk, "c": variance, "p": p, "adjusted": adjusted, "lfc": np.where(tested, lfc, np.nan)}


def by_hand(predicted: PerturbationData, real: PerturbationData) -> dict[str, list[float]]:
    """The members, perturbation by perturbation, as challenge.md has them."""
    control = dense(real, "control")
    b0, c0 = (side_of(control, control)[key] for key in ("bulk", "c"))
    names, genes = list(real.perturbations), np.array(real.genes)
    pairs = [[side_of(dense(data, name), control) for data in (predicted, real)] for name in names]
    panel = ~np.isin(genes, names)
    values: dict[str, list[float]] = {name: [] for name in CHALLENGE}
    n_genes = len(genes) - 1
    claims = np.array([min(p["c"], r["c"]) / n_genes for p, r in pairs])
    bulks = np.where(genes[None] == np.array(names)[:, None], np.nan, [p["bulk"] for p, _ in pairs])
    credit = min(
        1.0, ((bulks - np.nanmean(bulks, axis=0)) ** 2 / n_genes)[:, :].sum(where=~np.isnan(bulks)) / claims.sum()
    )
    effects = []
    for i, (name, (p, r)) in enumerate(zip(names, pairs, strict=True)):
        keep = genes != name
        a = (p["bulk"] - b0)[panel]
        distance = np.array(
            [
                1 - a @ (o["bulk"] - b0)[panel] / np.linalg.norm(a) / np.linalg.norm((o["bulk"] - b0)[panel])
                for _, o in pairs
            ]
        )
        k = (distance < distance[i]).sum() + ((distance == distance[i]).sum() - 1) / 2
        values["pds_cosine"].append(1 - k / (len(names) - 1))
        error = ((p["bulk"] - r["bulk"])[keep] ** 2).sum() - credit * min(p["c"], r["c"]) - r["c"]
        effects.append((((r["bulk"] - b0)[keep] ** 2).sum() - r["c"] - c0) / n_genes)
        values[POOLED].append(error / n_genes)
        called, calls = ((s["adjusted"] < 0.05) & keep for s in (p, r))
        right = np.sign(p["lfc"]) == np.sign(r["lfc"])
        values["direction_fidelity_yield"].append((called & right).sum() / max(called.sum(), calls.sum()))
        order = sorted(
            np.flatnonzero(calls),
            key=lambda g: (p["adjusted"][g] >= 0.05, p["adjusted"][g], p["p"][g], -abs(p["lfc"][g]), genes[g]),
        )
        prefixes = [n for n in range(1, len(order) + 1) if right[order[:n]].mean() >= 0.9]
        values["direction_reach"].append(max(prefixes, default=0) / calls.sum() if calls.sum() else np.nan)
        either = (called | calls).sum()
        values["sig_jaccard"].append((called & calls).sum() / either if either else 1.0)
        nmae = np.abs(p["lfc"] - r["lfc"])[calls].sum() / np.abs(r["lfc"])[calls].sum()
        values["lfc_nmae"].append(nmae if calls.sum() >= 10 else np.nan)
    values[POOLED] = [sum(values[POOLED]) / sum(effects)]
    return values


@pytest.mark.parametrize("name", ["plain", "deep"])
def test_members_are_their_formulas(name: str) -> None:
    predicted, real = make_panel(**PANELS[name]).data()
    ours, expected = evaluate_counts(predicted, real), by_hand(predicted, real)
    for metric in CHALLENGE:
        of_metric = ours[ours["metric"] == metric]
        np.testing.assert_allclose(of_metric["value"], expected[metric], rtol=1e-9, atol=1e-12, err_msg=metric)
        assert list(of_metric["perturbation"]) == ([WHOLE] if metric == POOLED else list(real.perturbations))


def test_values_of_the_real_tool() -> None:
    ours = evaluate_counts(*make_panel().data()).groupby("metric")["value"].mean()
    for metric, value in RECORDED.items():
        assert ours[metric] == pytest.approx(value, abs=1e-6)


def test_real_cells_of_another_draw_score_best_and_control_cells_worst() -> None:
    predicted, real = make_panel(cells=120).data()
    rng = np.random.default_rng(0)
    half = rng.random(real.n_cells) < 0.5
    perturbed = real.take(half).subset(c for c in real.conditions() if not c.is_control)
    rest = real.take(~half)
    controls = real.controls()
    like_control = perturbed.adata.copy()
    like_control.X = controls.x[rng.integers(0, controls.n_cells, perturbed.n_cells)]
    means = pd.DataFrame(
        {
            which: evaluate_counts(one, rest).groupby("metric")["value"].mean()
            for which, one in (
                ("half", perturbed),
                ("model", predicted),
                ("control", PerturbationData(like_control, "counts")),
            )
        }
    )
    for metric in ("direction_fidelity_yield", "direction_reach", "sig_jaccard"):
        assert means.loc[metric, "half"] > means.loc[metric, "model"] > means.loc[metric, "control"]
    for metric in (POOLED, "lfc_nmae"):
        assert means.loc[metric, "half"] < means.loc[metric, "model"] < means.loc[metric, "control"]
    assert means.loc[POOLED, "half"] < 0.2
    assert means.loc[POOLED, "control"] == pytest.approx(1.0, abs=0.15)
    assert means.loc["pds_cosine", "control"] == pytest.approx(0.5, abs=0.25)


def test_evaluate_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = make_panel(perturbations=4, cells=30, controls=60)
    panel.real.write_h5ad(tmp_path / "real.h5ad")
    panel.predicted.write_h5ad(tmp_path / "pred.h5ad")
    sides = ["--predicted", str(tmp_path / "pred.h5ad"), "--real", str(tmp_path / "real.h5ad")]
    keys = ["--perturbation-key", "target", "--control", "non-targeting"]
    scale = ["--challenge-scale", str(tmp_path / "scale.json")]
    command = ["evaluate", *sides, *keys, "--metrics", "vcc2026", *scale, "--out", str(tmp_path / "m.csv")]
    assert main(command) == SUCCESS
    table = pd.read_csv(tmp_path / "m.csv")
    assert set(table["metric"]) == set(CHALLENGE)
    assert table[table["metric"] == POOLED]["perturbation"].tolist() == [WHOLE]
    assert (table.groupby("metric").size().drop(POOLED) == 4).all()
    said = capsys.readouterr().out
    assert "log1p" not in said
    assert "score of the challenge" in said
    ends = (tmp_path / "scale.json").read_text()
    assert main([*command, "--overwrite", "true"]) == SUCCESS
    assert (tmp_path / "scale.json").read_text() == ends
    (tmp_path / "scale.json").write_text("{}")
    assert main([*command, "--overwrite", "true"]) == 2
    assert "is not a scale of rule 3" in capsys.readouterr().err


def test_scale_of_a_panel() -> None:
    """The values are cell-eval2's (`test_challenge_peers`); the mean response and half of the real cells score 0 and 1."""
    predicted, real = make_panel().data()
    scale = ChallengeScale()
    table = evaluate_counts(predicted, real, scale=scale)
    scores = scale.scores(table).set_index("metric")
    ends = pd.DataFrame({m: scale.ends["all"][m] for m in CHALLENGE}, index=["baseline", "replicate"]).T
    expected = [
        [0.4393939393939394, 1.0],
        [0.9644652086049411, -0.035768635045519484],
        [0.3834827485038265, 0.8972466887843662],
    ]
    expected += [
        [0.015188533688533687, 0.9990196078431373],
        [0.17989928620396614, 0.5847941911804695],
        [0.9308041023972842, 0.44874595451119187],
    ]
    np.testing.assert_allclose(ends, expected, atol=1e-6)
    value = table.groupby("metric")["value"].mean()
    whole = (value - ends["baseline"]) / (ends["replicate"] - ends["baseline"])
    np.testing.assert_allclose(scores["score"], whole[scores.index])
    made_up = pd.DataFrame({"model": "m", "context": "all", "metric": [POOLED, "lfc_nmae"], "value": [2.0, 9.0]})
    assert scale.scores(made_up)["score"].tolist() == [0.0, -6.0]


def test_stored_counts_score_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few groups at a time, in whatever order the file has its cells."""
    import dask.array as da

    monkeypatch.setattr(profiles, "CELLS_AT_ONCE", 50)
    sides = []
    for data in make_panel(perturbations=4, cells=30, controls=60).data():
        mixed = data.take(np.random.default_rng(0).permutation(data.n_cells))
        stored = mixed.adata.copy()
        stored.X = da.from_array(mixed.x, chunks=(37, len(mixed.genes)), asarray=False)
        sides.append((mixed, PerturbationData(stored, "counts")))
    in_memory, stored_table = (evaluate_counts(*pair) for pair in zip(*sides, strict=True))
    pd.testing.assert_frame_equal(stored_table, in_memory)


def test_log1p_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], small_data: PerturbationData) -> None:
    small_data.write(tmp_path / "real.h5ad")
    obs, var = small_data.adata.obs, small_data.adata.var
    other = ad.AnnData(small_data.x * np.float32(0.9), obs=obs, var=var)
    PerturbationData(other, "log1p").write(tmp_path / "pred.h5ad")
    sides = ["--predicted", str(tmp_path / "pred.h5ad"), "--real", str(tmp_path / "real.h5ad")]
    assert main(["evaluate", *sides, "--metrics", "vcc2026", "--out", str(tmp_path / "m.csv")]) == 2
    assert "the challenge scores counts, and the predicted cells are log1p" in capsys.readouterr().err


def test_benchmark_scores_models_on_the_scale(small_counts: ad.AnnData, tmp_path: Path) -> None:
    data = PerturbationData.from_anndata(small_counts)
    settings = BenchmarkSettings(models=["ContextAdditive"], split=["unseen-context"], seeds=1)
    evaluation = EvaluateSettings(metrics="vcc2026")
    result = benchmark(data, settings, tmp_path / "b", splitting=SplitSettings(context="K562"), evaluation=evaluation)
    assert not result.failed
    assert set(result.metrics["metric"]) == set(CHALLENGE)
    seeds = result.metrics[result.metrics["model"] == SPLIT_HALF]["seed"]
    assert set(seeds) == set(range(5))
    shares = result.metrics[result.metrics["metric"] == POOLED]
    assert WHOLE not in set(shares["perturbation"])  # its share of each perturbation, so that models are paired
    scale = ChallengeScale.of(result.metrics)
    assert set(scale.ends) == {"K562"}
    scores = scale.scores(result.metrics).groupby("model")["score"].mean()
    assert scores[MEAN_RESPONSE] == pytest.approx(0.0, abs=1e-12)
    assert scores["ContextAdditive"] > scores["NoChange"]
