"""Perturbations of which alike things are known do alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cycseq.models.kriging.kernels.base import Kernel
from cycseq.models.kriging.table import Table


def knowledge_kernels(table: Table) -> Iterator[Kernel]:
    """Each source's own kernel, in all contexts and in the same one."""
    names = [c.agent for c in table.conditions]
    distinct = list(dict.fromkeys(names))
    place = np.array([distinct.index(name) for name in names])
    several = len(table.settings) > 1
    for source in table.sources:
        alike = source.kernel(distinct)[np.ix_(place, place)]
        yield Kernel(source.name, alike)
        if several:
            yield Kernel(f"{source.name}, of the setting", alike * table.like(table.setting))
