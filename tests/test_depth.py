"""Cells at real depth: counts drawn around a mean, against the law that they are drawn from."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

import cycseq
from conftest import make_counts
from cycseq.data.dataset import PerturbationData
from cycseq.models.counts.depth import CountSource, Tilt, dispersions, known_counts

N_CELLS, N_GENES, DISPERSION = 600, 60, 0.5


def negative_binomial(total: np.ndarray, rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gamma = rng.gamma(1 / DISPERSION, DISPERSION, size=(len(total), len(rate)))
    return rng.poisson(total[:, None] * rate * gamma).astype(float)


def logged(counts: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.log1p(counts / total[:, None] * 1e4)


@pytest.fixture(scope="module")
def world() -> dict[str, np.ndarray]:
    """Control and perturbed counts of one law; a third of the genes rises 4-fold, a third falls to a quarter."""
    rng = np.random.default_rng(0)
    total, others = (np.exp(rng.normal(np.log(2_000), 0.4, N_CELLS)) for _ in range(2))
    rate = np.exp(rng.uniform(np.log(1e-4), np.log(1e-2), N_GENES))
    fold = np.repeat([4.0, 0.25, 1.0], N_GENES // 3)
    control, perturbed = negative_binomial(total, rate, rng), negative_binomial(others, rate * fold, rng)
    return {"total": total, "control": control, "fold": fold, "perturbed": logged(perturbed, others)}


def source_of(world: dict[str, np.ndarray]) -> CountSource:
    return CountSource(sp.csr_matrix(world["control"]), world["total"], np.full(N_GENES, DISPERSION))


def counts_of(cells: sp.csr_matrix, total: np.ndarray) -> np.ndarray:
    return np.expm1(cells.toarray().astype(float)) * total[:, None] / 1e4


def test_counts_come_back_from_log1p_or_are_said_to_be_unknown():
    made = make_counts()
    settings = cycseq.PrepareSettings(genes="all", min_genes=0, min_cells=0)
    data = cycseq.prepare([PerturbationData.from_anndata(made)], settings)
    assert (known_counts(data) != sp.csr_matrix(made[data.adata.obs_names, data.genes].X)).nnz == 0
    for total in (data.adata.obs["total_counts"] * 1.37, None):
        obs = data.adata.obs.drop(columns="total_counts")
        obs = obs if total is None else obs.assign(total_counts=total)
        assert known_counts(PerturbationData(ad.AnnData(data.x, obs, data.adata.var), scale="log1p")) is None


def test_dispersion_is_that_of_the_law_whatever_the_groups_rates(world):
    rng = np.random.default_rng(1)
    total = np.tile(world["total"], 4)
    rates = np.exp(rng.uniform(np.log(3e-3), np.log(1e-2), (4, 20)))
    groups = np.repeat(np.arange(4), N_CELLS)
    gamma = rng.gamma(1 / DISPERSION, DISPERSION, size=(len(total), 20))
    counts = rng.poisson(total[:, None] * rates[groups] * gamma).astype(float)
    found = dispersions(sp.csr_matrix(counts), total, groups, 4)
    np.testing.assert_allclose(np.median(found), DISPERSION, rtol=0.1)
    np.testing.assert_allclose(found, DISPERSION, rtol=0.4)


@pytest.mark.parametrize("keep", [False, True])
def test_drawn_cells_are_whole_counts_with_the_mean_that_was_asked_for(world, keep):
    target = world["perturbed"].mean(axis=0)
    target[[0, 25]] = 0.0, 6.0  # one gene shall vanish, one rise a hundredfold
    rows = np.random.default_rng(2).integers(0, N_CELLS, 300)  # some cells twice
    total = world["total"][rows]
    made = source_of(world).drawn(rows, target, np.random.default_rng(3), keep=keep)
    counts = counts_of(made, total)
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-2)
    half_a_count = np.log1p(1e4 / total.min()) / 2 / len(rows)
    np.testing.assert_allclose(made.toarray().mean(axis=0, dtype=float), target, atol=half_a_count + 1e-6)
    assert made[:, 0].nnz == 0


@pytest.mark.parametrize("keep", [False, True])
def test_drawn_cells_have_the_zeros_and_the_variance_of_real_ones_and_shifted_ones_do_not(world, keep):
    real = world["perturbed"]
    made = source_of(world).drawn(np.arange(N_CELLS), real.mean(axis=0), np.random.default_rng(4), keep=keep).toarray()
    control = logged(world["control"], world["total"])
    shifted = np.maximum(control + real.mean(axis=0) - control.mean(axis=0), 0.0)

    def zero_error(cells: np.ndarray) -> float:
        return float(np.sqrt((((cells == 0).mean(axis=0) - (real == 0).mean(axis=0)) ** 2).mean()))

    assert zero_error(made) < 0.03  # sampling alone: sqrt(2 x 0.25 / 600) = 0.029 at most
    assert zero_error(shifted) > 0.2
    expressed = real.mean(axis=0) > 0.3
    ratio = made.var(axis=0)[expressed] / real.var(axis=0)[expressed]
    np.testing.assert_allclose(np.median(ratio), 1.0, atol=0.08)
    np.testing.assert_allclose(ratio, 1.0, atol=0.4)


def test_kept_counts_are_only_taken_from_falling_genes_and_only_given_to_rising_ones(world):
    rows = np.arange(N_CELLS)
    made = source_of(world).drawn(rows, world["perturbed"].mean(axis=0), np.random.default_rng(5), keep=True)
    change = np.rint(counts_of(made, world["total"])) - world["control"]
    assert (change[:, world["fold"] == 4.0] >= 0).all()
    assert (change[:, world["fold"] == 0.25] <= 0).all()
    assert (change[:, world["fold"] == 4.0] > 0).any(axis=0).all()


@pytest.mark.parametrize("keep", [False, True])
def test_a_tilt_moves_counts_between_cells_and_leaves_the_mean(world, keep):
    target = logged(world["control"], world["total"]).mean(axis=0)
    score = np.repeat([1.0, -1.0], N_CELLS // 2)[:, None]
    tilt = Tilt(score, np.where(np.arange(N_GENES) % 2 == 0, 1.0, 0.0)[None, :])
    made = source_of(world).drawn(np.arange(N_CELLS), target, np.random.default_rng(6), tilt=tilt, keep=keep)
    np.testing.assert_allclose(made.toarray().mean(axis=0), target, atol=0.01)
    counts = counts_of(made, world["total"]) / world["total"][:, None]
    ratio = counts[: N_CELLS // 2].sum(axis=0) / counts[N_CELLS // 2 :].sum(axis=0)
    known = world["control"].sum(axis=0) > 2_000
    np.testing.assert_allclose(np.median(ratio[known & (tilt.loadings[0] > 0)]), np.exp(2.0), rtol=0.2)
    np.testing.assert_allclose(np.median(ratio[known & (tilt.loadings[0] == 0)]), 1.0, rtol=0.2)


def test_the_slope_is_the_change_of_the_mean_when_counts_rise_a_little(world):
    source = source_of(world)
    typical = CountSource(source.counts, np.full(N_CELLS, np.median(world["total"])), source.dispersion)
    rng, rate = np.random.default_rng(7), source.rate
    gamma = rng.gamma(1 / DISPERSION, DISPERSION, size=(20_000, N_GENES))
    expected = np.median(world["total"]) * rate * gamma
    many = np.full(20_000, np.median(world["total"]))
    low, high = (logged(rng.poisson(expected * f), many).mean(axis=0) for f in (0.8, 1.25))
    known = high > 0.2
    np.testing.assert_allclose(
        typical.slope((low + high) / 2)[known], ((high - low) / (2 * np.log(1.25)))[known], rtol=0.12
    )
