"""Kernels between conditions. A new one is a function in a file of this folder, and a line in `KERNELS`."""

from collections.abc import Callable, Iterator

from cycseq.models.kriging.kernels.base import Kernel
from cycseq.models.kriging.kernels.common_response import common_kernels
from cycseq.models.kriging.kernels.known import knowledge_kernels
from cycseq.models.kriging.kernels.likeness import likeness_kernels
from cycseq.models.kriging.kernels.parts import part_kernels
from cycseq.models.kriging.kernels.treatment import treatment_kernels
from cycseq.models.kriging.table import Table

KERNELS: tuple[Callable[[Table], Iterator[Kernel]], ...] = (
    common_kernels,
    part_kernels,
    likeness_kernels,
    knowledge_kernels,
    treatment_kernels,
)
"""Each yields its kernels over the conditions of a table."""


def kernels_of(table: Table) -> Iterator[Kernel]:
    """All kernels over a table's conditions, one at a time: each takes conditions x conditions x 8 bytes."""
    for family in KERNELS:
        yield from family(table)
