"""ComBat: inmoose's values on controls, responses that survive, held-out cells without influence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError
from cycseq.preparation.batch_correction import correct_batches
from cycseq.preparation.prepare import prepare
from cycseq.preparation.pseudobulk import responses
from cycseq.preparation.settings import PrepareSettings

N_GENES = 30


def cells(
    contexts: dict[str, tuple[str, ...]], shift: float = 1.0, seed: int = 0, n: int = 25, drug_in: str = ""
) -> PerturbationData:
    """log1p-like values: context profile + batch shift and spread + a drug's response; `drug_in` has more of it."""
    rng = np.random.default_rng(seed)
    batches = sorted({batch for of_context in contexts.values() for batch in of_context})
    move = {batch: shift * rng.normal(size=N_GENES) for batch in batches}
    spread = {batch: np.exp(0.3 * rng.normal(size=N_GENES)) for batch in batches}
    response = np.linspace(-1, 1, N_GENES)
    x, obs = [], []
    for context, of_context in contexts.items():
        profile = rng.normal(8, 1, N_GENES)
        for batch in of_context:
            for perturbation in ("control", "drug"):
                many = n * (5 if perturbation == "drug" and batch == drug_in else 1)
                mean = profile + move[batch] + response * (perturbation == "drug")
                x.append(mean + 0.5 * spread[batch] * rng.normal(size=(many, N_GENES)))
                obs += [(context, perturbation, batch)] * many
    frame = pd.DataFrame(obs, columns=["context", "perturbation", "batch"], index=[f"c{i}" for i in range(len(obs))])
    var = pd.DataFrame(index=[f"g{i}" for i in range(N_GENES)])
    return PerturbationData.from_anndata(
        AnnData(np.concatenate(x).astype(np.float32), obs=frame, var=var), scale="log1p"
    )


CROSSED = {"A": ("b1", "b2", "b3"), "B": ("b1", "b2", "b3")}


def controls(data: PerturbationData) -> np.ndarray:
    return (data.adata.obs["perturbation"] == "control").to_numpy()


def test_full_form_gives_controls_exactly_the_values_of_inmoose():
    from inmoose.pycombat import pycombat_norm

    data = cells({"A": ("b1", "b2", "b3"), "B": ("b2", "b3")})
    part = data.controls()
    covariate = pd.DataFrame({"context": part.adata.obs["context"].astype(str).to_numpy()})
    direct = pycombat_norm(
        np.asarray(part.x, dtype=np.float64).T, list(part.adata.obs["batch"].astype(str)), covar_mod=covariate
    )
    ours = correct_batches(data, spread=True).x[controls(data)]
    np.testing.assert_allclose(ours, np.asarray(direct).T, atol=2e-5)


def test_the_shift_is_the_shrunken_difference_of_control_means():
    """Closed form of one context: z = (x - m)/s; the batch mean of z is shrunk towards the mean over genes."""
    data = cells({"A": ("b1", "b2")})
    x = np.asarray(data.x, dtype=np.float64)
    batch = data.adata.obs["batch"].astype(str).to_numpy()
    masks = [controls(data) & (batch == b) for b in ("b1", "b2")]
    means = np.array([x[m].mean(axis=0) for m in masks])
    centre = means.mean(axis=0)
    s = np.sqrt(np.mean([x[m].var(axis=0) for m in masks], axis=0))
    corrected = correct_batches(data).x
    for m, mean in zip(masks, means, strict=True):
        z = (mean - centre) / s
        delta = x[m].var(axis=0, ddof=1) / s**2
        shrunken = (z.var() * m.sum() * z + delta * z.mean()) / (z.var() * m.sum() + delta)
        shift = (x[m] - corrected[m]).mean(axis=0)
        np.testing.assert_allclose(shift, shrunken * s, atol=0.02)
        assert np.ptp(x[m] - corrected[m], axis=0).max() < 1e-5


