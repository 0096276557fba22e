"""The same perturbation elsewhere, and combinations as sums of their parts."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from cycseq.models.kriging.kernels.base import Kernel, near_contexts
from cycseq.models.kriging.table import Square, Table


def part_kernels(table: Table) -> Iterator[Kernel]:
    """Conditions are alike as far as they share parts: K(A+B, A) = 1, K(A+B, A+B) = 2, which contains additivity."""
    same, combined = shared_parts(table)
    yield Kernel("same perturbation", same)
    near = near_contexts(table)
    if near is not None:
        yield Kernel("same perturbation in near contexts", same * near)
    several = len(np.unique(table.contexts)) < len(table.settings)
    if combined or several:
        yield Kernel("same perturbation in the context", same * table.like(table.contexts))
    if combined:
        yield Kernel("same combination", table.like(table.agents))


def shared_parts(table: Table) -> tuple[Square, bool]:
    """How many parts two conditions share, and whether any has several."""
    names = sorted({part for c in table.conditions for part in c.parts})
    place = {name: i for i, name in enumerate(names)}
    parts = [[place[part] for part in c.parts] for c in table.conditions]
    ends = np.cumsum([0, *map(len, parts)])
    has = sp.csr_array(
        (np.ones(ends[-1]), np.array([i for of_condition in parts for i in of_condition], dtype=np.int64), ends),
        (len(parts), len(names)),
    )
    return np.asarray((has @ has.T).toarray()), any(len(of_condition) > 1 for of_condition in parts)
