"""What commands work on."""

from __future__ import annotations

from typing import TypeAlias

from cycseq.data.dataset import PerturbationData
from cycseq.data.effects import Effects

Data: TypeAlias = PerturbationData | Effects
"""Cells, or effects of whole conditions; both know their conditions, contexts and perturbations."""
