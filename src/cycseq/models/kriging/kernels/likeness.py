"""Perturbations that do alike elsewhere do alike here."""

from collections.abc import Iterator

import numpy as np

from cycseq.models.kriging.elsewhere import tell_elsewhere
from cycseq.models.kriging.kernels.base import Kernel
from cycseq.models.kriging.table import Table
from cycseq.models.other_contexts import cosines


def likeness_kernels(table: Table) -> Iterator[Kernel]:
    """Cosines of what two perturbations do elsewhere, times how reproducible each is there.

    Within a setting this is a regression on the responses elsewhere. Between settings it carries responses over, noise
    averaged out over perturbations that do alike: equally to all, or as settings were seen to covary.
    """
    if len(table.settings) < 2:
        return
    there = tell_elsewhere(table)
    if not there.guess.any():
        return
    alike = cosines(there.guess, there.guess).astype(np.float64) * np.outer(there.strength, there.strength)
    yield Kernel("alike elsewhere", alike, told_by_responses=True)
    between = there.covariance[np.ix_(table.setting, table.setting)]
    yield Kernel("alike elsewhere, as settings covary", alike * between, told_by_responses=True)
    yield Kernel("alike elsewhere, of the setting", alike * table.like(table.setting), own=True, told_by_responses=True)
