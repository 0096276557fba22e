"""Whether generated cells look like real ones: one gene's values, means against variances, shares of zeros."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes

from cycseq.data.dataset import PerturbationData
from cycseq.errors import unknown_name
from cycseq.matrix.arrays import Profile, to_dense
from cycseq.matrix.groups import group_moments, group_sums
from cycseq.show.plots.base import INK, MARKERS, MUTED, PALETTE, diagonal, legend_above, logarithmic, new_axes, plain

Sources = Mapping[str, PerturbationData]  # cells by what made them; the first are the real ones


def gene_distribution(cells: Sources, gene: str, *, ax: Axes | None = None) -> Axes:
    """One gene's values in real and generated cells: the share of cells at or below each value.

    A curve starts at the gene's share of zeros; it is the whole distribution, with nothing smoothed.

    Parameters
    ----------
    cells
        By name, the real ones first; log1p.
    gene
        Its name.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, width=3.4, height=2.8)
    for i, (name, data) in enumerate(cells.items()):
        values = np.sort(_values(data, gene))
        share = np.arange(1, len(values) + 1) / len(values)
        colour = INK if i == 0 else PALETTE[(i - 1) % len(PALETTE)]
        ax.step(
            np.concatenate([[0.0], values]), np.concatenate([[0.0], share]), where="post", label=name, color=colour,
            linewidth=2.4 if i == 0 else 1.6,
        )  # fmt: skip
    plain(ax, "y", xlabel=f"{gene} (log1p)", ylabel="share of cells at or below", ylim=(0, 1.02), xlim=(0, None))
    legend_above(ax, columns=2)
    return ax


def mean_variance(cells: Sources, *, ax: Axes | None = None) -> Axes:
    """Variance of every gene against its mean, real (grey) and generated cells; both axes logarithmic.

    What lies below a tenth of the smallest real value (genes that are constant in generated cells) is drawn there.

    Parameters
    ----------
    cells
        By name, the real ones first; log1p. Mix conditions alike in all of them: means of conditions add to the variance.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, width=4.2, height=4.0)
    floor = np.zeros(2)
    for i, (name, data) in enumerate(cells.items()):
        moments = group_moments(data.x, np.zeros(data.n_cells, dtype=np.int64), 1)
        mean, variance = moments.mean[0], moments.variance[0]
        if i == 0:
            floor = np.array([side[side > 0].min(initial=np.inf) / 10 for side in (mean, variance)])
        _dots(ax, i, name, np.maximum(mean, floor[0]), np.maximum(variance, floor[1]))
    logarithmic(ax, "x", "y")
    plain(ax, xlabel="mean of the gene (log1p)", ylabel="variance")
    legend_above(ax, handletextpad=0.2)
    return ax


def zero_fractions(cells: Sources, *, ax: Axes | None = None) -> Axes:
    """Share of cells in which each gene is zero: real on x, generated on y; the diagonal is perfect.

    Parameters
    ----------
    cells
        By name, the real ones first.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, width=4.2, height=4.2)
    _against_real(ax, cells, _zeros)
    diagonal(ax)
    plain(ax, xlabel="share of zeros, real", ylabel="share of zeros, generated", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    legend_above(ax, handletextpad=0.2)
    return ax


def gene_means(cells: Sources, *, ax: Axes | None = None) -> Axes:
    """Mean of every gene: real on x, generated on y; the diagonal is perfect.

    Parameters
    ----------
    cells
        By name, the real ones first; log1p.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, width=4.2, height=4.2)
    diagonal(ax, high=_against_real(ax, cells, _mean))
    plain(ax, xlabel="mean of the gene, real (log1p)", ylabel="generated")
    legend_above(ax, handletextpad=0.2)
    return ax


def _against_real(ax: Axes, cells: Sources, measure: Callable[[PerturbationData], Profile]) -> float:
    """Genes of every generated source against the real ones; the highest value drawn is returned."""
    (_, real), *generated = cells.items()
    x = measure(real)
    highest = float(x.max())
    for i, (name, data) in enumerate(generated, 1):
        y = measure(data.with_genes(real.genes))
        highest = max(highest, float(y.max()))
        _dots(ax, i, name, x, y)
    return highest


def _dots(ax: Axes, i: int, name: str, x: Profile, y: Profile) -> None:
    """Genes of one source; the first source is grey and lies below."""
    colour = MUTED if i == 0 else PALETTE[(i - 1) % len(PALETTE)]
    marker = MARKERS[(i - 1) % len(MARKERS)] if i else "o"
    ax.scatter(
        x, y, s=16 if i == 0 else 7, color=colour, marker=marker, alpha=0.5, linewidths=0,
        rasterized=True, zorder=2,
    )  # fmt: skip
    ax.scatter([], [], s=30, color=colour, marker=marker, label=name)


def _values(data: PerturbationData, gene: str) -> Profile:
    if gene not in data.adata.var_names:
        raise unknown_name(gene, "gene", data.genes)
    return to_dense(data.x[:, [data.genes.index(gene)]])[:, 0]


def _mean(data: PerturbationData) -> Profile:
    return group_moments(data.x, np.zeros(data.n_cells, dtype=np.int64), 1).mean[0]


def _zeros(data: PerturbationData) -> Profile:
    return 1.0 - group_sums(data.x, np.zeros(data.n_cells, dtype=np.int64), 1, power=0)[0] / data.n_cells
