"""Counts of any model: the profile that an effect asks for, the cells that have it, and the command that writes them."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import cycseq
from conftest import make_counts
from cycseq.cli import BAD_INPUT, SUCCESS, main
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError
from cycseq.models import build_model
from cycseq.models.counts.draw import draw_counts
from cycseq.models.counts.profile import ControlCounts
from cycseq.preparation.counts import counts_of
from cycseq.preparation.log_pseudobulk import log_pseudobulk_effects
from cycseq.run.fitting import fit_run
from cycseq.run.folder import Run
from cycseq.split.make import make_splits
from cycseq.split.settings import SplitSettings

N_CELLS, N_GENES, DISPERSION = 600, 60, 0.5


def negative_binomial(total: np.ndarray, rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gamma = rng.gamma(1 / DISPERSION, DISPERSION, size=(len(total), len(rate)))
    return rng.poisson(total[:, None] * rate * gamma).astype(float)


def logged(counts: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.log1p(counts / total[:, None] * 1e4)


@pytest.fixture(scope="module")
def world() -> dict[str, np.ndarray]:
    """Control and perturbed counts of one law; a third of the genes rises, a third falls to a sixteenth of that, the sum stays."""
    rng = np.random.default_rng(0)
    total, others = (np.exp(rng.normal(np.log(2_000), 0.4, N_CELLS)) for _ in range(2))
    rate = np.exp(rng.uniform(np.log(1e-4), np.log(1e-2), N_GENES))
    fold = np.repeat([4.0, 0.25, 1.0], N_GENES // 3)
    fold *= rate.sum() / (rate * fold).sum()
    control, perturbed = negative_binomial(total, rate, rng), negative_binomial(others, rate * fold, rng)
    return {"total": total, "control": control, "fold": fold, "perturbed": logged(perturbed, others)}


@pytest.fixture(scope="module")
def controls(world: dict[str, np.ndarray]) -> ControlCounts:
    return ControlCounts(sp.csr_matrix(world["control"]), world["total"])


# --- counts behind log1p values ---------------------------------------------------------------------------------------


def test_counts_are_recovered_with_or_without_library_sizes_or_not_at_all() -> None:
    made = make_counts(genes=300)
    counts, total = made.X.copy(), np.asarray(made.X.sum(axis=1)).ravel()
    made.X = sp.csr_matrix(np.log1p(counts.toarray() / total[:, None] * 1e4), dtype=np.float32)
    data = PerturbationData.from_anndata(made, scale="log1p")

    def recovered(change: dict[str, Any], x: sp.csr_matrix = data.x) -> tuple[sp.csr_matrix, np.ndarray]:
        obs = data.adata.obs.assign(**change)
        return counts_of(PerturbationData(ad.AnnData(x, obs, data.adata.var), "log1p"))

    for known in ({"total_counts": total}, {}):
        found, sizes = recovered(known)
        assert (found != counts).nnz == 0
        np.testing.assert_allclose(sizes, total, rtol=1e-4)
    smooth = data.x.copy()
    smooth.data += 0.1 * np.sin(np.arange(smooth.nnz))
    for known, x in (({"total_counts": total * 1.37}, data.x), ({}, smooth)):
        with pytest.raises(DataError, match="cannot be recovered"):
            recovered(known, x)
    empty = sp.csr_matrix(data.x.shape, dtype=np.float32)
    np.testing.assert_array_equal(recovered({}, empty)[1], 0)


# --- profiles ---------------------------------------------------------------------------------------------------------


def test_dispersion_is_that_of_the_law() -> None:
    rng = np.random.default_rng(1)
    total = np.exp(rng.normal(np.log(2_000), 0.4, 3_000))
    rate = np.exp(rng.uniform(np.log(3e-3), np.log(1e-2), 20))
    controls = ControlCounts(sp.csr_matrix(negative_binomial(total, rate, rng)), total)
    np.testing.assert_allclose(np.median(controls.dispersion), DISPERSION, rtol=0.1)
    np.testing.assert_allclose(controls.dispersion, DISPERSION, rtol=0.4)


def test_a_change_of_log1p_means_is_turned_into_the_fold_of_pooled_counts_that_makes_it(world, controls) -> None:
    rng = np.random.default_rng(2)
    total = np.tile(world["total"], 20)
    share = controls.pooled / world["total"].sum()
    before = logged(negative_binomial(total, share, rng), total).mean(axis=0)
    after = logged(negative_binomial(total, share * world["fold"], rng), total).mean(axis=0)
    profile = controls.profile(after - before, "log1p")
    wanted = controls.pooled * world["fold"]
    np.testing.assert_allclose(np.log(profile / (wanted / wanted.sum())), 0.0, atol=0.25)
    log_fold = controls.profile(np.log(world["fold"]), "log_fold_change")
    np.testing.assert_allclose(log_fold, wanted / wanted.sum())
    for scale in ("log1p", "log_fold_change"):
        unchanged = controls.profile(np.zeros(N_GENES), scale)
        np.testing.assert_allclose(unchanged, controls.pooled / controls.pooled.sum())


def test_a_log_pseudobulk_effect_is_met_exactly_but_for_the_sum(controls) -> None:
    share = controls.pooled / controls.pooled.sum()
    wanted = np.random.default_rng(7).dirichlet(1e3 * share)
    effect = np.log1p(5e4 * wanted) - np.log1p(5e4 * share)
    np.testing.assert_allclose(controls.profile(effect, "log_pseudobulk"), wanted, rtol=1e-9)


# --- cells ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(world, controls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, profile, and the counts made from these."""
    rows = np.random.default_rng(3).integers(0, N_CELLS, 500)  # some cells twice
    level = controls.pooled * world["fold"]
    profile = level / level.sum()
    return rows, profile, draw_counts(controls, rows, profile, np.random.default_rng(4)).toarray()


