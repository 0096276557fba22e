"""Genes that a part of the cells lacks altogether: data sets with other genes were joined, and the gaps filled with zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cycseq.matrix.arrays import Matrix, in_memory
from cycseq.matrix.groups import group_sums

COMMON = 0.5  # share of the cells that have a gene: those of one kind of cells are seldom in so many of the others
MANY, SHARE = 10, 0.1  # so many common genes, and this share of them, are not absent by nature
MIN_CELLS = 20
MAX_GROUPS = 200


def note_absent_genes(x: Matrix, labels: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """What to say where many genes that most others express are 0 in all cells of a context or a batch.

    Only of values in memory; `labels` has a row for each cell, `columns` names those that part the cells.
    """
    if not in_memory(x):
        return []
    for column in columns:
        codes, names = pd.factorize(labels[column].astype(str))
        if not 1 < len(names) <= MAX_GROUPS:
            continue
        seen, n_cells = group_sums(x, codes.astype(np.int64), len(names), 0), np.bincount(codes, minlength=len(names))
        common = seen.sum(axis=0) - seen >= COMMON * (len(codes) - n_cells)[:, None]
        n_absent = (common & (seen == 0)).sum(axis=1) * (n_cells >= MIN_CELLS)
        lacking = (n_absent >= MANY) & (n_absent >= SHARE * common.sum(axis=1))
        if lacking.any():
            first = int(n_absent.argmax())
            others = f" ({int(lacking.sum())} of {len(names)} lack many)" if lacking.sum() > 1 else ""
            return [
                f"{n_absent[first]:,} genes that most other cells express are 0 in every cell of "
                f"{column} {names[first]!r}{others}: were data sets with other genes joined, and the "
                "gaps filled with zeros (join='outer')? Join the genes that all have (join='inner')"
            ]
    return []
