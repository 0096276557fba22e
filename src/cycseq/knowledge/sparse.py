"""Names x columns as sparse rows, from lists of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.errors import DataError
from cycseq.knowledge.source import Source


def sparse_rows(names: Any, columns: Any, values: np.ndarray | None = None) -> tuple[tuple[str, ...], sp.csr_array]:
    """Distinct names, sorted, and their rows. Of a pair that is listed several times the strongest value counts.

    Entries whose name is empty are left out; without values, all are 1.
    """
    codes, distinct = pd.factorize(np.asarray(names, dtype=object))
    of_code, of_rows = pd.factorize(np.array([str(name).strip() for name in distinct], dtype=object), sort=True)
    rows = of_code[codes]
    places, of_columns = pd.factorize(np.asarray(columns))
    numbers = np.ones(len(rows), dtype=np.float32) if values is None else values.astype(np.float32)
    order = np.lexsort((-np.abs(numbers), places, rows))
    rows, places, numbers = rows[order], places[order], numbers[order]
    strongest = np.r_[True, (np.diff(rows) != 0) | (np.diff(places) != 0)][: len(rows)] & (numbers != 0)
    mask = strongest & np.array([bool(name) for name in of_rows], dtype=bool)[rows]
    matrix = sp.csr_array((numbers[mask], (rows[mask], places[mask])), shape=(len(of_rows), len(of_columns)))
    listed = np.flatnonzero(np.diff(matrix.indptr))
    return tuple(str(of_rows[row]) for row in listed), sp.csr_array(matrix[listed])


def sets_source(name: str, members: Any, sets: Any, facts: dict[str, str]) -> Source:
    """A source of sets from its pairs of member and set; raises `DataError` where there are none."""
    names, matrix = sparse_rows(members, sets)
    if not names:
        raise DataError(f"{facts['file']} holds no set of genes: no line names a gene and a set.")
    return Source(name, "sets", names, matrix, facts)
