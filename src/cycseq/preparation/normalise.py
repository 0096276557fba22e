"""Counts per 10,000 and their log1p, and the moments of normalised values without a normalised copy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.data.scale import TARGET_SUM, Scale
from cycseq.matrix.arrays import CellMask, InMemory, Matrix, PerCell, Profile, by_block, map_blocks, per_cell
from cycseq.matrix.blocks import Block, blocks


@dataclass(frozen=True)
class GeneMoments:
    """Mean and spread of every gene over some cells."""

    mean: Profile  # in counts per 10,000, not in logarithms
    variance: Profile  # unbiased, in the square of that unit


def library_sizes(x: Matrix) -> PerCell:
    """The sum of the counts of every cell, in float64."""
    return per_cell(x, _library_sizes)


def _library_sizes(x: InMemory) -> PerCell:
    sizes = np.zeros(x.shape[0])
    for block in blocks(x):
        sizes[block.rows] = block.sums(block.values)
    return sizes


def log_normalised(x: Matrix, sizes: PerCell) -> Matrix:
    """Counts (float32) as log1p (natural) of counts per 10,000; in memory they are changed in place, stored ones whenever they are read.

    `sizes` are the counts that each cell is divided by: its library size over all genes, also those that `x` lacks. A cell of size
    0 must be empty, and stays so.
    """
    return map_blocks(x, _log_normalised, sizes)


def _log_normalised(x: InMemory, sizes: PerCell) -> InMemory:
    factors = _factors(sizes).astype(np.float32)
    for block in blocks(x):
        np.multiply(block.values, block.spread(factors[block.rows]), out=block.values)
        np.log1p(block.values, out=block.values)
    return x


def gene_moments(x: Matrix, scale: Scale, sizes: PerCell | None, taking_part: CellMask) -> GeneMoments:
    """Mean and variance of counts per 10,000 of every gene, in one pass and without a copy of the matrix.

    `x` holds counts, of which `sizes` are the library sizes, or log1p values, which are taken back block by block (`sizes` None).
    Cells that do not take part have no influence at all.
    """
    weights = taking_part * (np.ones(x.shape[0]) if sizes is None else _factors(sizes))
    sums, squares = np.sum([of_block for _, of_block in by_block(x, _weighted_sums, weights, scale=scale)], axis=0)
    n = int(taking_part.sum())
    mean = sums / max(n, 1)
    variance = np.maximum(squares / max(n, 1) - mean**2, 0.0) * (n / max(n - 1, 1))
    return GeneMoments(mean, variance)


def _weighted_sums(x: InMemory, weights: PerCell, scale: Scale) -> Float[np.ndarray, "2 genes"]:
    """Sums of counts per 10,000 and of their squares, from values and what each cell's are to be multiplied by."""
    sums = np.zeros((2, x.shape[1]))
    for block in blocks(x):
        of_cell = weights[block.rows]
        values = block.values.astype(np.float64)
        values = np.expm1(values, out=values) if scale == "log1p" else values
        sums[0] += of_cell @ _matrix(block, values, x.shape[1])
        sums[1] += of_cell**2 @ _matrix(block, np.square(values, out=values), x.shape[1])
    return sums


def cells_expressing(x: Matrix, taking_part: CellMask) -> Int[np.ndarray, "genes"]:
    """In how many of these cells each gene is above zero."""
    return np.sum([n for _, n in by_block(x, _cells_expressing, taking_part)], axis=0)


def _cells_expressing(x: InMemory, taking_part: CellMask) -> Int[np.ndarray, "genes"]:
    n = np.zeros(x.shape[1])
    for block in blocks(x):
        above = _matrix(block, (block.values > 0).astype(np.float64), x.shape[1])
        n += taking_part[block.rows].astype(np.float64) @ above
    return n.astype(np.int64)


def _matrix(block: Block, values: np.ndarray, n_genes: int) -> np.ndarray | sp.csr_array:
    """The block with these values, sparse if it was."""
    if block.columns is None:
        return values
    return sp.csr_array((values, block.columns, block.ends), shape=(len(block.ends) - 1, n_genes))


def _factors(sizes: PerCell) -> PerCell:
    return np.divide(TARGET_SUM, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
