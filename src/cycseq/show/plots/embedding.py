"""Cells in two dimensions: PCA or UMAP."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from cycseq.data.dataset import PerturbationData
from cycseq.data.usual_names import CONTROL
from cycseq.errors import MissingPackageError
from cycseq.matrix.arrays import Cells, to_dense
from cycseq.show.plots.base import BLUE, LINE, MUTED, PALETTE, VERMILION, legend_above, new_axes, plain

Plane = Float[np.ndarray, "cells 2"]
COMPONENTS = 30
COLOURS = {"control": MUTED, "real": BLUE, "predicted": VERMILION}


def cells_map(
    real: PerturbationData,
    predicted: PerturbationData,
    control: PerturbationData | None = None,
    *,
    method: Literal["umap", "pca"] = "umap",
    most: int = 1000,
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Real, predicted and control cells on one map: do predicted cells lie where the real ones do?

    Principal components are found in the real and control cells alone; predicted cells are projected.

    Parameters
    ----------
    real, predicted
        Perturbed cells, log1p; control cells among them are left out.
    control
        Control cells, log1p; None takes those among the real cells.
    method
        ``"umap"`` (30 components; needs the extra ``umap``) or ``"pca"``, the first two components.
    most
        Cells of each of the three that are drawn at most, at random.
    seed
        Fixes which, and the map.
    ax
        Axes to draw into.

    Raises
    ------
    MissingPackageError
        If UMAP is asked for and not installed.
    """
    for data in (real, predicted, *([] if control is None else [control])):
        data.require("log1p", "a map of cells")
    sides = {
        "control": (real if control is None else control).with_genes(real.genes).controls(),
        "real": real.subset(c for c in real.conditions() if not c.is_control),
        "predicted": predicted.with_genes(real.genes).subset(c for c in predicted.conditions() if not c.is_control),
    }
    rng = np.random.default_rng(seed)
    cells = {name: to_dense(side.x[np.sort(rng.permutation(side.n_cells)[:most])]) for name, side in sides.items()}
    cells = {name: block for name, block in cells.items() if len(block)}
    not_predicted = np.concatenate([block for name, block in cells.items() if name != "predicted"])
    scores = _components(not_predicted, np.concatenate(list(cells.values())), seed)
    plane = scores[:, :2] if method == "pca" else umap_plane(scores, seed=seed)
    labels = np.repeat(list(cells), [len(block) for block in cells.values()])
    return points_map(plane, labels, colours=COLOURS, axis="PC" if method == "pca" else "UMAP", seed=seed, ax=ax)


def points_map(
    plane: Plane,
    labels: Sequence[str] | np.ndarray,
    *,
    colours: Mapping[str, str] | None = None,
    named: int = 4,
    axis: str = "UMAP",
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Points of a plane by label: the most frequent labels in colour, control in grey, the others in pale grey.

    Parameters
    ----------
    plane
        Two numbers for each cell.
    labels
        One for each cell.
    colours
        By label; None gives the `named` most frequent ones a colour each.
    named
        How many labels have a colour, six at most.
    axis
        What the axes are called: ``"UMAP"``, ``"PC"``.
    seed
        Fixes the order in which points are drawn, so that no label lies on top of all others.
    ax
        Axes to draw into.
    """
    ax = new_axes(ax, width=4.6, height=4.4)
    labels = np.asarray(labels, dtype=str)
    if colours is None:
        names, counts = np.unique(labels, return_counts=True)
        top = [str(name) for name in names[np.argsort(-counts, kind="stable")] if name != CONTROL][:named]
        colours = {**({CONTROL: MUTED} if CONTROL in names else {}), **dict(zip(top, PALETTE, strict=False))}
    others = ~np.isin(labels, list(colours))
    size = float(np.clip(9000 / max(len(labels), 1), 3.0, 14.0))
    if others.any():
        ax.scatter(plane[others, 0], plane[others, 1], s=size, color=LINE, linewidths=0, rasterized=True, zorder=1)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(~others))
    ax.scatter(
        plane[order, 0], plane[order, 1], s=size, c=[colours[label] for label in labels[order]], alpha=0.7, linewidths=0,
        rasterized=True, zorder=2,
    )  # fmt: skip
    for label, colour in colours.items():
        if (labels == label).any():
            ax.scatter([], [], s=28, color=colour, label=label)
    if others.any():
        ax.scatter([], [], s=28, color=LINE, label=f"{len(np.unique(labels[others]))} others")
    plain(ax, xticks=[], yticks=[], xlabel=f"{axis} 1", ylabel=f"{axis} 2")
    legend_above(ax, handletextpad=0.2)
    return ax


def umap_plane(points: Cells, *, seed: int = 0) -> Plane:
    """Two dimensions by UMAP (McInnes et al. 2018), 15 neighbours, repeatable.

    Raises
    ------
    MissingPackageError
        If umap-learn is not installed.
    """
    import warnings

    try:
        from umap import UMAP
    except ModuleNotFoundError as err:
        msg = "UMAP needs umap-learn, which is not installed: pip install 'cycseq[umap]', or use method pca."
        raise MissingPackageError(msg) from err
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_jobs value")
        plane: Plane = UMAP(n_neighbors=min(15, len(points) - 1), random_state=seed).fit_transform(points)
    return plane


def pca_plane(points: Cells) -> Plane:
    """The first two principal components."""
    from sklearn.decomposition import PCA

    return PCA(2, random_state=0).fit_transform(points)


def _components(fitted_on: Cells, cells: Cells, seed: int) -> Cells:
    from sklearn.decomposition import PCA

    n = min(COMPONENTS, *fitted_on.shape)
    return PCA(n, svd_solver="randomized", random_state=seed).fit(fitted_on).transform(cells)
