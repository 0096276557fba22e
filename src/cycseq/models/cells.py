"""Control cells as predicted cells: drawn, shifted so that their mean is the predicted one, and labelled."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.errors import SettingsError
from cycseq.matrix.arrays import Cells, Codes, InMemory, Profile


def draw(rows: Codes, n_cells: int | None, rng: np.random.Generator) -> Codes:
    """Rows of control cells: each once where there are enough, else each equally often, the rest at random."""
    if n_cells is None:
        return rows
    if n_cells < 1:
        raise SettingsError(f"{n_cells} cells of each condition cannot be predicted: ask for at least one (--cells).")
    whole_rounds, rest = divmod(n_cells, len(rows))
    return np.concatenate([np.tile(rows, whole_rounds), rng.choice(rows, rest, replace=False)])


def shifted_cells(cells: Cells, control_mean: Profile, delta: Profile) -> Cells:
    """The cells with Delta^ added, cut at zero, and scaled so that their mean is max(control mean + Delta^, 0).

    Cutting at zero raises the mean of a gene; scaling its values brings it back and leaves zeros at zero. A gene
    that is zero in all cells after the cut, but should not be, is given its whole mean by one cell.
    """
    target = np.maximum(control_mean.astype(np.float64) + delta, 0.0)
    out = cells + delta.astype(np.float32)
    np.maximum(out, 0.0, out=out)
    factor, absent = _restoring(out.mean(axis=0, dtype=np.float64), target)
    out *= factor
    out[np.arange(len(absent)) % len(out), absent] = target[absent] * len(out)
    return out.astype(np.float32, copy=False)


def bounded(cells: Cells, highest: float) -> Cells:
    """The cells with no value above the highest; what is cut from a gene is given to its first cells that have room."""
    for gene in np.flatnonzero(cells.max(axis=0) > highest):
        values = cells[:, gene].astype(np.float64)
        room = np.maximum(highest - values, 0.0)
        missing = np.maximum(values - highest, 0.0).sum()
        cells[:, gene] = np.minimum(values, highest) + np.clip(missing - (room.cumsum() - room), 0.0, room)
    return cells


def rescaled(cells: InMemory, control_mean: Profile) -> InMemory:
    """Sparse control cells, scaled so that their mean is that of all control cells; all of them stay as they are."""
    target = control_mean.astype(np.float64)
    factor, absent = _restoring(np.asarray(cells.mean(axis=0, dtype=np.float64)).ravel(), target)
    n_cells = cells.shape[0]
    raised = sp.csr_matrix(
        ((target[absent] * n_cells).astype(np.float32), (np.arange(len(absent)) % n_cells, absent)), shape=cells.shape
    )
    return sp.csr_matrix(sp.csr_matrix(cells).multiply(factor), dtype=np.float32) + raised


def _restoring(mean: Profile, target: Profile) -> tuple[Profile, Codes]:
    """Factors that bring a mean to its target (1 where it is there but for rounding), and the genes that none can."""
    least = 1e-30  # a quotient by less may be no number in single precision
    factor = np.divide(target, mean, out=np.ones_like(target), where=mean > least)
    factor[np.abs(mean - target) <= 1e-6 * np.abs(target)] = 1.0
    return factor.astype(np.float32), np.flatnonzero((mean <= least) & (target > least))


def predicted_obs(controls: PerturbationData, drawn: Sequence[Codes], conditions: Sequence[Condition]) -> pd.DataFrame:
    """Labels of the predicted cells of each condition; `source_cell` is the control cell that each was made from."""
    rows, n_cells = np.concatenate(drawn), [len(of_one) for of_one in drawn]
    return pd.DataFrame(
        {
            "context": np.repeat(np.array([c.context for c in conditions], dtype=object), n_cells),
            "perturbation": np.repeat(np.array([c.perturbation for c in conditions], dtype=object), n_cells),
            "batch": controls.adata.obs["batch"].astype(str).to_numpy()[rows],
            "source_cell": controls.adata.obs_names.to_numpy()[rows],
        },
        index=[f"{name}/{i}" for name, n in zip(map(str, conditions), n_cells, strict=True) for i in range(n)],
    )
