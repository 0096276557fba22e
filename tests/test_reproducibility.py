"""Which measured responses are reproducible, by real cells alone."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.benchmarking.benchmark import benchmark
from cycseq.benchmarking.settings import BenchmarkSettings
from cycseq.benchmarking.tables import open_benchmark
from cycseq.cli import main
from cycseq.data.dataset import PerturbationData
from cycseq.score.reproducibility import COLUMNS, reproducibility, reproducible_rows
from cycseq.score.settings import EvaluateSettings
from cycseq.show.report.page import write_report

GENES = 200
NONE, STRONG = tuple(f"none{i}" for i in range(30)), tuple(f"strong{i}" for i in range(4))


def screen(seed: int, *, cells: int = 25, controls: int = 240, contexts: tuple[str, ...] = ("A",)) -> PerturbationData:
    """Perturbations without and with a response, in cells whose genes vary together by five programs."""
    rng = np.random.default_rng(seed)
    programs, base = rng.normal(0.0, 0.4, (5, GENES)), rng.normal(0.5, 1.0, GENES)
    response = {name: np.where(rng.random(GENES) < 0.2, rng.normal(0.0, 1.2, GENES), 0.0) for name in STRONG}
    x, labels = [], []
    for context in contexts:
        for name in ("control", *NONE, *STRONG):
            n = controls if name == "control" else cells
            rate = base + rng.normal(size=(n, 5)) @ programs + response.get(name, 0.0)
            x.append(np.log1p(rng.poisson(np.exp(rate))).astype(np.float32))
            labels += [(context, name, "b")] * n
    obs = pd.DataFrame(labels, columns=["context", "perturbation", "batch"]).set_index(
        pd.Index([f"cell{i}" for i in range(len(labels))])
    )
    return PerturbationData(
        ad.AnnData(np.concatenate(x), obs, pd.DataFrame(index=[f"N{i}" for i in range(GENES)])), "log1p"
    )


def test_responses_are_reproducible_and_their_absence_rarely_is() -> None:
    tables = [reproducibility(screen(seed)) for seed in range(6)]
    assert tuple(tables[0].columns) == COLUMNS
    table = pd.concat(tables).set_index("perturbation")
    assert table.loc[list(STRONG), "reproducible"].all()
    assert 0.01 <= table.loc[list(NONE), "reproducible"].mean() <= 0.1
    assert (table["chance"] > 0.2).all()  # genes vary together: independent ones would be at 0.15


def test_reliability_is_the_correlation_of_two_experiments() -> None:
    """Two halves of the cells and of the controls: their responses agree as the reliability of such a half says."""
    data = screen(1, cells=200, controls=400)
    halves = [data.take(np.arange(start, data.n_cells, 2)) for start in (0, 1)]
    tables = [reproducibility(half).set_index("perturbation") for half in halves]
    for name in STRONG:
        delta = [
            half.x[(half.adata.obs["perturbation"] == name).to_numpy()].mean(axis=0) - half.controls().x.mean(axis=0)
            for half in halves
        ]
        cosine = delta[0] @ delta[1] / np.sqrt((delta[0] @ delta[0]) * (delta[1] @ delta[1]))
        assert cosine == pytest.approx(np.mean([table.loc[name, "reliability"] for table in tables]), abs=0.05)


def test_with_few_controls_nothing_is_called_reproducible() -> None:
    table = reproducibility(screen(2, controls=12))
    assert table["chance"].isna().all()
    assert not table["reproducible"].any()


def test_the_perturbed_gene_itself_does_not_count() -> None:
    data = screen(3)
    data.adata.var_names = ["none0", *data.genes[1:]]
    data.adata.X[(data.adata.obs["perturbation"] == "none0").to_numpy(), 0] = 9.0
    table = reproducibility(PerturbationData(data.adata, "log1p")).set_index("perturbation")
    assert table.loc["none0", "reliability"] < 0.6


def test_a_benchmark_is_read_for_reproducible_conditions_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = screen(4, contexts=("A", "B"), controls=60)
    settings = BenchmarkSettings(models=["ContextAdditive"], seeds=1)
    out = tmp_path / "out"
    whole = benchmark(
        data, settings, out, evaluation=EvaluateSettings(metrics="mse_ratio,mse_unbiased_norm,pearson_delta")
    )
    strong = open_benchmark(out).reproducible_alone()
    assert set(STRONG) <= set(strong.metrics["perturbation"]) < set(whole.metrics["perturbation"])
    rows = reproducible_rows(whole.metrics, whole.reproducibility)
    pd.testing.assert_frame_equal(strong.metrics, rows)
    key = ["metric", "model"]
    written = pd.read_csv(out / "summary_reproducible.csv").set_index(key)["mean"]
    np.testing.assert_allclose(written, strong.summary.set_index(key)["mean"])
    better = (
        strong.summary.set_index(key)["mean"]["pearson_delta"] - whole.summary.set_index(key)["mean"]["pearson_delta"]
    )
    assert better["ContextAdditive"] > 0.1
    page = write_report(out, stratum="reproducible")
    assert page.name == "report_reproducible.html"
    n = len(rows[["context", "perturbation"]].drop_duplicates())
    assert f"{n} of {2 * len(NONE + STRONG)} tested conditions, whose response is reproducible" in page.read_text()
    assert main(["report", str(out), "--stratum", "reproducible", "--out", str(tmp_path / "r.html")]) == 0
    (out / "reproducibility.csv").write_text("context,perturbation,reproducible\n")
    capsys.readouterr()
    assert main(["report", str(out), "--stratum", "reproducible", "--out", str(tmp_path / "s.html")]) == 2
    assert "Traceback" not in capsys.readouterr().err
