"""Real cells among predicted ones: a score of them is not a score of a model."""

from __future__ import annotations

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.matrix.arrays import take, to_dense

MAX_CONDITIONS, MAX_CELLS = 50, 20  # conditions that are examined, evenly spaced, and predicted cells of each
MIN_VALUES = 20  # cells with fewer values other than zero may agree by chance; those of one name do not
MOSTLY = 0.5


def conditions_of_real_cells(predicted: PerturbationData, real: PerturbationData) -> tuple[Condition, ...]:
    """The perturbed conditions whose predicted cells are mostly real cells of the same condition.

    Both are on the same scale; the genes that both have are compared.
    """
    real_conditions = set(real.conditions())
    shared_conditions = [c for c in predicted.conditions() if not c.is_control and c in real_conditions]
    in_real = real.adata.var_names.get_indexer(predicted.genes)
    genes = np.flatnonzero(in_real >= 0)
    if not shared_conditions or not len(genes):
        return ()
    places = np.unique(np.linspace(0, len(shared_conditions) - 1, MAX_CONDITIONS).astype(int))
    examined = (shared_conditions[place] for place in places)
    return tuple(c for c in examined if _share(predicted, real, c, genes, in_real[genes]) > MOSTLY)


def _share(
    predicted: PerturbationData,
    real: PerturbationData,
    condition: Condition,
    genes_predicted: np.ndarray,
    genes_real: np.ndarray,
) -> float:
    """Share of the examined predicted cells of a condition that are real ones."""
    rows, others = predicted.rows(condition)[:MAX_CELLS], real.rows(condition)
    cells = np.ascontiguousarray(to_dense(take(predicted.x, rows))[:, genes_predicted])
    names = {values.tobytes(): set[str]() for values in cells}
    for name, values in zip(real.adata.obs_names[others], to_dense(take(real.x, others))[:, genes_real], strict=True):
        if (same := names.get(values.tobytes())) is not None:
            same.add(name)
    is_real = [
        name in names[values.tobytes()] or bool(names[values.tobytes()] and np.count_nonzero(values) >= MIN_VALUES)
        for name, values in zip(predicted.adata.obs_names[rows], cells, strict=True)
    ]
    return float(np.mean(is_real))
