"""What a network is handed: some cells with their labels as numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

OPEN = 0
"""The place that is held open for contexts and batches that training did not know; for perturbations, no part."""


@dataclass(frozen=True)
class Sizes:
    """How wide a network's inputs are; places held open are counted."""

    genes: int
    parts: int
    """Single perturbations, and place 0 for none."""
    contexts: int
    batches: int


@dataclass(frozen=True)
class Batch:
    """Some cells; row i of everything is cell i."""

    x: Float[Tensor, "cells genes"]
    """log1p of counts per 10,000."""
    parts: Int[Tensor, "cells parts"]
    """Places of the single perturbations of each cell, filled up with 0; all 0 for control."""
    context: Int[Tensor, "cells"]
    batch: Int[Tensor, "cells"]
    total: Float[Tensor, "cells"]
    """Counts of each cell (its library size)."""
    control: Float[Tensor, "cells genes"] | None = None
    """For every cell a control cell of the same context and, where there is one, batch."""

    def to(self, device: torch.device) -> Self:
        """The same cells on a device."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device, non_blocking=True) for k, v in tensors.items() if v is not None})

    def first(self, n_cells: int) -> Self:
        """Its first cells: a sample, as the order of a training batch is random."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[:n_cells] for k, v in tensors.items() if v is not None})

    def perturbed(self, parts: Int[Tensor, "cells parts"]) -> Self:
        """The same cells under other perturbation labels."""
        return replace(self, parts=parts)

    def unlabelled(self) -> Self:
        """The same cells without their labels: the label control, the open context and the open batch."""
        places = (self.parts, self.context, self.batch)
        parts, context, batch = (torch.full_like(like, OPEN) for like in places)
        return replace(self, parts=parts, context=context, batch=batch)

    def unperturbed(self) -> Self:
        """The same cells under the label control."""
        return replace(self, parts=torch.zeros_like(self.parts))


def aligned(values: np.ndarray) -> Tensor:
    """A copy in memory of torch's own, which always begins at a multiple of 64 bytes.

    NumPy's begins anywhere, and by where it begins MKL sums in another order on some processors: a training that was
    interrupted would go on to other last bits.
    """
    return torch.tensor(values)
