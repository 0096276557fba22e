"""Quality of cells: counts, genes and the mitochondrial share, and which cells pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from cycseq.errors import SettingsError, count_of, was
from cycseq.matrix.arrays import CellMask, InMemory, Matrix, PerCell, per_cell
from cycseq.preparation.normalise import library_sizes
from cycseq.preparation.settings import PrepareSettings

MITOCHONDRIAL = "mt-"  # how the names of mitochondrial genes begin, in any case: `MT-ND1`, `mt-Nd1`


@dataclass(frozen=True)
class Selection:
    """What is kept of the cells, or of the genes, of a data set."""

    kept: Bool[np.ndarray, "places"]
    notes: tuple[str, ...] = ()  # a sentence for every reason why some are left out


def check_cells(x: Matrix, genes: list[str], sizes: PerCell | None, settings: PrepareSettings) -> Selection:
    """Which cells keep within the limits; a cell is counted at the first limit that it fails.

    All genes of the file are given, before any are dropped; `sizes` is None where the values are not counts. Raises
    `SettingsError` if a limit needs counts and there are none, or the mitochondrial share is asked of data without such genes.
    """
    s = settings
    limits = {"--min-counts": s.min_counts, "--max-counts": s.max_counts, "--max-mito": s.max_mito}
    needing_counts = next((option for option, limit in limits.items() if limit is not None), None)
    if sizes is None and needing_counts:
        msg = f"{needing_counts} needs counts, but the data are log1p: leave it out, or give the file with the counts."
        raise SettingsError(msg)
    failing: list[tuple[str, CellMask]] = []
    if sizes is not None and s.min_counts is not None:
        failing.append((f"fewer than {s.min_counts:,} counts", sizes < s.min_counts))
    if sizes is not None and s.max_counts is not None:
        failing.append((f"more than {s.max_counts:,} counts", sizes > s.max_counts))
    if s.min_genes is not None:
        failing.append((f"fewer than {s.min_genes:,} genes", genes_expressed(x) < s.min_genes))
    if sizes is not None and s.max_mito is not None:
        share = mitochondrial_counts(x, genes) / np.maximum(sizes, 1.0)
        failing.append((f"a mitochondrial share above {s.max_mito:g}", share > s.max_mito))
    passing = np.ones(x.shape[0], dtype=bool)
    notes = []
    for why, fails in failing:
        n = int((passing & fails).sum())
        passing &= ~fails
        notes += [f"{count_of(n, 'cell')} with {why} {was(n)} dropped"] if n else []
    return Selection(passing, tuple(notes))


def genes_expressed(x: Matrix) -> Int[np.ndarray, "cells"]:
    """How many genes of each cell are above zero."""
    return per_cell(x, _genes_expressed)


def _genes_expressed(x: InMemory) -> Int[np.ndarray, "cells"]:
    return np.asarray(np.count_nonzero(x, axis=1) if isinstance(x, np.ndarray) else np.diff(x.indptr), dtype=np.int64)


def mitochondrial_counts(x: Matrix, genes: list[str]) -> PerCell:
    """Counts of each cell in mitochondrial genes; raises `SettingsError` where there are no such genes."""
    columns = [i for i, gene in enumerate(genes) if gene.casefold().startswith(MITOCHONDRIAL)]
    if not columns:
        raise SettingsError(
            f"--max-mito was given, but no gene is named MT-... or mt-... (the first are {', '.join(genes[:3])}): "
            "leave it out, or name the genes by their symbols."
        )
    return library_sizes(x[:, columns])
