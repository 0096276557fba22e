"""Counts per 10,000 and their log1p, and the moments of normalised values without a normalised copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cycseq.arrays import Matrix, Profile
from cycseq.data.scale import BLOCK, TARGET_SUM, Scale


@dataclass(frozen=True)
class GeneMoments:
    """Mean and spread of every gene over some cells."""

    mean: Profile
    """In counts per 10,000, not in logarithms."""
    variance: Profile
    """Unbiased, in the square of that unit."""
    n_expressing: Int[np.ndarray, "genes"]
    """Cells with a value above zero."""


@dataclass(frozen=True)
class _Rows:
    """A block of successive cells: their stored values, and where these stand."""

    rows: slice
    values: np.ndarray
    """Cells x genes, or the non-zeros alone."""
    columns: np.ndarray | None
    """Column of every non-zero; None where the block is dense."""
    n_values: np.ndarray
    """Stored values of every cell."""


def library_sizes(x: Matrix) -> Float[np.ndarray, "cells"]:
    """The sum of the counts of every cell, in float64."""
    sizes = np.zeros(x.shape[0])
    for block in _blocks(x):
        if block.columns is None:
            sizes[block.rows] = block.values.sum(axis=1, dtype=np.float64)
        else:
            cell = np.repeat(np.arange(len(block.n_values)), block.n_values)
            sizes[block.rows] = np.bincount(cell, weights=block.values, minlength=len(block.n_values))
    return sizes


def log_normalise(x: Matrix, sizes: Float[np.ndarray, "cells"]) -> None:
    """Turn counts into log1p (natural) of counts per 10,000, in place.

    Parameters
    ----------
    x
        Cells x genes, counts, float32; changed in place.
    sizes
        The counts that each cell is divided by: its library size over all genes, also those that `x` lacks.
        A cell of size 0 must be empty, and stays so.
    """
    factors = _factors(sizes).astype(np.float32)
    for block in _blocks(x):
        of_cell = factors[block.rows]
        scaled = of_cell[:, None] if block.columns is None else np.repeat(of_cell, block.n_values)
        np.multiply(block.values, scaled, out=block.values)
        np.log1p(block.values, out=block.values)


def gene_moments(
    x: Matrix,
    scale: Scale,
    sizes: Float[np.ndarray, "cells"] | None,
    taking_part: Bool[np.ndarray, "cells"],
) -> GeneMoments:
    """Mean and variance of counts per 10,000 of every gene, in one pass and without a copy of the matrix.

    Parameters
    ----------
    x
        Cells x genes, counts or log1p; not changed.
    scale
        What `x` is; log1p values are taken back to counts per 10,000 block by block.
    sizes
        Library size of every cell, for counts; None for log1p.
    taking_part
        The cells that count; the others' values have no influence at all.
    """
    sums, squares = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    n_expressing = np.zeros(x.shape[1], dtype=np.int64)
    factors = np.ones(x.shape[0]) if sizes is None else _factors(sizes)
    for block in _blocks(x):
        part, factor = taking_part[block.rows], factors[block.rows]
        if not part.any():
            continue
        values, columns = block.values, block.columns
        if columns is None:
            values, factor = values[part], factor[part, None]
        else:
            factor = np.repeat(factor, block.n_values)
            if not part.all():
                chosen = np.repeat(part, block.n_values)
                values, columns, factor = values[chosen], columns[chosen], factor[chosen]
        normalised = (np.expm1(values) if scale == "log1p" else values) * factor
        if columns is None:
            sums += normalised.sum(axis=0)
            squares += np.square(normalised).sum(axis=0)
            n_expressing += (values > 0).sum(axis=0)
        else:
            columns = columns.astype(np.intp, copy=False)
            sums += np.bincount(columns, weights=normalised, minlength=x.shape[1])
            squares += np.bincount(columns, weights=np.square(normalised, out=normalised), minlength=x.shape[1])
            n_expressing += np.bincount(columns, minlength=x.shape[1])
    n = int(taking_part.sum())
    mean = sums / max(n, 1)
    variance = np.maximum(squares / max(n, 1) - mean**2, 0.0) * (n / max(n - 1, 1))
    return GeneMoments(mean, variance, n_expressing)


def _factors(sizes: Float[np.ndarray, "cells"]) -> Float[np.ndarray, "cells"]:
    factors: Float[np.ndarray, "cells"] = np.divide(TARGET_SUM, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
    return factors


def _blocks(x: Matrix) -> Iterator[_Rows]:
    """The cells in blocks of at most `BLOCK` stored values (one cell at least); values are views, not copies."""
    n_cells = x.shape[0]
    ends = np.arange(n_cells + 1) * x.shape[1] if isinstance(x, np.ndarray) else x.indptr
    start = 0
    while start < n_cells:
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + BLOCK, side="right")) - 1)
        rows = slice(start, stop)
        if isinstance(x, np.ndarray):
            yield _Rows(rows, x[rows], None, np.diff(ends[start : stop + 1]))
        else:
            stored = slice(ends[start], ends[stop])
            yield _Rows(rows, x.data[stored], x.indices[stored], np.diff(ends[start : stop + 1]))
        start = stop
