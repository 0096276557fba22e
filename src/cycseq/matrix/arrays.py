"""Cells x genes, dense or sparse, in memory or stored: the shapes of arrays by name, and how cells come into memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from cycseq.matrix.stored import StoredMatrix, load_stored, take_stored

Cells = Float[np.ndarray, "cells genes"]
Profile = Float[np.ndarray, "genes"]
Profiles = Float[np.ndarray, "conditions genes"]
Mask = Bool[np.ndarray, "conditions genes"]
Codes = Int[np.ndarray, "cells"]
InMemory: TypeAlias = np.ndarray | sp.csr_matrix | sp.csr_array
"""Cells x genes, dense or CSR."""
Matrix: TypeAlias = InMemory | StoredMatrix
"""Cells x genes in memory, or on the disk in blocks of cells."""


def load(x: Matrix) -> InMemory:
    """The same cells in memory."""
    return load_stored(x) if isinstance(x, StoredMatrix) else x


def take(x: Matrix, rows: Codes) -> InMemory:
    """These cells in memory, in this order; rows may occur more than once."""
    return take_stored(x, rows) if isinstance(x, StoredMatrix) else x[rows]


def to_dense(x: Matrix) -> Cells:
    """The same cells as a dense array, in memory."""
    x = load(x)
    return x if isinstance(x, np.ndarray) else np.asarray(x.toarray())


def take_parts(x: Matrix, parts: Sequence[Codes]) -> tuple[InMemory, tuple[Codes, ...]]:
    """A matrix in memory that holds the cells of some parts, and the rows of every part there; stored cells are read once.

    What is in memory is given back as it is.
    """
    if not isinstance(x, StoredMatrix):
        return x, tuple(parts)
    wanted, place = np.unique(np.concatenate(parts), return_inverse=True)
    return load_stored(x[wanted]), tuple(np.split(place, np.cumsum([len(rows) for rows in parts])[:-1]))
