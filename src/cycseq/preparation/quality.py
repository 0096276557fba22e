"""Quality of cells: counts, genes and the mitochondrial share, and which cells pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from cycseq.errors import SettingsError, count_of, was
from cycseq.matrix.arrays import InMemory, Matrix, per_cell
from cycseq.preparation.normalise import library_sizes
from cycseq.preparation.settings import CellLimits

MITOCHONDRIAL = "mt-"  # how the names of mitochondrial genes begin, in any case: `MT-ND1`, `mt-Nd1`


@dataclass(frozen=True)
class CellSelection:
    """Cells to keep, among all of a data set."""

    cells: Bool[np.ndarray, "cells"]
    notes: tuple[str, ...]
    """A sentence for every reason why cells are left out."""


def check_cells(
    x: Matrix, genes: list[str], sizes: Float[np.ndarray, "cells"] | None, limits: CellLimits
) -> CellSelection:
    """Which cells keep within the limits; a cell is counted at the first limit that it fails.

    All genes of the file are given, before any are dropped; `sizes` is None where the values are not counts. Raises
    `SettingsError` if a limit needs counts and there are none, or the mitochondrial share is asked of data without such genes.
    """
    if sizes is None and limits.need_counts:
        msg = f"{limits.need_counts} needs counts, but the data are log1p: leave it out, or give the file with the counts."
        raise SettingsError(msg)
    failing: list[tuple[str, Bool[np.ndarray, "cells"]]] = []
    if sizes is not None:
        if limits.min_counts is not None:
            failing.append((f"fewer than {limits.min_counts:,} counts", sizes < limits.min_counts))
        if limits.max_counts is not None:
            failing.append((f"more than {limits.max_counts:,} counts", sizes > limits.max_counts))
    if limits.min_genes is not None:
        failing.append((f"fewer than {limits.min_genes:,} genes", genes_expressed(x) < limits.min_genes))
    if sizes is not None and limits.max_mito is not None:
        share = mitochondrial_counts(x, genes) / np.maximum(sizes, 1.0)
        failing.append((f"a mitochondrial share above {limits.max_mito:g}", share > limits.max_mito))
    passing = np.ones(x.shape[0], dtype=bool)
    notes = []
    for why, fails in failing:
        n = int((passing & fails).sum())
        passing &= ~fails
        notes += [f"{count_of(n, 'cell')} with {why} {was(n)} dropped"] if n else []
    return CellSelection(passing, tuple(notes))


def genes_expressed(x: Matrix) -> Int[np.ndarray, "cells"]:
    """How many genes of each cell are above zero."""
    return per_cell(x, _genes_expressed)


def _genes_expressed(x: InMemory) -> Int[np.ndarray, "cells"]:
    n = np.count_nonzero(x, axis=1) if isinstance(x, np.ndarray) else np.diff(x.indptr)
    return np.asarray(n, dtype=np.int64)


def mitochondrial_counts(x: Matrix, genes: list[str]) -> Float[np.ndarray, "cells"]:
    """Counts of each cell in mitochondrial genes; raises `SettingsError` where there are no such genes."""
    columns = [i for i, gene in enumerate(genes) if gene.casefold().startswith(MITOCHONDRIAL)]
    if not columns:
        raise SettingsError(
            f"--max-mito was given, but no gene is named MT-... or mt-... (the first are {', '.join(genes[:3])}): "
            "leave it out, or name the genes by their symbols."
        )
    return library_sizes(x[:, columns])
