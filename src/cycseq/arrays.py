"""Shapes of arrays by name, and sums over groups of cells in one pass, dense or sparse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

Cells = Float[np.ndarray, "cells genes"]
Profile = Float[np.ndarray, "genes"]
Profiles = Float[np.ndarray, "conditions genes"]
Mask = Bool[np.ndarray, "conditions genes"]
Codes = Int[np.ndarray, "cells"]
Matrix: TypeAlias = np.ndarray | sp.csr_matrix | sp.csr_array
"""Cells x genes, dense or CSR."""
BLOCK = 1 << 23
"""Values of a dense matrix that are summed together: 64 MB as float64."""


@dataclass(frozen=True)
class GroupMoments:
    """Mean and variance of every gene in every group of cells."""

    n_cells: Int[np.ndarray, "groups"]
    mean: Float[np.ndarray, "groups genes"]
    """NaN in a group without cells."""
    variance: Float[np.ndarray, "groups genes"]
    """Unbiased; NaN in a group of fewer than two cells."""


def group_sums(x: Matrix, groups: Codes, n_groups: int, *, squared: bool = False) -> Float[np.ndarray, "groups genes"]:
    """Sum of the cells of every group (or of their squares), in float64; cells of group -1 take no part."""
    rows = np.flatnonzero(groups >= 0)
    membership = sp.csc_array((np.ones(len(rows)), (groups[rows], rows)), shape=(n_groups, x.shape[0]))
    if sp.issparse(x):
        values = sp.csr_array(x)
        return np.asarray((membership @ (values.power(2) if squared else values)).toarray(), dtype=np.float64)
    sums = np.zeros((n_groups, x.shape[1]))
    step = max(1, BLOCK // max(1, x.shape[1]))
    for start in range(0, x.shape[0], step):  # float64 of all cells at once would take twice the memory of the data
        block = x[start : start + step].astype(np.float64)
        sums += membership[:, start : start + step] @ (np.square(block, out=block) if squared else block)
    return sums


def group_moments(x: Matrix, groups: Codes, n_groups: int) -> GroupMoments:
    """Mean and unbiased variance of every gene in every group; sparse input stays sparse.

    Parameters
    ----------
    x
        Cells x genes.
    groups
        The group of every cell, from 0; cells of group -1 take no part.
    n_groups
        How many groups there are.
    """
    n_cells = np.bincount(groups[groups >= 0], minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = group_sums(x, groups, n_groups) / n_cells[:, None]
        mean_square = group_sums(x, groups, n_groups, squared=True) / n_cells[:, None]
        variance = np.maximum(mean_square - mean**2, 0.0) * (n_cells / (n_cells - 1.0))[:, None]
    variance[n_cells < 2] = np.nan
    return GroupMoments(n_cells=n_cells, mean=mean, variance=variance)


def dense(x: Matrix) -> Cells:
    """The same cells as a dense array."""
    return x if isinstance(x, np.ndarray) else np.asarray(x.toarray())
