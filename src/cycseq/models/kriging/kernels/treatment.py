"""Near doses and near times do alike."""

from collections.abc import Iterator

import numpy as np

from cycseq.models.doses import place
from cycseq.models.kriging.kernels.base import Kernel
from cycseq.models.kriging.kernels.parts import shared_parts
from cycseq.models.kriging.table import Square, Table

LENGTHS = {"dose": 1.0, "time": 0.5}
"""Of the exponential kernels: decades of dose (or steps of named levels), and of time."""


def treatment_kernels(table: Table) -> Iterator[Kernel]:
    """The same perturbation at near doses and near times, and what all perturbations do there."""
    near = [_near(table, axis) for axis in LENGTHS]
    varying = [one for one in near if one is not None]
    if not varying:
        return
    product = np.prod(varying, axis=0)
    context = table.like(table.contexts)
    yield Kernel("common response at near doses and times", product * context)
    yield Kernel("same perturbation at near doses and times", product * shared_parts(table)[0] * context)


def _near(table: Table, axis: str) -> Square | None:
    """exp(-distance in logarithms / length), 0 where units differ; None where nothing varies."""
    places = [place(c, axis) for c in table.conditions]
    if len(set(places)) < 2:
        return None
    units = table.like([str(p and p[0]) for p in places])
    at = np.array([p[1] if p else 0.0 for p in places])
    return np.asarray(np.exp(-np.abs(at[:, None] - at[None]) / LENGTHS[axis]) * units)
