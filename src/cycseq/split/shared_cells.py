"""Cells that two parts of a split share: the same names, values, barcodes, or metacells of the same cells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import UInt64

from cycseq.data.dataset import PerturbationData
from cycseq.errors import count_of
from cycseq.matrix.arrays import Codes, InMemory, Matrix, per_cell, take
from cycseq.split.leak import PAIRS_OF_CELLS, Leak

BARCODE = re.compile(r"[ACGTN]{12,}")
MIN_VALUES = 20  # cells with fewer values other than zero may agree by chance
SAME_PROFILE = 0.98
"""Cosine of the profiles of two cells with one barcode, from which on they are taken for the same cell."""
BLOCK = 20_000


def row_hashes(x: Matrix) -> UInt64[np.ndarray, "cells"]:
    """A 64-bit hash of the values of every cell; 0 where fewer than `MIN_VALUES` differ from zero.

    Every value's bits are mixed with a random number of its gene, and the results are summed modulo 2^64: sums of
    whole numbers do not depend on their order, so dense and sparse rows agree.
    """
    return per_cell(x, _row_hashes)


def _row_hashes(x: InMemory) -> UInt64[np.ndarray, "cells"]:
    genes = np.random.default_rng(0).integers(0, 2**64 - 1, int(x.shape[1]), dtype=np.uint64)
    genes |= np.uint64(1)
    hashes = np.zeros(x.shape[0], dtype=np.uint64)
    for start in range(0, x.shape[0], BLOCK):
        block = sp.csr_array(x[start : start + BLOCK])
        mixed = block.data.view(np.uint32).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed *= genes[block.indices]
        ends = np.zeros(len(mixed) + 1, dtype=np.uint64)
        np.cumsum(mixed, out=ends[1:])
        sums = ends[block.indptr[1:]] - ends[block.indptr[:-1]]
        hashes[start : start + BLOCK] = np.where(np.diff(block.indptr) >= MIN_VALUES, sums, 0)
    return hashes


def barcodes(names: pd.Index) -> pd.Series:
    """The barcode in each cell's name, without prefixes and suffixes (``-1``, ``_ctrl``, a file's name); NaN for none."""
    return pd.Series(names, dtype=str).str.extract(f"({BARCODE.pattern})", expand=False)


def shared_cells(x: Matrix, names: pd.Index, rows: dict[str, Codes], things: str, values: str) -> Iterable[Leak]:
    """Rows that are in two parts, by their place or by their values, equal to the last bit."""
    hashes = row_hashes(x)
    for first, second in PAIRS_OF_CELLS:
        n = len(np.intersect1d(rows[first], rows[second]))
        if n:
            what = f"{n:,} {things} are in {first} and in {second}"
            yield Leak("shared cells", what, n, "Make the split again with cycseq split.")
        rows_first, rows_second = np.setdiff1d(rows[first], rows[second]), np.setdiff1d(rows[second], rows[first])
        same = rows_second[np.isin(hashes[rows_second], hashes[rows_first]) & (hashes[rows_second] != 0)]
        if len(same):
            twin = rows_first[np.flatnonzero(hashes[rows_first] == hashes[same[0]])[0]]
            what = f"{len(same):,} {things} of {second} have exactly the {values} of one of {first}"
            shown = f"(first: {names[same[0]]} and {names[twin]})"
            yield Leak("shared cells", f"{what} {shown}", len(same), f"Remove the duplicated {things} from the data.")


def shared_barcodes(data: PerturbationData, rows: dict[str, Codes]) -> Iterable[Leak]:
    """Cells of two parts with one barcode in one batch: one cell where the profiles agree, else perhaps chance."""
    code = barcodes(data.adata.obs_names)
    table = pd.DataFrame({"row": np.arange(data.n_cells), "barcode": code, "batch": data.adata.obs["batch"].to_numpy()})
    for first, second in PAIRS_OF_CELLS:
        in_first, in_second = (table.iloc[rows[part]].dropna(subset="barcode") for part in (first, second))
        pairs = in_first.merge(in_second, on=["barcode", "batch"], suffixes=("", "_other"))
        pairs = pairs[pairs["row"] != pairs["row_other"]]
        if pairs.empty:
            continue
        one, two = (sp.csr_array(take(data.x, pairs[name].to_numpy()), dtype=float) for name in ("row", "row_other"))
        dot, *squares = (np.asarray(a.multiply(b).sum(axis=1)).ravel() for a, b in ((one, two), (one, one), (two, two)))
        alike = dot / np.maximum(np.sqrt(squares[0] * squares[1]), 1e-12) >= SAME_PROFILE
        for matches, same, cure, level in (
            (pairs[alike], "and nearly the same profile: they are one cell", "Remove the duplicated cells from the data.", "leak"),
            (pairs[~alike], "but another profile, as it happens by chance across lanes",
             "Name lanes as batches (--batch-key), or look at these cells.", "warning"),
        ):  # fmt: skip
            if n := int(matches["row_other"].nunique()):
                what = f"{count_of(n, 'cell')} of {second} share{'s' if n == 1 else ''} barcode and batch with a cell of {first}"
                shown = f"(first: {matches['barcode'].iloc[0]})"
                yield Leak("shared barcodes", f"{what} {shown}, {same}", n, cure, level)  # type: ignore[arg-type]


def shared_metacells(data: PerturbationData, rows: dict[str, Codes]) -> Iterable[Leak]:
    """Metacells of two parts that were made from the same cells."""
    sources: Any = data.adata.obsm.get("source_cells")
    if sources is None:
        return
    sources = sp.csr_array(sources)
    cells = {part: np.unique(sources[rows[part]].indices) for part in rows}
    for first, second in PAIRS_OF_CELLS:
        n = len(np.intersect1d(cells[first], cells[second]))
        if n:
            what = f"metacells of {first} and of {second} were made from the same {n:,} cells"
            yield Leak("shared metacells", what, n, "Split the single cells first and make metacells within each part.")
