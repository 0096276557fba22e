"""Counts behind cells: as they are, or recovered from log1p values where that is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from cycseq.data.dataset import PerturbationData
from cycseq.data.scale import TARGET_SUM
from cycseq.errors import DataError
from cycseq.preparation.normalise import library_sizes

WHOLE = 0.01
"""How far a recovered count may be from a whole number, as a share of it from 1 on."""
SMALLEST = (1, 2, 3)
"""What the smallest count of a cell may be where no library size is known."""


@dataclass(frozen=True)
class CellCounts:
    """Whole-number counts of cells."""

    counts: sp.csr_matrix
    """Cells x genes, float64."""
    total: Float[np.ndarray, "cells"]
    """Library sizes: the counts of each cell over all genes, also those that `counts` lacks."""

    @classmethod
    def of(cls, data: PerturbationData, genes: Sequence[str]) -> Self:
        """The counts of these genes.

        Parameters
        ----------
        data
            Counts, or log1p of counts per 10,000 as `cycseq prepare` writes it.
        genes
            Which genes, in this order.

        Raises
        ------
        DataError
            If a gene is missing, or log1p values are no longer those of whole counts (after ComBat, of metacells, of
            predictions).
        """
        obs = data.adata.obs
        x = sp.csr_matrix(data.with_genes(genes).load("--as counts").x, dtype=np.float64)
        if data.scale == "counts":
            return cls(x, library_sizes(data.x))
        recovered = recover_counts(x, obs["total_counts"].to_numpy(np.float64) if "total_counts" in obs else None)
        if recovered is None:
            msg = (
                f"the control cells of {', '.join(data.contexts)} hold {data.scale} values of which the counts cannot be "
                "recovered, and counts are drawn from counts: give control cells as counts with --controls FILE."
            )
            raise DataError(msg)
        return cls(*recovered)


def recover_counts(
    x: sp.csr_matrix, total: Float[np.ndarray, "cells"] | None
) -> tuple[sp.csr_matrix, Float[np.ndarray, "cells"]] | None:
    """Counts and library sizes behind log1p values: expm1(x) x library size / 10,000; None where these are not whole.

    Parameters
    ----------
    x
        Cells x genes, log1p of counts per 10,000.
    total
        Library sizes; None takes the smallest value of each cell for 1 count (or 2, or 3, where the others are whole so).
    """
    x.eliminate_zeros()
    values, n_values = np.expm1(x.data), np.diff(x.indptr)
    sizes = _sizes(values, x.indptr) if total is None else total
    values = values * np.repeat(sizes / TARGET_SUM, n_values)
    if not _are_whole(values).all():
        return None
    counts = sp.csr_matrix((np.rint(values), x.indices, x.indptr), shape=x.shape)
    counts.eliminate_zeros()
    return counts, sizes


def _sizes(values: Float[np.ndarray, "values"], ends: np.ndarray) -> Float[np.ndarray, "cells"]:
    """The library size of each cell by its smallest value; NaN where its values are no multiples, 0 for an empty cell."""
    n_values = np.diff(ends)
    some = np.flatnonzero(n_values)
    sizes, least = np.zeros(len(n_values)), np.minimum.reduceat(values, ends[some])
    sizes[some] = np.nan
    for smallest in reversed(SMALLEST):
        multiples = values / np.repeat(least / smallest, n_values[some])
        fits = np.logical_and.reduceat(_are_whole(multiples), ends[some])
        sizes[some[fits]] = smallest * TARGET_SUM / least[fits]
    return sizes


def _are_whole(values: Float[np.ndarray, "values"]) -> Bool[np.ndarray, "values"]:
    whole = np.rint(values)
    return np.asarray(np.abs(values - whole) <= WHOLE * np.maximum(1.0, whole))
