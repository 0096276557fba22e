"""Figures: what is drawn where, in the axes that were given."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from cycseq import plots


def test_dots_stand_at_the_means_with_ceiling_and_null():
    table = pd.DataFrame({"model": ["A", "B"], "mean": [0.5, 0.2], "low": [0.4, 0.1], "high": [0.6, 0.3]})
    ax = Figure().add_subplot()
    assert plots.dot_intervals(table, ceiling=0.9, null=0.0, best="A", ax=ax) is ax
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 0], [0.5, 0.2])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A", "B"]
    assert ax.yaxis_inverted()
    assert {line.get_xdata()[0] for line in ax.lines} == {0.9, 0.0}
    assert {text.get_text() for text in ax.texts} == {"ceiling", "no change"}


def test_bars_are_as_long_as_the_values():
    ax = plots.bars_with_ceiling(
        {"A": [1.0, 2.0], "B": [3.0, np.nan]}, ["K562", "RPE1"], ceiling=[0.5, 0.4], ax=Figure().add_subplot()
    )
    widths = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(widths, [1, 2, 3, np.nan])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["A", "B", "ceiling"]


def test_the_genes_of_the_largest_real_response_are_named():
    rng = np.random.default_rng(0)
    real = rng.normal(0, 0.1, 200).astype(np.float32)
    real[[3, 50, 120]] = 2.0, -3.0, 1.5
    ax = plots.delta_scatter(real, 0.5 * real, [f"G{i}" for i in range(200)], named=3, ax=Figure().add_subplot())
    assert {text.get_text() for text in ax.texts} == {"G3", "G50", "G120"}
    assert len(ax.collections[0].get_offsets()) == 200


def test_no_response_at_all_can_be_drawn():
    nothing = np.zeros(5, dtype=np.float32)
    ax = plots.delta_scatter(nothing, nothing, list("abcde"), ax=Figure().add_subplot())
    assert ax.get_xlim()[0] < 0 < ax.get_xlim()[1]


def test_losses_are_drawn_by_epoch():
    history = pd.DataFrame({"epoch": [0, 1, 2], "loss": [3.0, 2.0, 1.0], "note": list("abc")})
    ax = plots.loss_curves(history, ax=Figure().add_subplot())
    assert len(ax.lines) == 1
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 2, 1])


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_labels_keep_apart(heights: list[float]):
    placed = plots._spread(np.array(heights), gap=0.3, high=5.0)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(placed[order]) >= 0.3 - 1e-9).all()
    assert placed.max() <= 5.0 + 1e-9
