"""cell-eval and scanpy, as they are installed, take what cycseq writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from cycseq.cli import SUCCESS, main
from cycseq.data.dataset import PerturbationData
from cycseq.formats.effects.read import read_effects
from cycseq.formats.read import read
from cycseq.formats.write import write_as
from cycseq.score.evaluate import evaluate
from cycseq.score.settings import EvaluateSettings

SAME = ("pearson_delta", "mse", "mae")
"""Metrics of one definition in both tools."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with threadpool_limits(1):
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def predicted(small_data: PerturbationData) -> PerturbationData:
    """Other cells of the perturbed conditions, each context by its own factors; no controls, as models predict."""
    cells = small_data.subset(c for c in small_data.conditions() if not c.is_control)
    rng = np.random.default_rng(0)
    x = cells.x.toarray() * rng.uniform(0.6, 1.0, (1, len(cells.genes))) + rng.uniform(0, 0.2, cells.x.shape)
    adata = ad.AnnData(x.astype(np.float32), obs=cells.adata.obs.copy(), var=cells.adata.var.copy())
    return PerturbationData(adata, "log1p")


def test_cell_eval_takes_a_pair_and_finds_our_values(small_data, predicted, tmp_path: Path) -> None:
    """Context by context, as its command line does with --celltype-col."""
    cell_eval = pytest.importorskip("cell_eval")
    write_as(predicted, "cell-eval", tmp_path / "pair", real=small_data)
    sides = {side: ad.read_h5ad(tmp_path / f"pair/adata_{side}.h5ad") for side in ("pred", "real")}
    split = {side: cell_eval.utils.split_anndata_on_celltype(adata, "celltype") for side, adata in sides.items()}
    assert set(split["pred"]) == set(split["real"]) == set(small_data.contexts)
    ours = evaluate(predicted, small_data, settings=EvaluateSettings(metrics="means,retrieval_l1", keep_target=True))
    ours = ours.set_index(["context", "perturbation", "metric"])["value"]
    for context in ("K562", "THP1"):
        evaluator = cell_eval.MetricsEvaluator(
            adata_pred=split["pred"][context].copy(),
            adata_real=split["real"][context].copy(),
            control_pert="non-targeting",
            pert_col="target_gene",
            num_threads=1,
            outdir=str(tmp_path / "their"),
            skip_de=True,
        )
        found, _ = evaluator.compute(profile="anndata", skip_metrics=["clustering_agreement"], write_csv=False)
        theirs = found.to_pandas().set_index("perturbation")
        assert set(theirs.index) == {"G1", "G2", "G3", "G1+G2"}
        for perturbation, row in theirs.iterrows():
            for metric in SAME:
                assert row[metric] == pytest.approx(ours[context, perturbation, metric], abs=1e-5)
            rank = 1 - (1 - row["discrimination_score_l1"]) * len(theirs) / (len(theirs) - 1)  # theirs is 1 - k / n
            assert rank == pytest.approx(ours[context, perturbation, "retrieval_l1"], abs=1e-5)


def test_cell_evals_tests_of_expression_run_on_a_pair(small_data, predicted, tmp_path: Path) -> None:
    cell_eval = pytest.importorskip("cell_eval")
    of_one = small_data.subset(c for c in small_data.conditions() if c.context == "K562")
    asked = predicted.subset(c for c in predicted.conditions() if c.context == "K562")
    write_as(asked, "cell-eval", tmp_path / "pair", real=of_one)
    evaluator = cell_eval.MetricsEvaluator(
        adata_pred=str(tmp_path / "pair/adata_pred.h5ad"),
        adata_real=str(tmp_path / "pair/adata_real.h5ad"),
        control_pert="non-targeting",
        pert_col="target_gene",
        num_threads=1,
        outdir=str(tmp_path / "their"),
    )
    found, _ = evaluator.compute(profile="de", write_csv=False)
    theirs = found.to_pandas().set_index("perturbation")
    table = evaluate(asked, of_one, settings=EvaluateSettings(metrics="deg_overlap,deg_direction", keep_target=True))
    ours = table.pivot_table(index="perturbation", columns="metric", values="value")
    for name, our_name in (("overlap_at_N", "deg_overlap"), ("de_direction_match", "deg_direction")):
        np.testing.assert_allclose(theirs[name].reindex(ours.index), ours[our_name], atol=1e-5)