def test_batches_meet_and_differences_within_a_batch_survive():
    data = cells(CROSSED)
    corrected = correct_batches(data)
    batch = data.adata.obs["batch"].astype(str).to_numpy()
    moved = np.asarray(data.x) - corrected.x
    for b in ("b1", "b2", "b3"):
        np.testing.assert_allclose(moved[batch == b], moved[batch == b][:1].repeat((batch == b).sum(), 0), atol=1e-5)
    np.testing.assert_allclose(responses(corrected).delta, responses(data).delta, atol=1e-5)

    def gap(d: PerturbationData) -> float:
        means = pd.DataFrame(d.x[controls(data)]).groupby(batch[controls(data)]).mean()
        return float(means.std().mean())

    assert gap(corrected) < 0.1 * gap(data)


def test_a_drug_that_is_frequent_in_one_batch_is_not_regressed_away():
    data = correct_batches(cells(CROSSED, drug_in="b1"))
    np.testing.assert_allclose(responses(data).delta.mean(axis=0), np.linspace(-1, 1, N_GENES), atol=0.15)


def test_perturbed_cells_have_no_influence():
    data = cells(CROSSED)
    wild = np.array(data.x)
    wild[~controls(data)] *= 1.7
    other = PerturbationData(adata=AnnData(wild, obs=data.adata.obs, var=data.adata.var), scale="log1p")
    for spread in (False, True):
        one, two = (correct_batches(d, spread=spread).x[controls(data)] for d in (data, other))
        np.testing.assert_array_equal(one, two)


def test_batches_are_compared_where_contexts_connect_them():
    data = cells({"A": ("a1", "a2"), "B": ("b1", "b2"), "C": ("c1",)})
    corrected = correct_batches(data)
    context = data.adata.obs["context"].astype(str).to_numpy()
    means = [[d.x[(context == c) & controls(data)].mean(axis=0) for c in "ABC"] for d in (data, corrected)]
    np.testing.assert_allclose(means[0], means[1], atol=0.05)  # contexts are not pulled together
    np.testing.assert_array_equal(corrected.x[context == "C"], data.x[context == "C"])
    assert any("50 cells of 1 batch stayed" in note for note in corrected.notes)


def test_nothing_to_compare_is_said():
    data = cells({"A": ("a1",), "B": ("b1",)})
    corrected = correct_batches(data)
    np.testing.assert_array_equal(corrected.x, data.x)
    assert any("changed nothing" in note for note in corrected.notes)


def test_silent_genes_stay_finite():
    data = cells(CROSSED)
    x = np.array(data.x)
    x[controls(data), 0] = 0
    x[:, 1] = 0
    silent = PerturbationData(adata=AnnData(x, obs=data.adata.obs, var=data.adata.var), scale="log1p")
    for spread in (False, True):
        corrected = correct_batches(silent, spread=spread).x
        assert np.isfinite(corrected).all()
        np.testing.assert_array_equal(corrected[:, :2], x[:, :2])


def test_true_pairs_are_shifted_as_their_batch():
    data = cells(CROSSED)
    pair = np.array(data.x)
    pair[1::2] = 0
    data.adata.layers["true_pair"] = sp.csr_matrix(pair)
    corrected = correct_batches(data)
    layer = corrected.adata.layers["true_pair"].toarray()
    np.testing.assert_allclose(layer[::2], corrected.x[::2], atol=1e-5)
    assert not layer[1::2].any()


def test_in_prepare(small_counts):
    data = PerturbationData.from_anndata(small_counts)
    plain, corrected = (prepare([data], PrepareSettings(genes="all", combat=c)) for c in (False, True))
    assert isinstance(corrected.x, np.ndarray)
    assert corrected.scale == "log1p"
    np.testing.assert_allclose(responses(corrected).delta, responses(plain).delta, atol=1e-4)
    np.testing.assert_array_equal(corrected.x, correct_batches(plain).x)


def test_counts_are_refused(small_counts):
    with pytest.raises(DataError, match="needs log1p"):
        correct_batches(PerturbationData.from_anndata(small_counts))
