"""The kinds of split, and how data are split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal[
    "unseen-context", "unseen-pair", "few-shot", "unseen-perturbation", "unseen-combination", "unseen-dose", "unseen-time",
    "random-cells",
]  # fmt: skip
NOTHING: Literal["nothing"] = "nothing"  # the kind of a run that was fitted without a split: nothing was held out
SplitKind = Kind | Literal["nothing"]
KINDS: dict[Kind, str] = {
    "unseen-context": "all perturbations of a context; control cells of it stay",
    "unseen-pair": "some perturbations of a context, each measured in another context",
    "few-shot": "all but k conditions, or all but n cells of each condition, of a context",
    "unseen-perturbation": "some perturbations, in every context and every combination",
    "unseen-combination": "some combinations in every context, of whose parts 2, 1 or none are seen",
    "unseen-dose": "a dose of some or all perturbations, whose other doses are seen",
    "unseen-time": "a time of some or all perturbations, whose other times are seen",
    "random-cells": "some cells of every condition: reconstruction only",
}
"""The kinds of split and what each holds out."""


@dataclass
class SplitSettings:
    """How data are split."""

    kind: Kind = "unseen-context"
    """What is held out."""
    context: str | None = None
    """The context held out (unseen-context, unseen-pair, few-shot); without it each context in turn."""
    k: int | None = None
    """few-shot: how many perturbed conditions of the context are not tested; they stay for training, save those that
    contain a tested one."""
    n_cells: int | None = None
    """few-shot: how many cells of each perturbed condition stay for training (20, unless k is given)."""
    fraction: float | None = None
    """Share of conditions, perturbations, combinations or cells that are tested (0.2; 0.15 of random cells)."""
    validation: float | None = None
    """Share that is kept for validation (0.1; 0.15 of random cells); for unseen-context and few-shot it is one other
    context; 0 keeps none."""
    seen_parts: Literal[0, 1, 2] = 2
    """unseen-combination: how many of the two parts of a tested combination are seen in training."""
    test_conditions: Path | None = None
    """unseen-pair: file of the tested conditions, one CONTEXT:PERTURBATION per line; a perturbation without dose and time stands
    for all that were measured of it."""
    test_perturbations: Path | None = None
    """File of the tested perturbations, one per line (unseen-perturbation, unseen-dose, unseen-time)."""
    dose: str | None = None
    """unseen-dose: the dose that is tested, as the data name it (100nM, Middle)."""
    time: float | None = None
    """unseen-time: the time that is tested, in hours."""
    seed: int = 0
    """Fixes what is drawn."""
    shared_controls: bool = False
    """Give models all control cells of the tested contexts, and take real responses against the same cells. By default
    half of them is held back as the reference of the real responses: noise of a control mean that is on both sides counts
    as response."""
