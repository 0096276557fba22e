"""Sums, means and variances of groups of cells, in one pass over a matrix: dense or sparse, in memory or stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.matrix.arrays import Codes, InMemory, Matrix, by_block, in_memory

Totals = dict[int, Float[np.ndarray, "groups genes"]]


@dataclass(frozen=True)
class GroupMoments:
    """Mean and variance of every gene in every group of cells."""

    n_cells: Int[np.ndarray, "groups"]
    mean: Float[np.ndarray, "groups genes"]  # NaN in a group without cells
    variance: Float[np.ndarray, "groups genes"]  # unbiased; NaN in a group of fewer than two cells


def pairs_of_labels(first: pd.Series, second: pd.Series) -> tuple[list[tuple[str, str]], Codes]:
    """The pairs of labels that cells have, sorted, and for every cell the place of its own."""
    one, two = first.astype("category").cat, second.astype("category").cat
    pair_codes, codes = np.unique(one.codes.astype(np.int64) * len(two.categories) + two.codes, return_inverse=True)
    pairs = [
        (str(one.categories[i]), str(two.categories[j]))
        for i, j in zip(*np.divmod(pair_codes, len(two.categories)), strict=True)
    ]
    order = sorted(range(len(pairs)), key=pairs.__getitem__)
    return [pairs[i] for i in order], np.argsort(order)[codes] if order else codes.astype(np.int64)


def group_totals(x: Matrix, groups: Codes, n_groups: int, powers: tuple[int, ...] = (0, 1, 2)) -> Totals:
    """By power, sums over the cells of every group, in float64; cells of group -1 take no part, what is stored is read once.

    Summed are the values (power 1), their squares (2), or 1 for every value that is not zero (0).
    """
    totals = {power: np.zeros((n_groups, x.shape[1])) for power in powers}
    if in_memory(x):
        _add_to(totals, x, groups)
        return totals
    for _, (present, sums) in by_block(x, _totals_of_present, groups, powers=powers):
        for power in powers:
            totals[power][present] += sums[power]
    return totals


def group_sums(x: Matrix, groups: Codes, n_groups: int, power: int = 1) -> Float[np.ndarray, "groups genes"]:
    """One of the `group_totals`."""
    return group_totals(x, groups, n_groups, (power,))[power]


def group_moments(x: Matrix, groups: Codes, n_groups: int) -> GroupMoments:
    """Mean and unbiased variance of every gene in every group; cells of group -1 take no part, what is stored is read once."""
    sums = group_totals(x, groups, n_groups, (1, 2))
    return moments_of(np.bincount(groups[groups >= 0], minlength=n_groups), sums[1], sums[2])


def moments_of(
    n_cells: Int[np.ndarray, "groups"],
    sums: Float[np.ndarray, "groups genes"],
    squares: Float[np.ndarray, "groups genes"],
) -> GroupMoments:
    """Mean and unbiased variance from the sums of the values and of their squares."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / n_cells[:, None]
        variance = np.maximum(squares / n_cells[:, None] - mean**2, 0.0) * (n_cells / (n_cells - 1.0))[:, None]
    variance[n_cells < 2] = np.nan
    return GroupMoments(n_cells=n_cells, mean=mean, variance=variance)


def _totals_of_present(block: InMemory, groups: Codes, powers: tuple[int, ...]) -> tuple[Codes, Totals]:
    """Which groups have cells in the block, and their sums: a block of few groups has a small answer."""
    present = np.unique(groups[groups >= 0])
    places = np.where(groups < 0, -1, np.searchsorted(present, groups))
    return present, group_totals(block, places, len(present), powers)


def _add_to(totals: Totals, x: Any, groups: Codes) -> None:
    from cycseq.matrix.cell_sums import add_cells, add_sparse_cells  # numba takes half a second to import

    codes = np.asarray(groups, dtype=np.int64)
    if sp.issparse(x):
        rows: Any = sp.csr_array(x)
        for power, total in totals.items():
            add_sparse_cells((rows.data, rows.indices, rows.indptr), codes, power, total)
    else:
        for power, total in totals.items():
            add_cells(np.asarray(x), codes, power, total)
