"""What every world is: contexts that turn states and perturbations into levels of genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

STATES = 3  # dimensions of the cell state

Levels = Float[np.ndarray, "cells genes"]
States = Float[np.ndarray, "cells states"]


@runtime_checkable
class ContextLaw(Protocol):
    """One context: levels of all genes in its cells. Levels are logs; -inf is a silent gene."""

    def log_levels(self, states: States, perturbation: Int[np.ndarray, "cells"], offset: Levels) -> Levels:
        """Log levels of every gene of every cell.

        States are standard normal; the perturbation of a cell is a place in `Biology.targets`, -1 for control; `offset` is what
        batches add to the log levels (one row for all cells, or a row for each).
        """


@dataclass(frozen=True)
class Biology:
    """All contexts of a world, and what its perturbations are aimed at."""

    contexts: Sequence[ContextLaw]
    targets: Sequence[tuple[int, ...]]
    """The genes that each perturbation is aimed at and named after: singles, then doubles."""
    var: dict[str, np.ndarray] = field(default_factory=dict)  # what is to be said of genes
    facts: dict[str, list[float]] = field(default_factory=dict)
    """What tells the contexts apart, a number for each: its sign, its clade, ..."""
