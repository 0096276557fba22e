"""Every metric against an independent few lines of NumPy, SciPy or scikit-learn, condition by condition."""

from __future__ import annotations

from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats
from scipy.spatial.distance import cdist, pdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from cycseq.data.dataset import PerturbationData
from cycseq.preparation.pseudobulk import responses
from cycseq.score.axes import principal_axes
from cycseq.score.evaluate import evaluate, scores
from cycseq.score.match import match_conditions
from cycseq.score.metrics import GROUPS, HEADLINE, METRICS
from cycseq.score.metrics.cells import _folds, _held_out_auc
from cycseq.score.metrics.formulas import row_sums
from cycseq.score.metrics.ranks import false_discovery_rate, mean_ranks
from cycseq.score.reference import Reference
from cycseq.score.settings import EvaluateSettings
from cycseq.score.summary import summarize_scores
from cycseq.show.report import comparison_page
from cycseq.show.report.table import badness

SETTINGS = EvaluateSettings(components=5)
GENES, CELLS = 140, 60


def toy() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Real, predicted and control cells: two knock-downs, both together, a weak knock-down and a strong drug."""
    rng = np.random.default_rng(1)
    base = rng.normal(0.0, 1.0, GENES)
    effect = {p: np.where(rng.random(GENES) < 0.3, rng.normal(0.0, 1.0, GENES), 0.0) for p in ("G3", "G7", "G12")}
    effect |= {"G3+G7": effect["G3"] + effect["G7"], "G12": 0.4 * effect["G12"], "drug": rng.normal(0.5, 1.2, GENES)}

    def cells(shift: np.ndarray, n: int = CELLS) -> np.ndarray:
        return np.log1p(rng.poisson(np.exp(base + shift) * rng.gamma(3, 1 / 3, (n, GENES)))).astype(np.float32)

    real = {p: cells(shift) for p, shift in effect.items()}
    predicted = {p: cells(0.7 * shift + rng.normal(0, 0.15, GENES)) for p, shift in effect.items()}
    return real, predicted, {"control": cells(np.zeros(GENES), 80)}


def labelled(cells: dict[str, np.ndarray], *, sparse: bool = False, who: str = "real") -> PerturbationData:
    x = np.concatenate(list(cells.values()))
    names = [p for p, block in cells.items() for _ in block]
    obs = pd.DataFrame(
        {"context": "all", "perturbation": names, "batch": "b"}, index=[f"{who}-{p}-{i}" for i, p in enumerate(names)]
    )
    adata = ad.AnnData(
        sp.csr_matrix(x) if sparse else x, obs=obs, var=pd.DataFrame(index=[f"G{g}" for g in range(GENES)])
    )
    return PerturbationData(adata, "log1p")


@dataclass
class Naive:
    """One condition as plain arrays, the perturbed gene left out."""

    real: np.ndarray
    predicted: np.ndarray
    control: np.ndarray
    others: np.ndarray
    """Means of all real perturbations."""
    own: int
    kept: np.ndarray
    kept_by_all: np.ndarray
    reference: np.ndarray

    @property
    def delta(self) -> np.ndarray:
        return (self.real.mean(0) - self.control.mean(0))[self.kept]

    @property
    def predicted_delta(self) -> np.ndarray:
        return (self.predicted.mean(0) - self.control.mean(0))[self.kept]

    @property
    def t(self) -> np.ndarray:
        t = stats.ttest_ind(self.real, self.control, equal_var=False).statistic
        return np.nan_to_num(np.abs(t))[self.kept]

    def p(self, cells: np.ndarray) -> np.ndarray:
        return stats.false_discovery_control(np.nan_to_num(stats.mannwhitneyu(cells, self.control).pvalue, nan=1.0))

    def degs(self) -> np.ndarray:
        return (self.p(self.real) < 0.05)[self.kept]

    def lfc(self, cells: np.ndarray) -> np.ndarray:
        a, b = np.expm1(cells.mean(0)), np.expm1(self.control.mean(0))
        return np.log2((a + 1e-9) / (b + 1e-9))[self.kept]

    def pcs(self, cells: np.ndarray) -> np.ndarray:
        pca = PCA(5, svd_solver="full").fit(self.control)
        blank = np.where(self.kept, cells, 0.0)
        return (blank - pca.mean_) @ pca.components_.T


def energy(x: np.ndarray, y: np.ndarray) -> float:
    return 2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean()


def energy_sd(x: np.ndarray, y: np.ndarray) -> float:
    terms = [np.linalg.norm(a - y, axis=1).mean() - np.linalg.norm(a - x, axis=1).sum() / (len(x) - 1) for a in x]
    return 2 * np.std(terms, ddof=1) / np.sqrt(len(x))


def noise_of(cells: np.ndarray, n: Naive) -> np.ndarray:
    """Sampling variance of the mean of these cells."""
    return stats.sem(cells)[n.kept] ** 2


def naive_mmd(x: np.ndarray, y: np.ndarray) -> float:
    median = np.median(pdist(y))
    off = ~np.eye(len(x), dtype=bool)
    return float(
        np.mean(
            [
                np.exp(-(cdist(x, x)[off] ** 2) / (2 * s**2)).mean()
                + np.exp(-(cdist(y, y)[off] ** 2) / (2 * s**2)).mean()
                - 2 * np.exp(-(cdist(x, y) ** 2) / (2 * s**2)).mean()
                for s in median * np.array([0.25, 0.5, 1, 2, 4])
            ]
        )
    )


def rank(distances: np.ndarray, own: int) -> float:
    others = np.delete(distances, own)
    return 1 - ((others < distances[own]).sum() + (others == distances[own]).sum() / 2) / len(others)


def cosines(n: Naive) -> np.ndarray:
    a = (n.predicted.mean(0) - n.control.mean(0))[n.kept_by_all]
    return cdist(a[None], (n.others - n.control.mean(0))[:, n.kept_by_all], "cosine")[0]


def overlap(n: Naive) -> float:
    degs = n.degs()
    called = np.flatnonzero(n.p(n.predicted)[n.kept] < 0.05)
    top = called[np.argsort(-np.abs(n.lfc(n.predicted)[called]))][: degs.sum()]
    return len(set(top) & set(np.flatnonzero(degs))) / degs.sum()


def top_r2(n: Naive, k: int) -> float:
    top = np.argsort(-n.t)[:k]
    return r2_score(n.delta[top], n.predicted_delta[top]) if n.degs().sum() >= k else np.nan


def correlation_gap(n: Naive) -> float:
    top = np.argsort(-np.where(n.kept, n.real.var(0), -1))[: min(200, n.kept.sum())]
    gap = [np.nan_to_num(pd.DataFrame(cells[:, top]).corr().to_numpy()) for cells in (n.predicted, n.real)]
    off = gap[0] - gap[1]
    np.fill_diagonal(off, 0)
    return float(np.sqrt((off**2).sum()) / len(top))


def c2st(n: Naive) -> float:
    x = np.concatenate([n.pcs(n.predicted), n.pcs(n.real)])
    x = (x - x.mean(0)) / x.std(0)
    y = np.repeat([1, 0], [len(n.predicted), len(n.real)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(LogisticRegression(max_iter=200), x, y, cv=folds, scoring="roc_auc").mean())


def root_mean(squares: np.ndarray) -> float:
    return float(np.sqrt(squares.mean()))


def mu(n: Naive) -> tuple[np.ndarray, np.ndarray]:
    return n.real.mean(0)[n.kept], n.predicted.mean(0)[n.kept]


def specific(n, mean: np.ndarray) -> np.ndarray:
    return (mean - n.reference)[n.kept][None]


def centred_rank(n) -> float:
    """Share of the other real conditions whose specific response has a smaller cosine with the predicted one."""
    kept, k = n.kept_by_all, len(n.others)
    reference = (n.others.sum(0) - n.others) / (k - 1)
    cosines = 1 - cdist((n.predicted.mean(0) - n.reference)[kept][None], (n.others - reference)[:, kept], "cosine")[0]
    return (np.delete(cosines, n.own) < cosines[n.own]).mean()


NAIVE = {
    "r2_mean": lambda n: r2_score(*mu(n)),
    "pearson2_mean": lambda n: stats.pearsonr(*mu(n)).statistic ** 2,
    "mae": lambda n: np.abs(mu(n)[0] - mu(n)[1]).mean(),
    "mse": lambda n: ((mu(n)[0] - mu(n)[1]) ** 2).mean(),
    "mse_ratio": lambda n: ((mu(n)[0] - mu(n)[1]) ** 2).sum() / (n.delta**2).sum(),
    "mse_unbiased": lambda n: ((mu(n)[0] - mu(n)[1]) ** 2 - noise_of(n.real, n)).mean(),
    "mse_unbiased_norm": lambda n: (
        ((mu(n)[0] - mu(n)[1]) ** 2 - noise_of(n.real, n)).sum()
        / (n.delta**2 - noise_of(n.real, n) - noise_of(n.control, n)).sum()
    ),
    "wmse": lambda n: np.average((mu(n)[0] - mu(n)[1]) ** 2, weights=n.t),
    "r2_delta": lambda n: r2_score(n.delta, n.predicted_delta),
    "r2_delta_top20": lambda n: top_r2(n, 20),
    "r2_delta_top50": lambda n: top_r2(n, 50),
    "r2_delta_top100": lambda n: top_r2(n, 100),
    "r2_delta_weighted": lambda n: r2_score(n.delta, n.predicted_delta, sample_weight=n.t),
    "pearson_delta": lambda n: stats.pearsonr(n.delta, n.predicted_delta).statistic,
    "pearson_delta_specific": lambda n: (
        stats.pearsonr((n.real.mean(0) - n.reference)[n.kept], (n.predicted.mean(0) - n.reference)[n.kept]).statistic
    ),
    "cosine_delta_specific": lambda n: (
        1 - cdist(specific(n, n.real.mean(0)), specific(n, n.predicted.mean(0)), "cosine").item()
    ),
    "cosine_delta": lambda n: 1 - cdist(n.delta[None], n.predicted_delta[None], "cosine").item(),
    "amplitude": lambda n: np.linalg.lstsq(n.predicted_delta[:, None], n.delta, rcond=None)[0].item(),
    "amplitude_ratio": lambda n: np.linalg.norm(n.predicted_delta) / np.linalg.norm(n.delta),
    "constant_delta": lambda n: float(np.ptp(n.predicted_delta) < 1e-5),
    "edistance": lambda n: energy(n.pcs(n.predicted), n.pcs(n.real)),
    "edistance_sd": lambda n: energy_sd(n.pcs(n.predicted), n.pcs(n.real)),
    "edistance_genes": lambda n: energy(n.predicted[:, n.kept], n.real[:, n.kept]),
    "mmd": lambda n: naive_mmd(n.pcs(n.predicted), n.pcs(n.real)),
    "wasserstein_gene": lambda n: np.mean(
        [stats.wasserstein_distance(n.predicted[:, g], n.real[:, g]) for g in np.flatnonzero(n.kept)]
    ),
    "mean_variance_error": lambda n: root_mean(
        (mu(n)[0] - mu(n)[1]) ** 2 + (n.real.var(0, ddof=1) - n.predicted.var(0, ddof=1))[n.kept] ** 2
    ),
    "zero_fraction_error": lambda n: root_mean(((n.real == 0).mean(0) - (n.predicted == 0).mean(0))[n.kept] ** 2),
    "gene_correlation_error": correlation_gap,
    "c2st_auc": c2st,
    "deg_overlap": overlap,
    "deg_direction": lambda n: (np.sign(n.lfc(n.real)) == np.sign(n.lfc(n.predicted)))[n.degs()].mean(),
    "deg_lfc_spearman": lambda n: stats.spearmanr(n.lfc(n.real)[n.degs()], n.lfc(n.predicted)[n.degs()]).statistic,
    "deg_auprc": lambda n: average_precision_score(n.degs(), -np.log10(n.p(n.predicted)[n.kept])),
    "retrieval_cosine": lambda n: rank(cosines(n), n.own),
    "retrieval_cosine_centred": centred_rank,
    "retrieval_l1": lambda n: rank(np.abs(n.others - n.predicted.mean(0))[:, n.kept_by_all].sum(1), n.own),
    "centroid_accuracy": lambda n: rank(((n.others - n.predicted.mean(0))[:, n.kept_by_all] ** 2).sum(1), n.own),
}


def order(perturbation: str) -> np.ndarray:
    """The order in which cells are drawn, on which the folds of the classifier depend."""
    return np.random.default_rng([0, *f"all:{perturbation}".encode()]).permutation(CELLS)


@pytest.fixture(scope="module")
def scored() -> tuple[pd.DataFrame, dict[str, Naive]]:
    real, predicted, control = toy()
    table = evaluate(labelled(predicted, who="model"), labelled(real), labelled(control), settings=SETTINGS)
    names = sorted(real)
    genes = [f"G{i}" for i in range(next(iter(real.values())).shape[1])]
    kept = {name: np.array([gene not in name.split("+") for gene in genes]) for name in names}
    means = np.array([real[name].mean(0) for name in names])
    cases = {
        name: Naive(
            *(side[name][order(name)].astype(float) for side in (real, predicted)),
            control=control["control"].astype(float),
            others=means,
            own=i,
            kept=kept[name],
            kept_by_all=np.all(list(kept.values()), axis=0),
            reference=np.delete(means, i, axis=0).mean(0),
        )
        for i, name in enumerate(names)
    }
    return table, cases


@pytest.mark.parametrize("name", NAIVE)
def test_metric_is_its_formula(name: str, scored: tuple[pd.DataFrame, dict[str, Naive]]) -> None:
    table, cases = scored
    got = table[table["metric"] == name].set_index("perturbation")["value"]
    expected = pd.Series({p: float(NAIVE[name](case)) for p, case in cases.items()})
    np.testing.assert_allclose(got[expected.index], expected, rtol=2e-4, atol=2e-5)


def test_every_metric_is_checked_and_described() -> None:
    assert set(METRICS) == {*NAIVE, "per_gene_pearson", "per_gene_mse", "per_gene_mae", *GROUPS["vcc2026"]}
    assert set(HEADLINE) <= set(METRICS)
    assert {*GROUPS["all"], *GROUPS["vcc2026"]} == set(METRICS)
    assert all(metric.formula and metric.source and metric.caution for metric in METRICS.values())


def test_reconstruction_compares_each_cell_with_itself() -> None:
    real, _, control = toy()
    rng = np.random.default_rng(3)
    blurred = {p: np.abs(x + rng.normal(0, 0.3, x.shape)).astype(np.float32) for p, x in real.items()}
    predicted = labelled(blurred).take(rng.permutation(CELLS * len(real)))
    table = evaluate(predicted, labelled(real), labelled(control), settings=SETTINGS)
    values = table.pivot(index="perturbation", columns="metric", values="value")
    for p, x in real.items():
        kept = [g for g in range(x.shape[1]) if f"G{g}" not in p.split("+")]
        r = [stats.pearsonr(blurred[p][:, g], x[:, g]).statistic for g in kept if np.ptp(x[:, g]) > 0]
        assert values.loc[p, "per_gene_pearson"] == pytest.approx(np.mean(r), rel=1e-4)
        assert values.loc[p, "per_gene_mae"] == pytest.approx(np.abs(blurred[p] - x)[:, kept].mean(), rel=1e-4)
        assert values.loc[p, "per_gene_mse"] == pytest.approx(((blurred[p] - x)[:, kept] ** 2).mean(), rel=1e-4)


def test_reconstruction_metrics_are_absent_for_other_cells(scored: tuple[pd.DataFrame, dict[str, Naive]]) -> None:
    assert not scored[0]["metric"].str.startswith("per_gene").any()


def test_real_tests_are_done_once_for_many_models(monkeypatch: pytest.MonkeyPatch) -> None:
    from cycseq.score.metrics import population

    real, predicted, control = toy()
    side = Reference.of(labelled(real), labelled(control), settings=EvaluateSettings(metrics="deg_direction"))
    calls = []
    original = population._wilcoxon
    monkeypatch.setattr(
        population, "_wilcoxon", lambda *a: calls.append(len(groups := list(a[0]))) or original(groups, a[1])
    )
    first, second = evaluate(labelled(predicted, who="model"), side), evaluate(labelled(predicted, who="model"), side)
    assert calls == [len(real)]
    pd.testing.assert_frame_equal(first, second)


def test_sparse_and_dense_cells_score_alike() -> None:
    real, predicted, control = toy()
    dense = evaluate(labelled(predicted, who="model"), labelled(real), labelled(control), settings=SETTINGS)
    sparse = evaluate(
        labelled(predicted, sparse=True, who="model"),
        labelled(real, sparse=True),
        labelled(control, sparse=True),
        settings=SETTINGS,
    )
    np.testing.assert_allclose(sparse["value"], dense["value"], rtol=1e-3, atol=1e-4)


def test_negative_predicted_values_are_tested_right() -> None:
    real, predicted, control = toy()
    lowered = {p: np.where(x > 0, x, -0.5).astype(np.float32) for p, x in predicted.items()}
    side = Reference.of(labelled(real, sparse=True), labelled(control, sparse=True))
    value = evaluate(labelled(lowered, sparse=True), side).set_index(["metric", "perturbation"])["value"]["deg_auprc"]
    case = next(iter(real))
    p = stats.false_discovery_control(stats.mannwhitneyu(lowered[case], control["control"]).pvalue)
    q = stats.false_discovery_control(np.nan_to_num(stats.mannwhitneyu(real[case], control["control"]).pvalue, nan=1.0))
    kept = np.array([f"G{g}" not in case.split("+") for g in range(len(p))])
    assert value[case] == pytest.approx(average_precision_score((q < 0.05)[kept], -np.log10(p[kept])), rel=1e-6)


def test_one_rule_says_which_value_is_better():
    r2, edistance, auc = (METRICS[name] for name in ("r2_delta", "edistance", "c2st_auc"))
    assert r2.better(np.array(0.4), np.array(-3.0))
    assert edistance.better(np.array(-0.1), np.array(0.0))
    assert not edistance.better(np.array(0.3), np.array(0.2))
    np.testing.assert_array_equal(
        auc.better(np.array([0.45, 0.2, 0.5]), np.array([0.6, 0.7, 0.5])), [True, False, False]
    )
    assert not any(metric.better(np.array(np.nan), np.array(0.0)) for metric in METRICS.values())


def test_all_who_compare_models_agree_below_zero():
    rows = [("edistance", model, str(i), value) for model, value in (("A", -0.2), ("B", 0.1)) for i in range(8)]
    table = pd.DataFrame(rows, columns=["metric", "model", "perturbation", "value"]).assign(
        split="s", seed=0, context="c"
    )
    summary = summarize_scores(table, baselines=["B"]).set_index("model")
    assert (summary.loc["A", "rank"], summary.loc["A", "beats"]) == (1, "B")
    assert comparison_page._best("edistance", summary["mean"]) == "A"
    first, second = badness("edistance", list(summary["mean"]))
    assert first < second


def test_any_number_of_cells_gives_the_same_distances_on_average() -> None:
    rng = np.random.default_rng(5)
    real, control = {"A": rng.normal(1.0, 1.0, (50, GENES))}, {"control": rng.normal(0.0, 1.0, (100, GENES))}
    side = Reference.of(
        *(labelled({p: x.astype(np.float32) for p, x in side.items()}) for side in (real, control)),
        settings=EvaluateSettings(metrics="edistance,edistance_sd,edistance_genes,mmd", components=5),
    )

    def draws(n_cells: int) -> pd.DataFrame:
        tables = [
            evaluate(
                labelled({"A": rng.normal(0.5, 1.2, (n_cells, GENES)).astype(np.float32)}, who="m"), side, seed=seed
            )
            for seed in range(40)
        ]
        return pd.concat(tables).pivot(index="seed", columns="metric", values="value")

    few, many = draws(20), draws(400)
    for name in ("edistance", "edistance_genes", "mmd"):
        assert abs(few[name].mean() - many[name].mean()) < 3 * few[name].std() / np.sqrt(len(few))
        assert many[name].std() < 0.4 * few[name].std()
    for table in (few, many):
        assert table["edistance_sd"].mean() == pytest.approx(table["edistance"].std(), rel=0.35)


def test_more_predicted_cells_find_no_more_genes() -> None:
    real, predicted, control = toy()
    few = {p: x[:30] for p, x in real.items()}
    settings = EvaluateSettings(metrics="deg_auprc,deg_overlap", max_cells=CELLS)
    side = Reference.of(labelled(few), labelled(control), settings=settings)
    cells = labelled(predicted, who="model")
    first = np.concatenate([cells.rows(c)[order(c.perturbation)[:30]] for c in cells.conditions()])
    both = [
        evaluate(made, side).set_index(["metric", "perturbation"])["value"]
        for made in (cells, cells.take(np.sort(first)))
    ]
    pd.testing.assert_series_equal(both[0]["deg_auprc"], both[1]["deg_auprc"])


@pytest.mark.parametrize(("n", "shift"), [(10, 0.1), (10, 5.0), (13, 0.3), (60, 0.2)])
def test_the_classifier_of_all_folds_at_once_is_that_of_sklearn(n: int, shift: float):
    x = np.random.default_rng(n).normal(size=(2 * n, 20))
    x[:n] += shift
    x[1] = x[-1]  # a tie counts half
    y, held_out = np.repeat([1, 0], n), _folds(n, 3)
    assert (held_out.sum(axis=0) == 1).all()
    areas = []
    for (train, test), of_fold in zip(
        StratifiedKFold(5, shuffle=True, random_state=3).split(x, y), held_out, strict=True
    ):
        np.testing.assert_array_equal(test, np.flatnonzero(of_fold))
        exact = LogisticRegression(max_iter=5000, tol=1e-9).fit(x[train], y[train])
        areas.append(roc_auc_score(y[test], exact.decision_function(x[test])))
    np.testing.assert_allclose(_held_out_auc(x, n, held_out), np.mean(areas), atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 7, 1000])
def test_ranks_and_false_discovery_rates_are_those_of_scipy(n: int):
    p = np.random.default_rng(n).random(n).round(2)
    np.testing.assert_array_equal(mean_ranks(p), stats.rankdata(p))
    np.testing.assert_array_equal(false_discovery_rate(p), stats.false_discovery_control(p) if n else p)


@pytest.mark.parametrize("shape", [(600, 300), (300, 700), (50, 900), (60, 40), (5000, 100)])
def test_cells_are_as_far_apart_on_our_axes_as_on_those_of_sklearn(shape: tuple[int, int]):
    rng = np.random.default_rng(0)
    x = np.log1p(rng.poisson(rng.gamma(1, 1, shape[1]), shape)).astype(np.float32)
    k = min(50, min(shape) - 1)
    ours, theirs = principal_axes(x, k, 3), PCA(k, random_state=3).fit(x)
    ours_apart = pdist(((x - ours.mean) @ ours.directions)[:100].astype(np.float64))
    np.testing.assert_allclose(ours_apart, pdist(theirs.transform(x[:100]).astype(np.float64)), rtol=2e-3)


def test_sums_over_genes_are_those_of_the_values():
    rng = np.random.default_rng(0)
    predicted, real = rng.normal(size=(2, 7, 40))
    weights = rng.random((7, 40)) * (rng.random((7, 40)) < 0.8)
    predicted[1], predicted[2], real[3], real[4] = 0.5, 4e-6, 1.0 + 4e-6 * rng.random(40), -4e-6 * rng.random(40)
    predicted[5, 3], real[5, 4], weights[6] = np.nan, np.nan, 0.0
    for w in (weights, weights > 0):
        sums = row_sums(predicted, real, w)
        kept = w > 0
        with np.errstate(invalid="ignore"):
            a, b = ((side.T - (side * w).sum(axis=1) / w.sum(axis=1)).T for side in (predicted, real))
        expected = {
            "weight": w, "predicted": w * predicted**2, "real": w * real**2, "both": w * predicted * real,
            "error": w * (predicted - real) ** 2, "absolute_error": w * np.abs(predicted - real),
            "spread_of_predicted": w * a**2, "spread_of_real": w * b**2, "covariation": w * a * b,
        }  # fmt: skip
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(sums, name), values.sum(axis=1), rtol=1e-12, atol=1e-18, err_msg=name)
        for name, side in (("nothing_predicted", predicted), ("nothing_real", real)):
            none = [np.abs(row[of_row]).max(initial=0.0) < 1e-5 for row, of_row in zip(side, kept, strict=True)]
            np.testing.assert_array_equal(getattr(sums, name), none)
        for name, side in (("constant_prediction", predicted), ("constant_real", real)):
            same = [
                bool(of_row.any() and np.ptp(row[of_row]) <= 1e-5) or not (of_row.any() or np.isnan(row).any())
                for row, of_row in zip(side, kept, strict=True)
            ]
            np.testing.assert_array_equal(getattr(sums, name), same)


def test_shuffled_predictions_share_what_was_computed_of_all():
    real, predicted, control = toy()
    cells = labelled({**real, **control})
    reference = Reference.of(cells, cells.controls(), training=responses(cells), settings=SETTINGS)
    (match,) = match_conditions(labelled(predicted, who="predicted"), reference)
    context, metrics = reference.contexts["all"], [metric for metric in reference.metrics if not metric.paired]
    scores(context, match.places, match.cells, metrics)  # fills what is shared
    shuffled = match.cells.take(np.roll(np.arange(len(match.places)), 1))
    alone = replace(shuffled, whole=None, rows=None)
    shared, direct = (scores(context, match.places, one, metrics)["value"] for one in (shuffled, alone))
    np.testing.assert_allclose(shared, direct, rtol=1e-12, atol=1e-12)
