"""CSV of many columns against `pandas.read_csv`, which CycSeq used for every table before: seconds, and their ratio.

    python benchmarks/wide_csv.py

Each table is read with both, and must come out equal to the last bit.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np

from cycseq.formats.readers import tables
from cycseq.formats.settings import ReadSettings

SIZES = ((6, 300_000), (6, 40_000), (1_000, 10_000), (20_000, 200), (100_000, 200))
"""Cells, genes; the last two are read with pandas either way."""


def write(path: Path, n_cells: int, n_genes: int) -> None:
    """Cells x genes, with a column of labels."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("cell,perturbation," + ",".join(f"G{i}" for i in range(n_genes)) + "\n")
        for cell in range(n_cells):
            values = rng.exponential(size=n_genes).astype(np.float32).astype(str)
            file.write(f"c{cell},{'KLF1' if cell % 2 else 'control'}," + ",".join(values) + "\n")


def seconds(path: Path, wide: int) -> tuple[float, np.ndarray]:
    """For a table that counts as wide from so many columns on."""
    start = time.perf_counter()
    with mock.patch.object(tables, "WIDE", wide):
        adata = tables.read_table(path, ReadSettings()).adata
    return time.perf_counter() - start, adata.X


def main() -> None:
    """A line for each size."""
    print(f"{'cells':>8} {'genes':>8} {'pandas':>9} {'CycSeq':>9} {'ratio':>7}")
    for n_cells, n_genes in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            write(path, n_cells, n_genes)
            after, values = seconds(path, tables.WIDE)
            before, expected = seconds(path, n_genes * 2)
            np.testing.assert_array_equal(values, expected)
        print(f"{n_cells:8,} {n_genes:8,} {before:8.2f}s {after:8.2f}s {before / after:6.1f}x", flush=True)


if __name__ == "__main__":
    main()
