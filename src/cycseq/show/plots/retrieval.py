"""Whether each prediction is nearest to its own real condition."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import DataError, count_of
from cycseq.matrix.arrays import Profiles, unit_rows
from cycseq.preparation.pseudobulk import control_means
from cycseq.show.plots.base import DIVERGING, INK, colour_bar, new_axes, plain

MOST_LABELS = 60


def retrieval_heatmap(
    predicted: PerturbationData,
    real: PerturbationData,
    control: PerturbationData | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Cosine of every predicted response (rows) with every real one (columns), the genes that are perturbed left out.

    Conditions are in the order of a clustering of the real responses. A square marks each condition's own place, a dot
    the real response that is nearest to the prediction: where dots fill the squares, predictions are specific.

    Parameters
    ----------
    predicted
        Predicted cells, log1p.
    real
        Real cells of the same conditions, log1p; columns are those of their conditions that are predicted.
    control
        Real control cells, log1p; None takes those among the real cells.
    ax
        Axes to draw into.

    Raises
    ------
    DataError
        If fewer than two conditions are common to both, a context has no control cells, or cells are not log1p.
    """
    cosine, conditions = _cosines(predicted, real, control)
    n = len(conditions)
    ax = new_axes(ax, width=max(4.6, 2.6 + 0.24 * min(n, 30)), height=max(3.4, 1.7 + 0.24 * min(n, 30)))
    drawn = ax.imshow(cosine, cmap=DIVERGING, vmin=-1, vmax=1, aspect="equal", interpolation="nearest")
    side = float(np.clip(250.0 / n, 3.0, 26.0))
    ax.scatter(cosine.argmax(axis=1), np.arange(n), s=side, color=INK, zorder=3)
    for i in range(n):
        ax.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.1, zorder=2))
    plain(ax, xlabel="real", ylabel="predicted")
    ax.spines[:].set_visible(False)
    size = 8.5 if n <= 30 else 6
    labels = _names(conditions) if n <= MOST_LABELS else [""] * n
    ax.set_xticks(np.arange(n), labels, rotation=90, fontsize=size)
    ax.set_yticks(np.arange(n), labels, fontsize=size)
    ax.tick_params(length=0)
    n_hits = int((cosine.argmax(axis=1) == np.arange(n)).sum())
    ax.set_title(f"own real response nearest: {n_hits} of {n}", fontsize=9.5, loc="left")
    colour_bar(ax, drawn, "cosine of responses", shrink=0.5)
    return ax


def _cosines(
    predicted: PerturbationData, real: PerturbationData, control: PerturbationData | None
) -> tuple[Float[np.ndarray, "predicted real"], list[Condition]]:
    """The cosines, and the conditions in the order of their rows and columns; raises as `retrieval_heatmap`."""
    for data in (real, predicted, *([] if control is None else [control])):
        data.require("log1p", "a retrieval heat map")
    predicted = predicted.with_genes(real.genes)
    shared = [c for c in real.conditions() if not c.is_control and c in set(predicted.conditions())]
    if len(shared) < 2:
        msg = f"{count_of(len(shared), 'condition is', 'conditions are')} both predicted and real: a retrieval heat map needs at least two."
        raise DataError(msg)
    means = control_means((real if control is None else control).with_genes(real.genes))
    lacking = sorted({c.context for c in shared} - set(means))
    if lacking:
        raise DataError(f"no control cells of {lacking[0]}: give real control cells as `control`.")
    perturbed = sorted({column for c in shared for column in real.targets(c)})
    base = np.stack([means[c.context] for c in shared])
    of_real, of_predicted = (
        unit_rows(np.delete(_means(side, shared) - base, perturbed, axis=1)) for side in (real, predicted)
    )
    order = _order(of_real)
    return (of_predicted @ of_real.T)[np.ix_(order, order)], [shared[i] for i in order]


def _means(data: PerturbationData, conditions: Sequence[Condition]) -> Profiles:
    rows = {condition: i for i, condition in enumerate(data.conditions())}
    return data.moments.mean[[rows[c] for c in conditions]]


def _order(responses: Profiles) -> list[int]:
    """Similar responses beside each other: leaves of an average-linkage tree of cosine distances."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = np.clip(1.0 - responses @ responses.T, 0.0, 2.0)
    return [int(i) for i in leaves_list(linkage(distance[np.triu_indices(len(responses), 1)], "average"))]


def _names(conditions: Sequence[Condition]) -> list[str]:
    """What tells the conditions apart: perturbations of one context, contexts of one perturbation, or both."""
    if len({c.context for c in conditions}) == 1:
        return [c.perturbation for c in conditions]
    if len({c.perturbation for c in conditions}) == 1:
        return [c.context for c in conditions]
    return [str(c) for c in conditions]
