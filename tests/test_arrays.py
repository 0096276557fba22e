import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cycseq.matrix.arrays import to_dense
from cycseq.matrix.groups import group_moments, group_sums


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), sparse=st.booleans())
def test_group_moments_are_those_of_numpy(seed, sparse):
    rng = np.random.default_rng(seed)
    x = (rng.poisson(0.7, (30, 7)) * rng.random((30, 7))).astype(np.float32)
    groups = rng.integers(-1, 4, 30)
    moments = group_moments(sp.csr_matrix(x) if sparse else x, groups, 5)
    for group in range(5):
        members = x[groups == group].astype(np.float64)
        assert moments.n_cells[group] == len(members)
        if len(members):
            np.testing.assert_allclose(moments.mean[group], members.mean(axis=0), rtol=1e-6, atol=1e-9)
        else:
            assert np.isnan(moments.mean[group]).all()
        if len(members) > 1:
            np.testing.assert_allclose(moments.variance[group], members.var(axis=0, ddof=1), rtol=1e-4, atol=1e-6)
        else:
            assert np.isnan(moments.variance[group]).all()


def test_sums_leave_out_cells_of_no_group():
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(group_sums(x, np.array([0, -1, 0]), 1), [[4, 6]])


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("squared", [False, True])
def test_sums_and_squares_of_single_precision_are_exact(squared, kind):
    rng = np.random.default_rng(0)
    x, groups = rng.random((30, 7)).astype(np.float32), rng.integers(-1, 3, 30)
    values = x.astype(np.float64) ** (1 + squared)
    expected = [values[groups == group].sum(axis=0) for group in range(3)]
    np.testing.assert_allclose(group_sums(kind(x), groups, 3, power=1 + squared), expected, rtol=1e-12)
    assert x.dtype == np.float32


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, np.asarray])
def test_dense_is_the_same_cells(kind):
    x = np.eye(3, dtype=np.float32)
    assert isinstance(to_dense(kind(x)), np.ndarray)
    np.testing.assert_array_equal(to_dense(kind(x)), x)
