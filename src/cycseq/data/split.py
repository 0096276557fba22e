"""Splits: a partition of conditions (or of cells), with the claim that it supports."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.files import write_text


class SplitParts(NamedTuple):
    """The cells of a split's parts."""

    train: PerturbationData
    """Cells of the training conditions, and the control cells of ALL contexts."""
    validation: PerturbationData | None
    """Cells of the validation conditions, without controls; None where there are none."""
    test: PerturbationData
    """Cells of the test conditions, without controls (for `random-cells`: held-out cells of every condition)."""


@dataclass(frozen=True)
class Split:
    """A partition of conditions with the claim it supports; where a condition is cut, of its cells.

    Control cells of every context stay in training, whichever kind it is (`random-cells` alone cuts them too).
    """

    name: str
    """Says kind and what is held out: ``"unseen-context:NK"``."""
    kind: str
    claim: str
    """What a good score on the test part would show, in one sentence."""
    train: tuple[Condition, ...]
    validation: tuple[Condition, ...]
    test: tuple[Condition, ...]
    seed: int
    data_hash: str
    """`PerturbationData.fingerprint` of the data that it was made from."""
    cells: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """obs names by part, for the conditions that are cut; empty where all conditions are whole."""

    def parts(self, data: PerturbationData) -> SplitParts:
        """Part the data; raises `SplitError` if the split was made from other data."""
        raise NotImplementedError

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write as JSON."""
        write_text(path, json.dumps(asdict(self), indent=1), overwrite=overwrite)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        raise NotImplementedError