def test_the_sum_of_the_cells_has_the_profile_to_half_a_count(world, drawn) -> None:
    rows, profile, counts = drawn
    np.testing.assert_array_equal(counts, np.rint(counts))
    assert counts.min() >= 0
    assert np.abs(counts.sum(axis=0) - profile * world["control"][rows].sum()).max() <= 0.5


def test_counts_are_only_taken_from_falling_genes_and_only_added_to_rising_ones(world, controls, drawn) -> None:
    rows, profile, counts = drawn
    change = counts - world["control"][rows]
    goal = np.rint(profile * world["control"][rows].sum()) - world["control"][rows].sum(axis=0)
    assert (change[:, goal > 0] >= 0).all()
    assert (change[:, goal < 0] <= 0).all()
    gone = np.where(np.arange(N_GENES) == 5, 0.0, controls.pooled)
    assert not draw_counts(controls, rows, gone / gone.sum(), np.random.default_rng(5))[:, 5].nnz


def test_cells_have_the_depth_zeros_and_variance_of_real_ones(world, controls, drawn) -> None:
    rows, _, counts = drawn
    depth = world["control"][rows].sum(axis=1)
    assert np.corrcoef(np.log(counts.sum(axis=1)), np.log(depth))[0, 1] > 0.6
    made, real = logged(counts, world["total"][rows]), world["perturbed"]
    assert np.sqrt((((made == 0).mean(axis=0) - (real == 0).mean(axis=0)) ** 2).mean()) < 0.05
    expressed = real.mean(axis=0) > 0.3
    np.testing.assert_allclose(np.median((made.var(axis=0) / real.var(axis=0))[expressed]), 1.0, atol=0.12)


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> PerturbationData:
    counts = PerturbationData.from_anndata(make_counts(cells=60))
    return cycseq.prepare([counts], cycseq.PrepareSettings(genes="all", min_genes=0, min_cells=0))


