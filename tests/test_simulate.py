"""Simulated data: their truth is true, their pairs are pairs, and their worlds are what they say."""

from __future__ import annotations

import itertools

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import SettingsError
from cycseq.preparation.pseudobulk import responses
from cycseq.simulation.counts import CountLaw, ExpectedLog1p
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import WORLDS, SimulateSettings

SMALL = {"contexts": 2, "perturbations": 6, "cells": 640, "genes": 200, "seed": 1}


def small(**said: object) -> PerturbationData:
    return simulate(SimulateSettings(**{**SMALL, **said}))


def log1p(data: PerturbationData) -> PerturbationData:
    adata = data.adata.copy()
    counts = data.x.toarray()
    adata.X = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    return PerturbationData(adata=adata, scale="log1p")


def truth_of(data: PerturbationData, context: str) -> np.ndarray:
    table = data.adata.varm["true_delta"]
    return table[[c for c in table if c.startswith(f"{context}:")]].to_numpy().T


def test_shape_and_labels_are_as_asked() -> None:
    data = simulate(SimulateSettings(contexts=3, perturbations=8, doubles=4, cells=3000, genes=150, batches=3))
    assert (data.n_cells, len(data.genes), data.contexts) == (3000, 150, ("Line1", "Line2", "Line3"))
    assert data.scale == "counts"
    assert len(data.conditions()) == 3 * (1 + 8 + 4)
    assert all(set(c.parts) <= set(data.genes) for c in data.conditions())
    assert sum(len(c.parts) == 2 for c in data.conditions()) == 12
    n_cells = dict(zip(data.conditions(), data.moments.n_cells, strict=True))
    assert n_cells[Condition("Line1", "control")] >= 10 * max(n for c, n in n_cells.items() if not c.is_control)
    assert data.adata.obs.groupby(["context", "perturbation"], observed=True)["batch"].nunique().min() == 3
    assert sp.issparse(data.x)
    assert data.x.dtype == np.float32
    assert (data.x.data == np.rint(data.x.data)).all()
    again = PerturbationData.from_anndata(data.adata)
    assert again.scale == "counts"
    assert again.conditions() == data.conditions()


def test_what_is_written_is_read(tmp_path) -> None:
    data = small(doubles=3)
    data.write(tmp_path / "sim.h5ad")
    read = ad.read_h5ad(tmp_path / "sim.h5ad")
    assert (read.layers["true_pair"] != data.adata.layers["true_pair"]).nnz == 0
    assert read.varm["true_delta"].equals(data.adata.varm["true_delta"])
    assert read.obs["pair_perturbation"].equals(data.adata.obs["pair_perturbation"])


def test_the_seed_fixes_everything() -> None:
    one, again, other = small(), small(), small(seed=2)
    assert one.fingerprint() == again.fingerprint()
    assert (one.adata.layers["true_pair"] != again.adata.layers["true_pair"]).nnz == 0
    assert one.fingerprint() != other.fingerprint()


def test_the_truth_does_not_depend_on_the_number_of_cells() -> None:
    one, more = small(), small(cells=1280)
    np.testing.assert_array_equal(truth_of(one, "Line1"), truth_of(more, "Line1"))


@pytest.mark.parametrize(("dropout", "dispersion"), [(0.0, 0.25), (0.3, 0.25), (0.0, 0.0)])
def test_the_truth_is_what_many_cells_show(dropout: float, dispersion: float) -> None:
    data = simulate(
        SimulateSettings(
            contexts=1,
            perturbations=3,
            doubles=1,
            cells=14_000,
            genes=150,
            dropout=dropout,
            dispersion=dispersion,
            seed=4,
        )
    )
    seen = responses(log1p(data))
    truth = data.adata.varm["true_delta"][[str(c) for c in seen.conditions]].to_numpy().T
    often = data.moments.mean.mean(axis=0) > 0.05
    z = ((seen.delta - truth) / np.sqrt(seen.noise))[:, often]
    assert np.sqrt(np.mean(z**2)) < 1.25
    assert np.corrcoef(seen.delta[:, often].ravel(), truth[:, often].ravel())[0, 1] > 0.97
    assert np.abs(truth).max() > 0.5


