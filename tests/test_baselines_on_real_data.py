"""The baselines' values on real data, against what is known of them."""

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.models import build_model


def kang(path) -> PerturbationData:
    adata = ad.read_h5ad(path)
    x = sp.csr_matrix(adata.X, dtype=np.float64)
    x = sp.diags(1e4 / np.asarray(x.sum(axis=1)).ravel()) @ x
    x.data = np.log1p(x.data)
    return PerturbationData.from_anndata(ad.AnnData(sp.csr_matrix(x, dtype=np.float32), adata.obs, adata.var))


def test_kang_an_unseen_cell_type(shared_data):
    """The known values of the additive mean (0.826 and 0.020), and that nearness and a regression do better."""
    data = kang(shared_data("kang2018_pbmc_ifnb.h5ad"))
    scores = {}
    for name, chosen in (
        ("ContextAdditive", {"amplitude": 1.0}),
        ("ContextAdditive", {"weighting": "nearness"}),
        ("Ridge", {}),
    ):
        found = []
        for context in set(data.contexts) - {"Mk"}:
            held = Condition(context, "stim")
            model = build_model(name, chosen).fit(data.subset(c for c in data.conditions() if c != held))
            predicted = mean_of(model.predict(data.controls([context]), [held]), held)
            real, control = mean_of(data, held), mean_of(data, Condition(context, "control"))
            found.append((np.corrcoef(predicted - control, real - control)[0, 1], np.mean((predicted - real) ** 2)))
        scores[name, "weighting" in chosen] = np.mean(found, axis=0)
    plain = scores["ContextAdditive", False]
    assert plain == pytest.approx([0.826, 0.020], abs=0.001)
    assert scores["ContextAdditive", True][0] > plain[0] + 0.02
    assert scores["Ridge", False][0] > plain[0] + 0.04
    assert scores["Ridge", False][1] < 0.7 * plain[1]


def mean_of(data: PerturbationData, condition: Condition) -> np.ndarray:
    return data.moments.mean[data.conditions().index(condition)]


def test_norman_doubles_are_near_the_sum_of_their_parts(shared_data):
    adata = ad.read_h5ad(shared_data("norman2019_mcfaline2023_slice.h5ad"))
    adata = adata[adata.obs["cell_type"] == "k562", :].copy()
    obs = adata.obs[["perturbation", "cell_type"]]
    data = PerturbationData.from_anndata(ad.AnnData(adata.X, obs, adata.var), scale="log1p")
    singles = {c.perturbation for c in data.conditions() if len(c.parts) == 1}
    doubles = [c for c in data.conditions() if len(c.parts) == 2 and set(c.parts) <= singles]
    train = data.subset(c for c in data.conditions() if len(c.parts) < 2)
    error = {}
    for name in ("NoChange", "PerturbedMean", "MatchingMean", "Additive"):
        predicted = build_model(name).fit(train).predict(data.controls(), doubles)
        error[name] = np.mean([np.square(mean_of(predicted, c) - mean_of(data, c)).mean() for c in doubles])
    assert len(doubles) >= 5
    assert error["Additive"] < 0.15 * error["NoChange"]
    assert error["Additive"] < error["MatchingMean"] < error["NoChange"]