@pytest.fixture(scope="module")
def run(data: PerturbationData, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("counts")
    data.write(folder / "data.h5ad")
    (split,) = make_splits(data, SplitSettings(kind="unseen-context", context="K562"))
    model = build_model("ContextAdditive", {"amplitude": 1.0})
    return fit_run(data, split, model, folder / "run", data_path=folder / "data.h5ad")


def controls_seen(run: Run, data: PerturbationData) -> PerturbationData:
    """Those that the split does not hold back."""
    return run.split.parts(data).train.controls(["K562"])


def test_the_command_writes_counts_whose_sums_have_the_predicted_profile(run, data, tmp_path, capsys) -> None:
    words = f"predict --run {run.folder} --conditions test --as counts --cells 70 --out {tmp_path}/counts.h5ad"
    assert main([*words.split(), "--pairs", f"{tmp_path}/pairs.csv"]) == SUCCESS
    assert "280 predicted cells x 60 genes, counts" in capsys.readouterr().out
    made = cycseq.read(tmp_path / "counts.h5ad")
    assert made.scale == "counts"
    assert sp.issparse(made.x)
    assert made.provenance()["model"] == "ContextAdditive"
    assert set(made.adata.obs["source_cell"]) <= set(data.adata.obs_names)
    effects = run.predict_effects()
    source = ControlCounts.of(controls_seen(run, data), data.genes)
    for condition, effect in zip(effects.conditions(), effects.effect, strict=True):
        cells = made.cells(condition)
        assert len(cells) == 70
        pooled = cells.sum(axis=0, dtype=np.float64)
        wanted = source.profile(effect, "log1p")
        assert np.abs(np.log1p(5e4 * pooled / pooled.sum()) - np.log1p(5e4 * wanted)).max() < 0.05
    same = run.predict(form="counts", n_cells=70)
    assert (same.x != made.x).nnz == 0
    assert (run.predict(form="counts", n_cells=70, seed=1).x != made.x).nnz


def test_counts_come_from_counts_of_the_users_own(run, data) -> None:
    counts = make_counts(cells=60)
    own = PerturbationData.from_anndata(counts[controls_seen(run, data).adata.obs_names].copy())
    given = run.predict(["K562:G1"], form="counts", controls=own, n_cells=20)
    assert (given.x != run.predict(["K562:G1"], form="counts", n_cells=20).x).nnz == 0
    control = Condition("K562", "control")
    np.testing.assert_array_equal(run.predict([control], form="counts").x.toarray(), own.cells(control))


def test_without_counts_it_says_so_in_one_line(run, data, tmp_path, capsys) -> None:
    smoothed = data.controls(["K562"]).adata.copy()
    smoothed.X.data *= 0.9
    PerturbationData(smoothed, scale="log1p").write(tmp_path / "smoothed.h5ad")
    words = f"predict --run {run.folder} --conditions K562:G1 --as counts --out {tmp_path}/counts.h5ad"
    assert main([*words.split(), "--controls", f"{tmp_path}/smoothed.h5ad"]) == BAD_INPUT
    error = capsys.readouterr().err
    assert "the counts behind these values cannot be recovered" in error
    assert "--controls FILE" in error
    assert main([*words.split(), "--genes_out", f"{tmp_path}/genes.csv"]) == BAD_INPUT
    assert "--genes-out needs predicted cells, but counts are predicted" in capsys.readouterr().err


def test_genes_of_which_nothing_is_known_are_refused(data) -> None:
    with pytest.raises(DataError, match="genes are missing"):
        ControlCounts.of(data.controls(["K562"]), [*data.genes, "G999"])


# --- the scale of log pseudobulk --------------------------------------------------------------------------------------


def log_pseudobulk(counts: np.ndarray) -> np.ndarray:
    pooled = counts.sum(axis=0)
    return np.log1p(5e4 * pooled / pooled.sum())


def test_effects_are_differences_of_log_profiles_of_summed_counts(data) -> None:
    raw = make_counts(cells=60)
    effects = log_pseudobulk_effects(data)
    assert effects.scale == "log_pseudobulk"

    def profile(context: str, perturbation: str, batch: str) -> np.ndarray:
        here = (raw.obs[["cell_type", "perturbation", "batch"]] == [context, perturbation, batch]).all(axis=1)
        pooled = raw[here].X.toarray().sum(axis=0)
        return pooled / pooled.sum()

    every = raw[(raw.obs["cell_type"] == "RPE1") & (raw.obs["perturbation"] == "G2")].X.toarray()
    matched = (profile("RPE1", "control", "b0") + profile("RPE1", "control", "b1")) / 2  # half of the cells are in each
    row = effects.conditions().index(Condition("RPE1", "G2"))
    np.testing.assert_allclose(effects.effect[row], log_pseudobulk(every) - np.log1p(5e4 * matched), atol=1e-5)
    np.testing.assert_allclose(effects.layer("mean")[row], log_pseudobulk(every), atol=1e-5)


def test_standard_errors_are_those_of_the_jackknife() -> None:
    raw = make_counts(contexts=("K562",), cells=80)
    effects = log_pseudobulk_effects(PerturbationData.from_anndata(raw, scale="counts"))

    def jackknife(counts: np.ndarray) -> np.ndarray:
        left_out = np.stack([log_pseudobulk(np.delete(counts, i, axis=0)) for i in range(len(counts))])
        return (len(counts) - 1) * left_out.var(axis=0)

    of = {name: raw[raw.obs["perturbation"] == name].X.toarray() for name in ("control", "G1")}
    expected = np.sqrt(jackknife(of["G1"]) + jackknife(of["control"]))
    se = effects.layer("se")[effects.conditions().index(Condition("K562", "G1"))]
    np.testing.assert_allclose(np.median(se / expected), 1.0, atol=0.05)
    np.testing.assert_allclose(se, expected, rtol=0.3)


def test_a_model_learns_on_that_scale_from_cells_or_from_their_summary(data, tmp_path, capsys) -> None:
    data.write(tmp_path / "data.h5ad")
    f = tmp_path
    for words in (
        f"split --data {f}/data.h5ad --kind unseen-context --context K562 --out {f}/s.json",
        f"fit --data {f}/data.h5ad --split {f}/s.json --model ContextAdditive --model.response log_pseudobulk --run {f}/run",
        f"predict --run {f}/run --as counts --cells 50 --out {f}/counts.h5ad",
        f"predict --run {f}/run --as effects --out {f}/predicted.h5ad",
        f"summarize {f}/data.h5ad --response log_pseudobulk --out {f}/effects.h5ad",
        f"split --data {f}/effects.h5ad --kind unseen-context --context K562 --out {f}/se.json",
        f"fit --data {f}/effects.h5ad --split {f}/se.json --model ContextAdditive --run {f}/again",
        f"predict --run {f}/again --as counts --controls {f}/data.h5ad --cells 50 --out {f}/more.h5ad",
    ):
        assert main(words.split()) == SUCCESS, words
    effects = cycseq.read_effects(f / "predicted.h5ad")
    assert effects.scale == "log_pseudobulk"
    run, made = Run.open(f / "run"), cycseq.read(f / "counts.h5ad")
    source = ControlCounts.of(controls_seen(run, data), data.genes)
    for condition, effect in zip(effects.conditions(), effects.effect, strict=True):
        wanted = np.expm1(log_pseudobulk(source.counts.toarray()) + effect)
        shown = log_pseudobulk(made.cells(condition))
        np.testing.assert_allclose(shown, np.log1p(5e4 * wanted / wanted.sum()), atol=0.05)
    capsys.readouterr()
    assert main(f"predict --run {f}/run --as cells --out {f}/cells.h5ad".split()) == BAD_INPUT
    assert "predict counts or effects (--as counts, --as effects)" in capsys.readouterr().err


# --- amplitude --------------------------------------------------------------------------------------------------------


def test_an_amplitude_is_learned_from_contexts_that_are_left_out(data, tmp_path, capsys) -> None:
    data.write(tmp_path / "data.h5ad")
    (split,) = make_splits(data, SplitSettings(kind="unseen-context", context="K562"))
    weak = build_model("ContextAdditive", {"amplitude": 0.5})
    run = fit_run(data, split, weak, tmp_path / "run", data_path=tmp_path / "data.h5ad")
    words = f"predict --run {run.folder} --as counts --cells 40 --out {tmp_path}/counts.h5ad"
    assert main([*words.split(), "--aim", "mse"]) == SUCCESS
    amplitude = cycseq.read(tmp_path / "counts.h5ad").provenance()["amplitude"]
    assert amplitude > 1.0
    assert (
        f"effects are multiplied by {amplitude:g}, the amplitude that is best for held-out training contexts"
        in capsys.readouterr().out
    )
    assert main([*words.replace("counts", "effects").split(), "--aim", "mse"]) == BAD_INPUT
    assert "--aim sets the amplitude of predicted counts" in capsys.readouterr().err
