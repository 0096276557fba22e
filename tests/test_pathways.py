"""Gene sets: reading them, and which of them move in a response; genes and coverage of a response."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import false_discovery_control, mannwhitneyu, norm, rankdata

from cycseq.cli import main
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.gene_mixture import GeneMixture
from cycseq.data.posterior import GenePosterior, attach_posterior
from cycseq.errors import CycseqError, DataError, FileError
from cycseq.matrix.arrays import to_dense
from cycseq.preparation.prepare import as_log1p
from cycseq.score.coverage import coverage, coverage_by_stratum, reliability
from cycseq.show import plots
from cycseq.show.interpretation.genes import differential
from cycseq.show.interpretation.pathways import pathway_scores, rank_test, read_gmt, set_deltas
from cycseq.show.interpretation.settings import PathwaySettings

K562 = Condition("K562", "G1")


def with_posterior(data: PerturbationData, mean: np.ndarray, sd: np.ndarray) -> PerturbationData:
    adata = data.adata.copy()
    conditions = [c for c in data.conditions() if not c.is_control]
    mean, sd = (np.tile(row, (len(conditions), 1)).astype(np.float32) for row in (mean, sd))
    mixture = GeneMixture.normal(mean, sd)
    attach_posterior(adata, conditions, GenePosterior(mean, sd, sd, mixture, np.ones(mean.shape, dtype=bool)))
    return PerturbationData(adata=adata, scale="log1p")


def test_gmt_is_read_with_each_gene_once(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("A\thttp://a\tG1\tG2\tG1\t\n\nB\t\tG3\n", encoding="utf-8")
    assert read_gmt(path) == {"A": ("G1", "G2"), "B": ("G3",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "holds no gene set"),
        (b"A\tword\n", "line 1: expected name, description and genes"),
        (b"A,word,G1\n", "line 1: expected name, description and genes"),
        (b"A\t\tG1\nA\t\tG2\n", "line 2: a second set is called 'A'"),
        (b"\xff\xfe\x00", "is not a GMT file"),
    ],
)
def test_a_bad_gmt_is_refused_in_one_line(tmp_path, text, said):
    path = tmp_path / "sets.gmt"
    path.write_bytes(text)
    with pytest.raises(FileError, match=said) as caught:
        read_gmt(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("decimals", [6, 0])
def test_without_correlation_the_rank_test_is_wilcoxons(decimals):
    rng = np.random.default_rng(0)
    statistic = np.round(rng.normal(0, 2, 300), decimals)  # rounded to whole numbers: many ties
    members = rng.choice(300, 40, replace=False)
    statistic[members] += 1
    others = np.setdiff1d(np.arange(300), members)
    ranks = rankdata(statistic)
    (z,), (p,) = rank_test(ranks[members].sum()[None], np.array([40]), ranks, 0.0)
    expected = mannwhitneyu(statistic[members], statistic[others], method="asymptotic")
    assert p == pytest.approx(expected.pvalue, rel=1e-9)
    assert z > 0


def test_correlation_holds_the_rank_test_to_its_level():
    """Genes of a set that share a factor: Wilcoxon's test is far too sure, the correlated one is not."""
    rng = np.random.default_rng(1)
    rho, n_sims, n, n1 = 0.1, 600, 400, 50
    statistic = rng.normal(size=(n_sims, n))
    statistic[:, :n1] = np.sqrt(1 - rho) * statistic[:, :n1] + np.sqrt(rho) * rng.normal(size=(n_sims, 1))
    level = {
        correlation: np.mean(
            [
                rank_test(ranks[:n1].sum()[None], np.array([n1]), ranks, correlation)[1][0] < 0.05
                for ranks in map(rankdata, statistic)
            ]
        )
        for correlation in (0.0, rho)
    }
    assert level[0.0] > 0.3
    assert 0.02 < level[rho] < 0.08


