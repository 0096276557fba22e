"""What all perturbations have in common."""

from collections.abc import Iterator

import numpy as np

from cycseq.models.kriging.kernels.base import Kernel, near_contexts
from cycseq.models.kriging.table import Table


def common_kernels(table: Table) -> Iterator[Kernel]:
    """A response common to all conditions, to those of near contexts, and to those of the same setting."""
    everywhere = np.ones((len(table.conditions), len(table.conditions)))
    yield Kernel("common response", everywhere)
    near = near_contexts(table)
    if near is not None:
        yield Kernel("common response of near contexts", near)
    if len(np.unique(table.contexts)) < len(table.settings):
        yield Kernel("common response of the context", table.like(table.contexts))
    if len(table.settings) > 1:
        yield Kernel("common response of the setting", table.like(table.setting), own=True)
