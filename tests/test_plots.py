"""Figures: what is drawn where, in the axes that were given."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import cycseq
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import CycseqError, DataError
from cycseq.matrix.arrays import to_dense
from cycseq.show import plots
from cycseq.show.plots import base
from cycseq.show.report.figures import svg


def test_dots_stand_at_the_means_with_ceiling_and_null():
    table = pd.DataFrame({"model": ["A", "B"], "mean": [0.5, 0.2], "low": [0.4, 0.1], "high": [0.6, 0.3]})
    ax = Figure().add_subplot()
    assert plots.dot_intervals(table, ceiling=0.9, null=0.0, best="A", ax=ax) is ax
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 0], [0.5, 0.2])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A", "B"]
    assert ax.yaxis_inverted()
    assert {line.get_xdata()[0] for line in ax.lines} == {0.9, 0.0}
    assert {text.get_text() for text in ax.texts} == {"ceiling", "no change"}


def test_doses_lie_on_a_logarithmic_axis_with_error_bars_and_a_band():
    doses = ["10uM", "0.1uM", "1uM"]
    conditions = [Condition("x", f"drug@{dose}") for dose in doses] + [Condition("x", "other@1uM")]
    values = np.array([[3.0], [1.0], [2.0], [9.0]])
    real, predicted = (
        cycseq.Effects.from_arrays(values, conditions, ["MYC"], scale="z", layers={layer: np.full_like(values, 0.5)})
        for layer in ("se", "sd")
    )
    ax = plots.dose_response(real, "drug", "MYC", context="x", predicted=predicted, ax=Figure().add_subplot())
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.1uM", "1uM", "10uM"]
    line = next(line for line in ax.lines if line.get_label() == "predicted")
    np.testing.assert_allclose(line.get_xydata(), [[-7, 1], [-6, 2], [-5, 3]])
    (band,) = (path.vertices[:, 1] for c in ax.collections[:1] for path in c.get_paths())
    np.testing.assert_allclose([band.min(), band.max()], [1 - 0.98, 3 + 0.98], atol=0.01)
    with pytest.raises(DataError, match="no dose of 'drug@1uM' in 'x' has an order"):
        plots.dose_response(real, "drug@1uM", "MYC", context="x", ax=Figure().add_subplot())
    with pytest.raises(DataError, match="no gene 'MYCN'"):
        plots.dose_response(real, "drug", "MYCN", context="x", ax=Figure().add_subplot())


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
    placed = base.spread(np.array(heights), gap=0.3, high=5.0)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(placed[order]) >= 0.3 - 1e-9).all()
    assert placed.max() <= 5.0 + 1e-9


def test_validation_has_the_colour_of_its_loss():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [3.0, 2.0], "kl": [1.0, 1.0], "validation_loss": [4.0, 3.0]})
    ax = plots.loss_curves(history, ax=Figure().add_subplot())
    colour = {line.get_label(): line.get_color() for line in ax.lines}
    assert colour["loss"] == colour["validation loss"] != colour["kl"]
    assert ax.lines[2].get_linestyle() == "--"


def test_the_surest_genes_stand_below_their_condition_with_their_intervals():
    changes = pd.DataFrame(
        {
            "context": ["NK"] * 3 + ["B"] * 3,
            "perturbation": "stim",
            "gene": list("abcdef"),
            "effect": [1.0, -2.0, 0.1, 3.0, 0.2, 4.0],
            "lower": [0.5, -3.0, -0.4, 2.0, -0.1, 3.0],
            "upper": [1.2, -1.5, 0.6, 3.5, 0.4, 5.0],
            "lfsr": [0.01, 0.05, 0.4, 0.1, 0.3, 0.1],
        }
    )
    real = pd.Series([1.25], index=pd.MultiIndex.from_tuples([("NK", "stim", "a")]))
    ax = plots.top_genes(changes, n=2, real=real, ax=Figure().add_subplot())
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["NK: stim", "a", "b", "B: stim", "f", "d"]
    low, high = ax.collections[0].get_segments()[0][:, 0]
    np.testing.assert_allclose([low, high], [0.5, 1.2])
    crosses = np.ma.filled(ax.collections[2].get_offsets(), np.nan)[:, 0]
    np.testing.assert_allclose(crosses, [1.25, np.nan])


def test_a_loss_that_is_all_of_another_is_drawn_once():
    history = pd.DataFrame({"epoch": [1, 2], "reconstruction": [3.0, 2.0], "kl": 0.0, "loss": [3.0, 2.0]})
    history = history.assign(validation_loss=[4.0, 3.0], validation_reconstruction=[4.0, 3.0], validation_kl=0.0)
    ax = plots.loss_curves(history, ax=Figure().add_subplot())
    assert [line.get_label() for line in ax.lines] == ["reconstruction", "validation reconstruction"]


def test_volcano_mirrors_predicted_genes_each_half_on_its_own_scale():
    genes = pd.Index(list("abc"))
    real = pd.DataFrame({"delta": [2.0, -1.0, 0.0], "p_adjusted": [1e-8, 1e-4, 1.0]}, index=genes)
    predicted = pd.DataFrame({"delta": [1.0, 0.0, 0.0], "p_adjusted": [1e-2, 1.0, 1.0]}, index=genes)
    ax = plots.volcano(real, predicted, named=2, ax=Figure().add_subplot())
    up, down = ax.collections[1].get_offsets(), ax.collections[3].get_offsets()
    np.testing.assert_allclose(up, [[2.0, 1.0], [-1.0, 0.5]])
    np.testing.assert_allclose(down, [[1.0, -1.0]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "real: 2 genes below 0.05",
        "predicted: 1 gene below 0.05",
    ]
    assert sorted(text.get_text() for text in ax.texts) == ["a", "a", "b", "b"]
    with pytest.raises(DataError, match="no column 'p_adjusted'"):
        plots.volcano(real[["delta"]], predicted)


def test_a_prediction_that_is_the_real_response_is_its_own_nearest(small_data):
    ax = plots.retrieval_heatmap(small_data, small_data, ax=Figure().add_subplot())
    cosine = ax.images[0].get_array()
    assert cosine.shape == (12, 12)
    np.testing.assert_allclose(np.diag(cosine), 1.0, atol=1e-6)
    assert ax.get_title(loc="left") == "own real response nearest: 12 of 12"
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert set(rows) == {str(c) for c in small_data.conditions() if not c.is_control}
    means = {c: small_data.cells(c).mean(axis=0) for c in small_data.conditions()}
    delta = {str(c): means[c] - means[Condition(c.context, "control")] for c in means}
    a, b = (np.delete(delta[name], [0, 1, 2]) for name in rows[:2])  # G1, G2 and G3 are perturbed
    np.testing.assert_allclose(cosine[0, 1], a @ b / np.linalg.norm(a) / np.linalg.norm(b), rtol=1e-4)


def test_retrieval_needs_two_conditions(small_data):
    one = small_data.subset([Condition("K562", "G1")])
    with pytest.raises(DataError, match="1 condition is both predicted and real"):
        plots.retrieval_heatmap(one, small_data)


def test_counts_are_not_drawn_beside_log1p(small_data):
    counts = PerturbationData(small_data.adata, scale="counts")
    for sides in ((small_data, counts), (counts, small_data), (small_data, small_data, counts)):
        for draw in (plots.retrieval_heatmap, plots.cells_map):
            with pytest.raises(DataError, match="needs log1p values"):
                draw(*sides)


def test_cells_map_draws_so_many_cells_of_each_side(small_data):
    real = small_data.subset([Condition("K562", "G1"), Condition("K562", "control")])
    ax = plots.cells_map(real, real, method="pca", most=30, ax=Figure().add_subplot())
    assert len(ax.collections[0].get_offsets()) == 90
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["control", "real", "predicted"]


def test_umap_that_is_absent_is_named_with_its_cure(small_data, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(CycseqError, match=r"pip install 'cycseq\[umap\]', or use method pca"):
        plots.umap_plane(np.zeros((5, 2), dtype=np.float32))


def test_rare_labels_are_grey_and_counted():
    plane = np.zeros((6, 2), dtype=np.float32)
    ax = plots.points_map(plane, list("aaabcd"), named=1, ax=Figure().add_subplot())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "3 others"]


def test_distributions_are_those_of_the_cells(small_data):
    real, made = small_data.controls(), small_data.subset([Condition("K562", "G1")])
    sources = {"real": real, "made": made}
    ax = plots.gene_distribution(sources, "G11", ax=Figure().add_subplot())
    values = to_dense(made.x)[:, made.genes.index("G11")]
    for at in (0.0, float(np.median(values)), float(values.max())):
        x, y = ax.lines[1].get_xdata(), ax.lines[1].get_ydata()
        assert y[np.flatnonzero(x <= at)[-1]] == pytest.approx((values <= at).mean())
    ax = plots.zero_fractions(sources, ax=Figure().add_subplot())
    expected = np.column_stack([(to_dense(side.x) == 0).mean(axis=0) for side in (real, made)])
    np.testing.assert_allclose(ax.collections[0].get_offsets(), expected, atol=1e-6)
    ax = plots.mean_variance(sources, ax=Figure().add_subplot())
    x = to_dense(made.x)
    expected = np.column_stack([x.mean(axis=0), x.var(axis=0, ddof=1)])
    np.testing.assert_allclose(ax.collections[2].get_offsets(), expected, rtol=1e-3)
    ax = plots.gene_means(sources, ax=Figure().add_subplot())
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], x.mean(axis=0), rtol=1e-4)
    with pytest.raises(CycseqError, match="no gene 'G111'"):
        plots.gene_distribution(sources, "G111")


def test_logarithmic_axes_of_a_page_have_plain_numbers(small_data):
    """A page reads no formula, so that `$` may stand in a name."""
    sources = {"real": small_data.controls(), "made": small_data}
    losses = pd.DataFrame({"epoch": range(3), "loss": [50.0, 5.0, 1.0]})
    for draw in (lambda ax: plots.mean_variance(sources, ax=ax), lambda ax: plots.loss_curves(losses, ax=ax)):
        drawn = svg(draw, title="t")
        assert "$" not in drawn
        assert ">1</text>" in drawn


def test_the_figures_go_by_their_short_name():
    assert cycseq.pl is plots
    assert all(callable(getattr(cycseq.pl, name)) for name in plots.__all__ if name.islower())