def test_the_set_that_moves_comes_first_and_its_numbers_are_those_of_the_cells(small_data):
    sets = {
        "moves": [f"G{i}" for i in range(11, 21)],  # what G1 moves
        "rests": [f"G{i}" for i in range(41, 61)],
        "few": ["G50", "G51"],
    }
    scores = pathway_scores(small_data, sets)
    here = scores[(scores["context"] == "K562") & (scores["perturbation"] == "G1")]
    assert list(here["pathway"]) == ["moves", "rests"]
    mean = {c: small_data.cells(c).mean(axis=0, dtype=np.float64) for c in (K562, Condition("K562", "control"))}
    delta = mean[K562] - mean[Condition("K562", "control")]
    first = here.iloc[0]
    assert first["mean_delta"] == pytest.approx(delta[10:20].mean(), abs=1e-4)
    assert np.sign(first["z"]) == np.sign(first["mean_delta"])
    assert first["n_genes"] == 10
    best = max(range(10, 20), key=lambda i: delta[i] * np.sign(first["z"]))
    assert first["leading_genes"].split(";")[0] == f"G{best + 1}"
    np.testing.assert_allclose(here["p_adjusted"], false_discovery_control(here["p"]))
    np.testing.assert_allclose(set_deltas(small_data, scores, sets), scores["mean_delta"], atol=1e-5)


def naive_scores(data, condition, sets, correlation):
    """One set after another, gene by gene."""
    means = {c: data.moments.mean[i] for i, c in enumerate(data.conditions())}
    delta = (means[condition] - means[Condition(condition.context, "control")]).astype(np.float32)
    genes = [i for i in range(len(data.genes)) if data.genes[i] not in condition.parts]
    ranks = dict(zip(genes, rankdata(delta[genes]), strict=True))
    n, rows = len(genes), []
    counts = np.unique(list(ranks.values()), return_counts=True)[1].astype(float)
    tied = 1 - (counts * (counts**2 - 1)).sum() / (n * (n**2 - 1.0))
    for name, of_set in sets.items():
        members = [i for i in genes if data.genes[i] in of_set]
        n1, n2 = len(members), n - len(members)
        if not 5 <= n1 < n:
            continue
        a, r = np.arcsin, correlation
        variance = (
            a(1.0) * n1 * n2 + a(0.5) * n1 * n2 * (n2 - 1)
            + a(r / 2) * n1 * (n1 - 1) * n2 * (n2 - 1) + a((r + 1) / 2) * n1 * (n1 - 1) * n2
        ) / (2 * np.pi) * tied  # fmt: skip
        off = sum(ranks[i] for i in members) - n1 * (n1 + 1) / 2 - n1 * n2 / 2
        z = np.sign(off) * max(abs(off) - 0.5, 0.0) / np.sqrt(variance)
        first = sorted(members, key=lambda i: (-(np.sign(z) or 1.0) * delta[i], i))[:5]
        mean = float(np.mean([float(delta[i]) for i in members]))
        rows.append((name, n1, mean, z, 2 * norm.sf(abs(z)), ";".join(data.genes[i] for i in first)))
    columns = ["pathway", "n_genes", "mean_delta", "z", "p", "leading_genes"]
    return pd.DataFrame(rows, columns=columns).sort_values(["p", "pathway"], ignore_index=True)


