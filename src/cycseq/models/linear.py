"""Kernel ridge regression whose penalty is chosen by leaving out one row at a time, in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cycseq.data.effect_means import mean_of_measured

RELATIVE_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Penalties that are tried, in units of the mean of the kernel's diagonal."""
ROUNDS = 5
"""Values that were not measured are filled by what is predicted of them, so many times: they then tell nothing."""

Rows = Float[np.ndarray, "rows outputs"]


@dataclass(frozen=True)
class KernelRidge:
    """A fit of Y on a kernel K: a new row with kernel values k is predicted as k @ weights, around 0."""

    penalty: float
    weights: Rows  # (K + l I)^-1 Y
    left_out: Rows  # what is predicted of each row without it
    error: float  # mean squared error of these


def kernel_ridge(
    kernel: Float[np.ndarray, "rows rows"], y: Rows, penalties: Sequence[float] = RELATIVE_PENALTIES
) -> KernelRidge:
    """Fit and choose the penalty.

    With G = (K + l I)^-1 the residual of a row that is left out is (G Y)_i / G_ii (Rasmussen and Williams 2006, 5.12), and its
    squared length needs Y Y^T alone: the choice does not cost more for more outputs. `y` is NaN where nothing was measured;
    penalties are in units of the mean of the kernel's diagonal.
    """
    missing = np.isnan(y)
    y = np.where(missing, np.nan_to_num(mean_of_measured(y)), y).astype(np.float64)
    values, vectors = np.linalg.eigh(kernel)
    values = np.maximum(values, 0.0)
    unit = float(np.diag(kernel).mean()) or 1.0
    turned = vectors.T @ y
    gram = turned @ turned.T

    def left_out(penalty: float) -> float:
        damped = vectors / (values + penalty * unit)
        diagonal = np.einsum("ij,ij->i", damped, vectors)
        return float((np.einsum("ij,jk,ik->i", damped, gram, damped) / diagonal**2).mean() / max(y.shape[1], 1))

    errors = [left_out(penalty) for penalty in penalties]
    penalty = float(penalties[int(np.argmin(errors))])
    damped = vectors / (values + penalty * unit)
    weights = damped @ turned
    for _ in range(ROUNDS if missing.any() else 0):
        y[missing] = (y - penalty * unit * weights)[missing]  # K (K + l I)^-1 Y
        weights = damped @ (vectors.T @ y)
    diagonal = np.einsum("ij,ij->i", damped, vectors)[:, None]
    return KernelRidge(penalty, weights, np.asarray(y - weights / diagonal), min(errors))
