"""What cells and effects have in common: an AnnData whose rows belong to conditions and whose columns are genes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Self

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.condition import Condition, as_condition
from cycseq.data.mark import read_provenance
from cycseq.matrix.arrays import Codes


class ByCondition(ABC):
    """Base of `PerturbationData` and `Effects`, so that what needs conditions alone takes either."""

    adata: ad.AnnData

    @abstractmethod
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions, controls among them."""

    @property
    @abstractmethod
    def condition_codes(self) -> Codes:
        """For every row, the place of its condition in `conditions()`."""

    @abstractmethod
    def take(self, rows: np.ndarray) -> Self:
        """The data of these rows (numbers or a mask)."""

    def subset(self, conditions: Iterable[Condition | str]) -> Self:
        """The rows of these conditions."""
        selected = {as_condition(condition, self.contexts) for condition in conditions}
        mask = np.array([c in selected for c in self.conditions()], dtype=bool)
        return self.take(np.flatnonzero(mask[self.condition_codes]))

    @cached_property
    def contexts(self) -> tuple[str, ...]:
        """The contexts, sorted."""
        return tuple(sorted({c.context for c in self.conditions()}))

    @cached_property
    def perturbations(self) -> tuple[str, ...]:
        """The perturbations with their doses and times, sorted, without control."""
        return tuple(sorted({c.perturbation for c in self.conditions() if not c.is_control}))

    @property
    def obs(self) -> pd.DataFrame:
        """The labels of the rows."""
        return self.adata.obs

    @property
    def genes(self) -> list[str]:
        """Gene names, in the order of the columns."""
        return list(self.adata.var_names)

    def controls(self, contexts: Iterable[str] | None = None) -> Self:
        """The rows of controls, of these contexts or of all."""
        selected = set(self.contexts if contexts is None else contexts)
        return self.subset(c for c in self.conditions() if c.is_control and c.context in selected)

    def perturbed(self) -> Self:
        """The rows that are not controls."""
        return self.subset(c for c in self.conditions() if not c.is_control)

    def targets(self, condition: Condition) -> list[int]:
        """The columns of the genes that the condition perturbs; empty where its parts are not genes (drugs, cytokines)."""
        return [int(i) for i in self.adata.var_names.get_indexer(list(condition.parts)) if i >= 0]

    def provenance(self) -> dict[str, Any]:
        """What is known of how these data came about: ``uns["cycseq"]``, with JSON texts read."""
        return read_provenance(self.adata)