def test_all_sets_at_once_are_as_one_after_another(small_data):
    rng = np.random.default_rng(0)
    names = [*small_data.genes, "absent1", "absent2"]
    sets = {f"S{i:03d}": list(rng.choice(names, rng.integers(1, 40))) for i in range(200)}
    scores = pathway_scores(small_data, sets)
    for condition in (K562, Condition("K562", "G1+G2")):
        here = scores[(scores["context"] == "K562") & (scores["perturbation"] == condition.perturbation)]
        expected = naive_scores(small_data, condition, sets, 0.01)
        pd.testing.assert_frame_equal(
            here[list(expected)].reset_index(drop=True), expected, check_dtype=False, rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(here["p_adjusted"], false_discovery_control(here["p"]))
        np.testing.assert_allclose(set_deltas(small_data, here, sets), here["mean_delta"], atol=1e-6)


def test_perturbed_genes_take_no_part(small_data):
    sets = {"with target": [f"G{i}" for i in range(1, 11)]}
    scores = pathway_scores(small_data, sets).set_index("perturbation")
    assert set(scores.loc[["G1", "G3"], "n_genes"]) == {9}
    assert set(scores.loc["G1+G2", "n_genes"]) == {8}


def test_genes_are_ranked_by_how_sure_the_model_is(small_data):
    """A large mean with a larger standard deviation counts for less than a small, sure one."""
    predicted = small_data.subset([K562])
    mean, sd = np.zeros(60), np.ones(60)
    mean[10:20], sd[10:20] = 5.0, 50.0
    mean[30:40], sd[30:40] = 0.5, 0.1
    scores = pathway_scores(
        with_posterior(predicted, mean, sd),
        {"unsure": [f"G{i}" for i in range(11, 21)], "sure": [f"G{i}" for i in range(31, 41)]},
    ).set_index("pathway")
    assert scores.loc["sure", "z"] > scores.loc["unsure", "z"] > 0
    assert scores.loc["unsure", "mean_delta"] == pytest.approx(5.0)


def test_pathways_say_what_is_missing(small_data):
    with pytest.raises(DataError, match="no gene set has 5 genes among those of the data: the data have G1"):
        pathway_scores(small_data, {"mouse": ["Actb", "Gapdh"]})
    with pytest.raises(DataError, match=r"no control cells of K562 .* --real FILE"):
        pathway_scores(small_data.subset([K562]), {"a": [f"G{i}" for i in range(9, 20)]})
    with pytest.raises(CycseqError, match="--fewest"):
        PathwaySettings(fewest=0)


def test_differential_genes_are_those_of_scipy(small_data):
    table = differential(small_data, K562)
    one, other = small_data.cells(K562), small_data.cells(Condition("K562", "control"))
    p = mannwhitneyu(one, other, axis=0, method="asymptotic").pvalue
    np.testing.assert_allclose(table["p_adjusted"], false_discovery_control(p), rtol=1e-3)
    np.testing.assert_allclose(table["delta"], one.mean(axis=0) - other.mean(axis=0), atol=1e-4)
    predicted = with_posterior(small_data.subset([K562]), np.linspace(-1, 1, 60), np.full(60, 0.3))
    expected = false_discovery_control(2 * norm.sf(np.abs(np.linspace(-1, 1, 60)) / 0.3))
    np.testing.assert_allclose(differential(predicted, K562)["p_adjusted"], expected, rtol=1e-3)


def test_coverage_counts_real_deltas_inside_the_interval(small_data):
    predicted = small_data.subset([K562])
    x, control = (to_dense(small_data.cells(c)) for c in (K562, Condition("K562", "control")))
    delta = x.mean(axis=0) - control.mean(axis=0)
    none = with_posterior(predicted, delta, np.zeros(60))
    assert (coverage(none, small_data)["observed"] == 1.0).all()
    far = with_posterior(predicted, delta + 100, np.ones(60))
    table = coverage(far, small_data)
    assert (table["observed"] == 0.0).all()
    assert list(table.columns) == ["context", "nominal", "observed", "n"]
    with pytest.raises(DataError, match="no predicted condition is among the real ones"):
        coverage(none, small_data.subset(c for c in small_data.conditions() if c.context != "K562"))
    ax = plots.calibration_curve(table, ax=Figure().add_subplot())
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 0.0)


def test_a_stated_probability_is_held_against_what_happens(small_data):
    """Truths drawn from the stated mixture: every bin is right, and nine of ten intervals hold them; shifted ones are not."""
    rng = np.random.default_rng(0)
    predicted = small_data.subset([K562])
    mean, sd = np.linspace(-1, 1, 60), np.full(60, 0.5)
    inside, tables = [], {"right": [], "wrong": []}
    for _ in range(60):
        drawn = rng.normal(mean, sd)
        stated = with_posterior(predicted, mean, sd)
        by_stratum = coverage_by_stratum(stated, small_data, truth={K562: drawn}).set_index("stratum")
        inside.append(by_stratum.loc["true response", "observed"])
        for name, truth in (("right", drawn), ("wrong", -drawn)):
            tables[name].append(reliability(stated, small_data, truth={K562: truth}, fewest=1))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)
    assert {"all genes", "true response", "true response, responding genes"} <= set(by_stratum.index)
    gaps = {}
    for name, found in tables.items():
        table = pd.concat(found)
        table = table[table["event"] == "above 0"]
        gaps[name] = np.average(
            (table["observed"] - table["stated"]) * np.sign(table["stated"] - 0.5), weights=table["n"]
        )
    ax = plots.reliability_curve(table, ax=Figure().add_subplot())
    assert len(ax.lines) == 2
    assert abs(gaps["right"]) < 0.03
    assert gaps["wrong"] < -0.3