@pytest.mark.parametrize("dispersion", [0.0, 0.4])
def test_counts_follow_the_law(dispersion: float) -> None:
    mean, lost, n = 3.0, 0.2, 200_000
    law = CountLaw(dispersion, lost)
    counts = law.draw(np.full((n // 50, 50), mean, dtype=np.float32), np.random.default_rng(0)).toarray().ravel()
    whole = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean)) if dispersion else stats.poisson(mean)
    expected = (1 - lost) * whole.pmf(np.arange(12)) + lost * (np.arange(12) == 0)
    np.testing.assert_allclose(np.bincount(counts.astype(int))[:12] / n, expected, atol=5 * np.sqrt(0.25 / n))
    library = np.array([500.0, 4000.0])
    values = np.arange(3000)
    for i, size in enumerate(library):
        scaled = np.log1p(1e4 * values / (size * (1 - lost)))
        exact = (1 - lost) * np.sum(whole.pmf(values) * scaled)
        got = ExpectedLog1p(law, library)(np.full((2, 1), np.log(mean), dtype=np.float32))[i, 0]
        assert got == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize("dispersion", [0.0, 0.4])
def test_both_counts_of_a_pair_follow_the_law_and_belong_together(dispersion: float) -> None:
    rng, law, n = np.random.default_rng(0), CountLaw(dispersion, 0.1), 200_000
    means = [np.full((n // 50, 50), mean, dtype=np.float32) for mean in (2.0, 3.0)]
    pairs = law.draw_pairs(*means, rng)
    first, second = pairs.control.toarray().ravel(), pairs.perturbed.toarray().ravel()
    for counts, mean in ((first, 2.0), (second, 3.0)):
        alone = law.draw(np.full((n // 50, 50), mean, dtype=np.float32), np.random.default_rng(1)).toarray().ravel()
        assert counts.mean() == pytest.approx(0.9 * mean, rel=0.02)
        assert counts.var() == pytest.approx(alone.var(), rel=0.03)
    assert (second >= first).all()
    assert np.corrcoef(first, second)[0, 1] > 0.8
    same = law.draw_pairs(means[0], means[0].copy(), rng)
    assert (same.control != same.perturbed).nnz == 0


def test_the_pair_of_a_cell_is_the_same_cell_perturbed() -> None:
    data = small(cells=1600)
    obs = data.adata.obs
    control = (obs["perturbation"] == "control").to_numpy()
    pairs = data.adata.layers["true_pair"]
    assert obs["pair_perturbation"].notna().to_numpy().tolist() == control.tolist()
    assert (np.diff(pairs.indptr)[~control] == 0).all()
    assert (np.diff(pairs.indptr)[control] > 0).all()
    x, y = np.log1p(data.x[control].toarray()), np.log1p(pairs[control].toarray())
    shuffled = np.random.default_rng(0).permutation(len(x))

    def agreement(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([np.corrcoef(one, other)[0, 1] for one, other in zip(a, b, strict=True)]))

    assert agreement(x, y) > agreement(x[shuffled], y) + 0.15
    who = obs["pair_perturbation"].astype(str).to_numpy()[control]
    knocked_out = data.adata.var_names[data.adata.var["perturbed_as"] == "knock-out"]
    for gene in knocked_out:
        at = data.genes.index(gene)
        assert y[who == gene, at].mean() < x[who == gene, at].mean()
    assert len(knocked_out) == round(0.75 * SMALL["perturbations"])


def test_pairs_respond_as_perturbed_cells_do() -> None:
    data = simulate(SimulateSettings(contexts=1, perturbations=2, cells=4000, genes=100, seed=3))
    obs, normal = data.adata.obs, log1p(data)
    pairs = np.asarray(data.adata.layers["true_pair"].toarray())
    control = (obs["perturbation"] == "control").to_numpy()
    for perturbation in data.perturbations:
        mine = control & (obs["pair_perturbation"] == perturbation).to_numpy()
        after = np.log1p(pairs[mine] / pairs[mine].sum(axis=1, keepdims=True) * 1e4)
        delta = (after - normal.x[mine]).mean(axis=0)
        truth = data.adata.varm["true_delta"][f"Line1:{perturbation}"].to_numpy()
        assert np.corrcoef(delta, truth)[0, 1] > 0.97


def test_without_effects_a_pair_is_its_cell_and_there_is_no_response() -> None:
    data = small(effect=0.0, common=0.0, overexpression=0.0)
    x, pairs = data.x, data.adata.layers["true_pair"]
    rows = np.flatnonzero((data.adata.obs["perturbation"] == "control").to_numpy())
    own = np.array([data.genes.index(g) for g in data.adata.obs["pair_perturbation"].iloc[rows]])
    moved = np.abs(x[rows] - pairs[rows]).toarray()
    moved[np.arange(len(rows)), own] = 0
    share_of_total = moved.sum() / x[rows].sum()
    assert share_of_total < 0.05  # what is left of the perturbed gene is shared among all others
    deltas = truth_of(data, "Line1")
    assert all(np.argmax(np.abs(delta)) in own for delta in deltas)


def specific(data: PerturbationData) -> np.ndarray:
    """Correlation of true responses to the same perturbation between contexts, perturbed genes aside."""
    names = data.perturbations
    aside = np.isin(data.genes, names)
    found = []
    for one, other in itertools.combinations(data.contexts, 2):
        a, b = (truth_of(data, context)[:, ~aside] for context in (one, other))
        found += [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    return np.array(found)


def test_worlds_share_as_much_as_they_say() -> None:
    likeness = {
        world: np.median(specific(small(world=world, contexts=2, cells=480, genes=300, long_tail_cells=5)))
        for world in WORLDS
    }
    assert likeness["easy"] > 0.75
    assert 0.2 < likeness["context-specific"] < 0.65
    assert likeness["context-specific"] < likeness["long-tail"] < likeness["easy"]
    assert abs(likeness["unrelated"]) < 0.1
    assert np.median(specific(small(shared=1.0, world="unrelated"))) > 0.8


def test_long_tail_contexts_have_few_cells() -> None:
    data = small(world="long-tail", contexts=3, cells=2000, long_tail_cells=7)
    n_cells = dict(zip(data.conditions(), data.moments.n_cells, strict=True))
    assert data.n_cells == 2000
    assert {n for c, n in n_cells.items() if c.context == "Line3" and not c.is_control} == {7}
    assert n_cells[Condition("Line3", "control")] == 70
    assert min(n for c, n in n_cells.items() if c.context != "Line3") > 50


def test_doubles_depart_from_additivity_with_the_interaction() -> None:
    def excess(interaction: float) -> float:
        table = small(doubles=8, interaction=interaction).adata.varm["true_delta"]
        doubles = [c for c in table if "+" in c]
        additive = [sum(table[f"{c.split(':')[0]}:{p}"] for p in c.split(":")[1].split("+")) for c in doubles]
        departure = [np.std(table[c] - a) / np.std(table[c]) for c, a in zip(doubles, additive, strict=True)]
        return float(np.median(departure))

    assert 0.02 < excess(0.0) < excess(0.5) < excess(1.5)
    assert excess(0.5) > 0.15


def test_cells_look_like_cells() -> None:
    data = simulate(SimulateSettings(contexts=1, perturbations=2, cells=600, genes=2000))
    control = data.x[data.rows(Condition("Line1", "control"))]
    total = np.asarray(control.sum(axis=1)).ravel()
    assert np.median(total) == pytest.approx(2000, rel=0.1)
    assert np.log(total).std() == pytest.approx(0.4, abs=0.05)
    assert 0.65 < 1 - control.nnz / np.prod(control.shape) < 0.9
    mean = np.asarray(control.mean(axis=0)).ravel()
    variance = np.asarray(control.power(2).mean(axis=0)).ravel() - mean**2
    often = mean > 0.5
    assert np.median(variance[often] / mean[often]) > 1.3
    slope = stats.linregress(np.log(mean[often]), np.log(variance[often])).slope
    assert 1.2 < slope < 2.0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"perturbations": 101}, "at most half of the genes.*--perturbations 100"),
        ({"cells": 60}, "--cells 64 or more"),
        ({"doubles": 16}, "make 15 pairs"),
        ({"shared": 1.5}, "--shared is 1.5.*must lie between 0 and 1"),
        ({"contexts": 0}, "--contexts is 0.*must be 1 or more"),
        ({"long_tail_contexts": 3}, "fewer --long-tail-contexts"),
        ({"dropout": float("nan")}, "--dropout"),
        (
            {"library_size": 100.0, "dropout": 0.9, "library_spread": 2.0, "genes": 10, "perturbations": 1},
            "empty|--library-size",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(said: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        small(**said)


def test_the_least_number_of_cells_that_is_named_is_enough() -> None:
    assert small(cells=64).n_cells == 64


def test_an_unknown_world_is_refused_by_name() -> None:
    said = SimulateSettings()
    said.world = "esay"
    with pytest.raises(SettingsError, match="did you mean 'easy'"):
        simulate(said)