@pytest.fixture
def prediction(small_counts: ad.AnnData, tmp_path: Path) -> Path:
    """What `cycseq predict` writes, at the end of a session from counts."""
    small_counts.write_h5ad(tmp_path / "counts.h5ad")
    for words in (
        "prepare {t}/counts.h5ad --genes all --out {t}/p.h5ad",
        "split --data {t}/p.h5ad --kind unseen-context --context RPE1 --out {t}/s.json",
        "fit --data {t}/p.h5ad --split {t}/s.json --model ContextAdditive --run {t}/run",
        "predict --run {t}/run --cells 60 --out {t}/pred.h5ad",
    ):
        assert main(words.format(t=tmp_path).split()) == SUCCESS
    return tmp_path / "pred.h5ad"


def test_scanpy_analyses_and_plots_a_prediction_as_it_is(prediction: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    sc = pytest.importorskip("scanpy")
    import matplotlib.pyplot as plt

    predicted = sc.read_h5ad(prediction)
    assert isinstance(predicted.obs["perturbation"].dtype, pd.CategoricalDtype)
    real = sc.read_h5ad(prediction.parent / "p.h5ad")
    both = sc.concat(
        {"predicted": predicted, "real": real[real.obs["context"] == "RPE1"].copy()}, label="side", index_unique="/"
    )
    assert both.n_vars == predicted.n_vars
    for adata in (predicted, both):
        sc.pp.pca(adata, n_comps=5)
        adata.obsm["X_umap"] = adata.obsm["X_pca"][:, :2]  # neighbours and UMAP would be compiled for half a minute
        sc.tl.rank_genes_groups(adata, "perturbation", method="wilcoxon")
    sc.tl.rank_genes_groups(both, "perturbation", reference="control", method="wilcoxon")
    top = both.uns["rank_genes_groups"]["names"]["G1"][:10]  # G1 moves genes 11 to 20 up
    assert len(set(top) & {f"G{i}" for i in range(11, 21)}) >= 8
    assert sc.get.rank_genes_groups_df(predicted, "G1")["logfoldchanges"].notna().all()
    plotted = [
        sc.pl.pca(predicted, color="perturbation", show=False),
        sc.pl.umap(both, color=["side", "perturbation", "G12"], show=False),
        sc.pl.violin(predicted, ["G12", "G22"], groupby="perturbation", show=False),
        sc.pl.dotplot(predicted, ["G12", "G22"], groupby="perturbation", show=False),
        sc.pl.matrixplot(both, ["G12", "G22"], groupby=["perturbation", "side"], show=False),
        sc.pl.rank_genes_groups(predicted, n_genes=5, show=False),
    ]
    assert len(plt.get_fignums()) >= 5
    assert all(axes is not None for axes in plotted[:-1])
    plt.close("all")


def test_scanpy_sees_the_scale_in_converted_files(prediction: Path, tmp_path: Path) -> None:
    """A file that says log1p is not logged twice without a word, and its base is a number for old versions of scanpy."""
    sc = pytest.importorskip("scanpy")
    write_as(read(prediction), "perturbench", tmp_path / "pb.h5ad")
    adata = sc.read_h5ad(tmp_path / "pb.h5ad")
    assert np.log(adata.uns["log1p"]["base"]) == pytest.approx(1.0)
    sc.tl.rank_genes_groups(adata, "condition", method="t-test")
    assert sc.get.rank_genes_groups_df(adata, "G1")["logfoldchanges"].notna().all()


KNOWN_SINCE_0_8 = {
    *("anndata", "dict", "dataframe", "array", "csr_matrix", "csc_matrix", "string", "string-array"),
    *("numeric-scalar", "categorical", "raw", ""),
}


@pytest.mark.parametrize("layout", ["", "gears", "cell-load", "cpa"])
def test_old_versions_of_anndata_know_all_that_is_written(small_data, tmp_path: Path, layout: str) -> None:
    """No kind of element that anndata 0.8 does not know, and no compression that only h5py has in files for others."""
    if layout:
        write_as(small_data, layout, tmp_path / "a.h5ad")
    else:
        small_data.write(tmp_path / "a.h5ad")
    kinds, compressions = set(), set()

    def look(_name: str, item: h5py.Group | h5py.Dataset) -> None:
        kinds.add(str(item.attrs.get("encoding-type", "")))
        compressions.add(item.compression if isinstance(item, h5py.Dataset) else None)

    with h5py.File(tmp_path / "a.h5ad") as file:
        file.visititems(look)
    assert kinds <= KNOWN_SINCE_0_8
    assert compressions <= ({"gzip", None} if layout else {"lzf", None})


def test_texts_as_newer_versions_of_anndata_write_them_are_read(small_data, tmp_path: Path) -> None:
    """pandas' own texts, with and without missing values."""
    obs = small_data.adata.obs.assign(
        condition=small_data.adata.obs["perturbation"].astype("string"),
        cell_type=small_data.adata.obs["context"].astype("string"),
        note=pd.array([None, *["x"] * (small_data.n_cells - 1)], dtype="string"),
    ).drop(columns=["perturbation", "context"])
    with ad.settings.override(allow_write_nullable_strings=True):
        ad.AnnData(small_data.x, obs=obs, var=small_data.adata.var).write_h5ad(tmp_path / "new.h5ad")
    data = read(tmp_path / "new.h5ad")
    assert data.conditions() == small_data.conditions()
    write_as(data, "gears", tmp_path / "again.h5ad")
    assert read(tmp_path / "again.h5ad").conditions() == small_data.conditions()


@pytest.mark.filterwarnings("ignore:.*without encoding metadata")
@pytest.mark.parametrize("version", ["0.7", "0.8", "today"])
def test_files_of_other_anndata_versions_are_read(small_data, tmp_path: Path, version: str) -> None:
    """0.7 wrote categories apart from their codes, and neither version nor kind at the top; 0.8 wrote both."""
    write_as(small_data, "gears", tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        if version != "today":
            del file["uns"]
            file.create_group("uns")
        if version == "0.7":
            del file.attrs["encoding-type"], file.attrs["encoding-version"]
            _as_anndata_0_7(file["obs"])
    data = read(tmp_path / "a.h5ad")
    assert data.conditions() == small_data.conditions()
    assert sp.issparse(data.x)
    np.testing.assert_array_equal(data.x.toarray(), small_data.x.toarray())


def _as_anndata_0_7(frame: h5py.Group) -> None:
    """Codes as a data set with a reference to ``__categories/NAME``, as anndata 0.7 wrote them."""
    apart = frame.create_group("__categories")
    for name in [name for name in frame if name != "__categories" and isinstance(frame[name], h5py.Group)]:
        codes, categories = frame[name]["codes"][:], frame[name]["categories"][:]
        del frame[name]
        apart.create_dataset(name, data=categories, dtype=h5py.string_dtype())
        frame.create_dataset(name, data=codes)
        frame[name].attrs["categories"] = apart[name].ref
    frame.attrs["encoding-version"] = "0.1.0"


def test_tables_of_scanpy_are_read_as_effects(small_data, tmp_path: Path) -> None:
    sc = pytest.importorskip("scanpy")
    frames = []
    for context in small_data.contexts:
        cells = small_data.subset(c for c in small_data.conditions() if c.context == context).adata.copy()
        cells.obs["perturbation"] = cells.obs["perturbation"].cat.remove_unused_categories()
        sc.tl.rank_genes_groups(cells, "perturbation", reference="control")
        frames.append(sc.get.rank_genes_groups_df(cells, None).assign(cell_type=context))
    table = pd.concat(frames)
    table.to_csv(tmp_path / "genes.csv", index=False)
    effects = read_effects(tmp_path / "genes.csv")
    expected = table.pivot_table(index=["cell_type", "group"], columns="names", values="logfoldchanges", observed=True)
    rows = [expected.loc[(c.context, c.perturbation), effects.genes] for c in effects.conditions()]
    assert effects.scale == "log_fold_change"
    assert len(rows) == len(expected)
    np.testing.assert_allclose(effects.effect, np.array(rows) * np.log(2), rtol=1e-5)
