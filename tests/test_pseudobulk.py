"""Responses against a naive loop over conditions and batches."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError
from cycseq.preparation.pseudobulk import PRIOR_EXPRESSING, control_means, responses


def made(labels, seed=0, genes=4, sparse=True) -> PerturbationData:
    """Cells with these (context, perturbation, batch) labels and random values."""
    rng = np.random.default_rng(seed)
    x = rng.gamma(1.0, 1.0, size=(len(labels), genes)).astype(np.float32) * (rng.random((len(labels), genes)) < 0.7)
    x[:, 0] = 1.0 + rng.random(len(labels))
    obs = pd.DataFrame(labels, columns=["context", "perturbation", "batch"], dtype="category")
    obs.index = [f"cell{i}" for i in range(len(labels))]
    var = pd.DataFrame(index=[f"G{i}" for i in range(genes)])
    return PerturbationData(ad.AnnData(sp.csr_matrix(x) if sparse else x, obs, var), scale="log1p")


def naive(data: PerturbationData):
    """Delta and its noise, cell by cell: the control mean of the cell's batch, or of its context where it has none."""
    x = data.x.toarray().astype(float) if sp.issparse(data.x) else data.x.astype(float)
    obs = data.adata.obs.astype(str)
    delta, noise = {}, {}
    for (context, perturbation), cells in obs.groupby(["context", "perturbation"], observed=True):
        if perturbation == "control":
            continue
        of_context = (obs["context"] == context) & (obs["perturbation"] == "control")
        weight = np.zeros(len(obs))  # how much each control cell counts
        for batch in cells["batch"]:
            matched = of_context & (obs["batch"] == batch)
            matched = matched if matched.any() else of_context
            weight += matched.to_numpy() / matched.sum() / len(cells)
        own = x[obs.index.isin(cells.index)]
        condition = Condition(context, perturbation)
        delta[condition] = own.mean(axis=0) - weight @ x
        within = [x[(obs["context"] == context) & (obs["perturbation"] == p)] for p in ["control", "p", "q"]]
        noise[condition] = moderated(own, within) / len(own) + (weight**2).sum() * moderated(x[of_context], within)
    return delta, noise


def moderated(own, conditions):
    """The variance of cells of a condition, and that within all conditions of its context, in the weights of `responses`."""
    within = sum(((cells - cells.mean(axis=0)) ** 2).sum(axis=0) for cells in conditions if len(cells))
    common = within / sum(len(cells) - 1 for cells in conditions if len(cells))
    variance = own.var(axis=0, ddof=1) if len(own) > 1 else 0.0 * own[0]
    mean = np.concatenate(conditions).mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [np.nan_to_num(m**2 / (m**2 + v)) for m, v in ((own.mean(axis=0), variance), (mean, common))]
        share = np.maximum(shares[0] - PRIOR_EXPRESSING / len(own), shares[1])
        prior = PRIOR_EXPRESSING / np.maximum(share, 1e-9)
    return ((len(own) - 1) * variance + prior * common) / (len(own) - 1 + prior)


labels_of_cells = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from(["control", "p", "q"]), st.sampled_from("xyz")), max_size=40
)


@given(labels_of_cells, st.integers(0, 5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_responses_are_those_of_a_naive_loop(labels, seed, sparse):
    labels = [*labels, *[(context, "control", "x") for context in "AABB"]]  # every context has two controls
    data = made(labels, seed, sparse=sparse)
    delta, noise = naive(data)
    found = responses(data)
    assert set(found.conditions) == set(delta)
    for i, condition in enumerate(found.conditions):
        np.testing.assert_allclose(found.delta[i], delta[condition], atol=1e-5)
        np.testing.assert_allclose(found.noise[i], noise[condition], rtol=1e-3, atol=1e-6)
        assert found.n_cells[i] == sum((c, p) == condition for c, p, _ in labels)
    for context, mean in found.control_mean.items():
        np.testing.assert_allclose(mean, data.cells(Condition(context, "control")).mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(mean, control_means(data)[context], atol=1e-6)


def test_a_batch_effect_is_no_response():
    """Batch y adds 3 to every cell and holds most perturbed cells: matched controls take it away, pooled would not."""
    labels = (
        [("A", "control", "x")] * 30 + [("A", "control", "y")] * 10 + [("A", "p", "x")] * 2 + [("A", "p", "y")] * 38
    )
    data = made(labels)
    x = np.ones((80, 4), dtype=np.float32)
    x[(data.adata.obs["batch"] == "y").to_numpy()] += 3.0
    data.adata.X = sp.csr_matrix(x)
    np.testing.assert_allclose(responses(data).delta, 0.0, atol=1e-6)


def test_batches_without_controls_share_one_control_mean_and_its_noise():
    """The same cells in one batch or in many without controls: the pooled control mean is as uncertain in both."""
    control = [("A", "control", "x")] * 20
    one = made(control + [("A", "p", "y")] * 10)
    many = made(control + [("A", "p", f"y{i}") for i in range(10)])
    np.testing.assert_allclose(responses(many).noise, responses(one).noise, rtol=1e-6)


def test_a_context_without_controls_is_named():
    with pytest.raises(DataError, match="no control cells in context 'B'"):
        responses(made([("A", "control", "x"), ("A", "p", "x"), ("B", "p", "x")]))


def test_controls_alone_have_no_responses():
    found = responses(made([("A", "control", "x")] * 3))
    assert found.conditions == ()
    assert found.delta.shape == (0, 4)
    assert set(found.control_mean) == {"A"}


def test_one_control_and_one_perturbed_cell_are_enough_for_a_delta():
    found = responses(made([("A", "control", "x"), ("A", "p", "x")]))
    assert np.isfinite(found.delta).all()
    assert (found.noise == 0).all()


def test_a_sparse_gene_that_no_cell_happens_to_express_is_not_known_without_error():
    """Of 400 conditions of 20 cells, many show nothing of a gene that one cell in 20 expresses; no condition responds."""
    rng = np.random.default_rng(0)
    labels = [("A", "control", "x")] * 400 + [("A", f"p{i}", "x") for i in range(400) for _ in range(20)]
    data = made(labels, genes=2)
    x = (rng.random((len(labels), 2)) < [0.05, 0.9]) * rng.gamma(5.0, 0.2, size=(len(labels), 2))
    data.adata.X = sp.csr_matrix(x.astype(np.float32))
    found = responses(data)
    squares = (found.delta**2 / found.noise).mean(axis=0)
    plug_in = found.moments.variance / found.n_cells[:, None] + found.control_variance["A"] / 400
    assert (squares > 0.75).all()
    assert (squares < 1.2).all()
    assert (found.delta[:, 0] ** 2 / plug_in[:, 0]).mean() > 1.5


def test_a_gene_that_is_expressed_in_one_condition_alone_keeps_its_variance_there():
    labels = [("A", "control", "x")] * 200 + [("A", f"p{i}", "x") for i in range(20) for _ in range(40)]
    data = made(labels, genes=2)
    x = np.zeros((len(labels), 2), dtype=np.float32)
    x[200:240, 0] = np.random.default_rng(0).gamma(4.0, 0.3, size=40)
    data.adata.X = sp.csr_matrix(x)
    found = responses(data)
    plug_in = x[200:240, 0].var(ddof=1) / 40
    assert 0.85 * plug_in < found.noise[found.conditions.index(Condition("A", "p0")), 0] < 1.05 * plug_in