def test_pathway_figures_show_the_surest_sets(small_data):
    sets = {f"S{i}": [f"G{j}" for j in range(10 * i + 1, 10 * i + 11)] for i in range(6)}
    scores = pathway_scores(small_data, sets)
    ax = plots.pathways(scores, n=4, ax=Figure().add_subplot())
    assert len(ax.get_yticklabels()) == 4
    assert len(ax.get_xticklabels()) == 12
    one = scores[(scores["context"] == "K562") & (scores["perturbation"] == "G1")]
    ax = plots.pathways(one, n=3, ax=Figure().add_subplot())
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert set(shown) == set(one["pathway"].iloc[:3])
    assert list(ax.collections[1].get_offsets()[:, 0]) == sorted(one["z"].iloc[:3], reverse=True)


def test_the_command_writes_table_and_figure(small_data, tmp_path, capsys):
    data, gmt, out, plot = (tmp_path / name for name in ("data.h5ad", "sets.gmt", "out.csv", "out.png"))
    small_data.write(data)
    genes = "\t".join(f"G{i}" for i in range(11, 21))
    gmt.write_text(f"MOVES\t\t{genes}\n", encoding="utf-8")
    words = ["pathways", "--predicted", str(data), "--gmt", str(gmt), "--out", str(out), "--real", str(data)]
    assert main([*words, "--plot", str(plot)]) == 0
    table = pd.read_csv(out)
    np.testing.assert_allclose(table["real_mean_delta"], table["mean_delta"], rtol=1e-3)
    assert plot.stat().st_size > 1000
    assert "with an adjusted p below 0.05" in capsys.readouterr().out
    assert main(words) == 2  # the outputs exist


def test_the_command_takes_counts(small_counts, tmp_path, capsys):
    """As log1p, so that predicted log1p cells are never compared with counts."""
    given = PerturbationData.from_anndata(small_counts)
    logged = as_log1p(given)
    for name, cells in (("counts", given), ("logged", logged)):
        cells.write(tmp_path / f"{name}.h5ad")
    logged.subset(c for c in logged.conditions() if not c.is_control).write(tmp_path / "predicted.h5ad")
    (tmp_path / "sets.gmt").write_text("MOVES\t\t" + "\t".join(f"G{i}" for i in range(11, 21)), encoding="utf-8")
    for real in ("counts", "logged"):
        words = (
            f"pathways --predicted {tmp_path}/predicted.h5ad --gmt {tmp_path}/sets.gmt --real {tmp_path}/{real}.h5ad"
        )
        assert main([*words.split(), "--out", str(tmp_path / f"{real}.csv")]) == 0
    assert "counts.h5ad holds counts: taken as log1p" in capsys.readouterr().out
    assert (tmp_path / "counts.csv").read_text() == (tmp_path / "logged.csv").read_text()
    sets = {"MOVES": [f"G{i}" for i in range(11, 21)]}
    scores = pathway_scores(logged, sets)
    for call in (lambda: pathway_scores(logged, sets, given), lambda: set_deltas(given, scores, sets)):
        with pytest.raises(DataError, match="needs log1p values"):
            call()


def test_interferon_sets_move_in_a_real_interferon_response(shared_data):
    from cycseq.formats.read import read
    from cycseq.preparation.prepare import prepare
    from cycseq.preparation.settings import PrepareSettings

    kang = prepare([read(shared_data("kang2018_pbmc_ifnb.h5ad"))], PrepareSettings(genes="all"))
    scores = pathway_scores(kang, read_gmt(shared_data("hallmark_v7.symbols.gmt")))
    first = scores.groupby("context").head(2).groupby("context")["pathway"].agg(set)
    expected = {"HALLMARK_INTERFERON_ALPHA_RESPONSE", "HALLMARK_INTERFERON_GAMMA_RESPONSE"}
    assert sum(found == expected for found in first) >= 7
