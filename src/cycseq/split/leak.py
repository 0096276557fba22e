"""What a leak is: one way in which a part of a split knows of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cycseq.split.problems import REFERENCE

PAIRS = (("train", "test"), ("validation", "test"), ("train", "validation"))
PAIRS_OF_CELLS = (*PAIRS, ("train", REFERENCE))


@dataclass(frozen=True)
class Leak:
    """One way in which a part of a split knows of another."""

    kind: str
    """``"shared conditions"``, ``"shared cells"``, ``"shared barcodes"``, ``"shared metacells"``,
    ``"hidden perturbations"``, ``"shared wells"``, ``"chosen genes"`` or ``"missing controls"``."""
    what: str  # what was found, with an example
    n: int  # how many cells, or conditions, or contexts
    cure: str
    level: Literal["leak", "warning"] = "leak"  # a warning may be chance

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}. {self.cure}"
