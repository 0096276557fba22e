"""Counts, log1p or neither."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cycseq.data.scale import decide_scale, summarize_values
from cycseq.errors import DataError, SettingsError
from cycseq.matrix import blocks

COUNTS = np.array([[0, 3, 1], [2, 0, 40]], dtype=np.float32)
LOGGED = np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csr_array, np.asfortranarray])
def test_counts_and_log1p_are_told_apart(form) -> None:
    assert decide_scale(form(COUNTS)) == "counts"
    assert decide_scale(form(LOGGED)) == "log1p"
    assert decide_scale(form(COUNTS), "counts") == "counts"
    assert decide_scale(form(LOGGED - LOGGED.mean(axis=0)), "scaled") == "scaled"


@given(
    arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 7)), elements=st.floats(-50, 50, width=32)),
    st.integers(1, 40),
)
def test_blocks_do_not_change_what_is_seen(x: np.ndarray, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        seen = summarize_values(x)
    assert seen.n == x.size
    assert (seen.lowest, seen.highest) == (min(x.min(), 0), max(x.max(), 0))
    assert seen.n_fractional == (x != np.rint(x)).sum()
    assert seen.negative == tuple(x[x < 0].ravel()[:5])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("said", [None, "scaled", "counts"])
def test_nan_and_infinity_are_refused_on_every_scale(broken: float, said: str | None) -> None:
    x = COUNTS.copy()
    x[0, 0] = broken
    with pytest.raises(DataError, match="1 value is NaN or infinite"):
        decide_scale(x, said)


def test_negative_values_show_five_and_name_the_layer_that_may_hold_counts() -> None:
    x = COUNTS - 5
    with pytest.raises(DataError, match=r"negative \(-5, -2, -4, -3, -5\).*--scale scaled"):
        decide_scale(x)
    with pytest.raises(DataError, match="--layer counts") as err:
        decide_scale(x, layers=("spliced", "counts"))
    assert err.value.option == "--layer counts"


def test_normalised_values_without_a_logarithm_are_neither() -> None:
    with pytest.raises(DataError, match=r"neither counts nor log1p.*fractional \(.*above 15"):
        decide_scale(np.expm1(LOGGED))


def test_fractional_counts_are_refused_where_counts_were_said() -> None:
    with pytest.raises(DataError, match=r"--scale counts was given, but the values look like log1p \(0.3.*Use --scale"):
        decide_scale(COUNTS / 10, "counts")
    with pytest.raises(DataError, match=r"neither counts nor log1p: some are fractional \(1.5, 0.5\)"):
        decide_scale(COUNTS / 2, "counts")


def test_log1p_said_of_counts_is_refused() -> None:
    with pytest.raises(DataError, match=r"look like counts \(3, 1, 2, 40\)") as err:
        decide_scale(COUNTS, "log1p")
    assert err.value.option == "--scale counts"


def test_unknown_scale() -> None:
    with pytest.raises(SettingsError, match="did you mean 'counts'"):
        decide_scale(COUNTS, "count")
