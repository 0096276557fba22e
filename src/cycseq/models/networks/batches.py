"""The batch feeder: whole batches gathered from memory, each a function of (seed, epoch, step) alone.

Of stored cells, a few blocks are in memory at a time.

Because nothing is drawn from a running generator, a training that stops and goes on sees the same batches as one
that does not: the feeder's position is the number of the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.scale import TARGET_SUM
from cycseq.data.usual_names import CONTROL
from cycseq.errors import DataError
from cycseq.matrix.arrays import Codes, InMemory, Matrix, in_memory, load, shuffle_rows, take_parts
from cycseq.matrix.stored import BlockCache
from cycseq.models.networks.blocks.batch import OPEN, Batch, Sizes, aligned

DENSE_BYTES = 2 << 30
"""Sparse cells that need no more memory than this when dense are kept dense: gathering them is then a plain copy."""

WINDOW = 6
"""Blocks of stored cells that are shuffled together, and held in memory for it."""
POOL = 1_000
"""Control cells of each context and batch that stored cells are given; they are held in memory."""


@dataclass(frozen=True)
class Vocabulary:
    """The labels that a network knows, in the order of their places; place 0 is held open."""

    parts: tuple[str, ...]
    """Single perturbations."""
    contexts: tuple[str, ...]
    batches: tuple[str, ...]

    @classmethod
    def of(cls, data: PerturbationData) -> Self:
        """All labels of the data, sorted."""
        parts = {part for condition in data.conditions() for part in condition.parts}
        batches = {str(name) for name in data.adata.obs["batch"].unique()}
        return cls(tuple(sorted(parts)), data.contexts, tuple(sorted(batches)))

    def sizes(self, genes: int) -> Sizes:
        """Places of each kind, open ones counted."""
        return Sizes(genes, len(self.parts) + 1, len(self.contexts) + 1, len(self.batches) + 1)

    def places(self, condition: Condition, width: int | None = None) -> Int[np.ndarray, "parts"]:
        """Places of a condition's single perturbations, filled up with 0; those that are not known are left out."""
        places = [self.parts.index(part) + 1 for part in condition.parts if part in self.parts]
        return np.pad(np.array(places, dtype=np.int64), (0, max(0, (width or 1) - len(places))))


@dataclass(frozen=True)
class MatchedControls:
    """For every cell, the control cells of its context and batch, or of its context where that batch has none."""

    x: InMemory
    """Cells that hold the controls: all cells themselves, or of stored cells at most `POOL` controls of each group."""
    rows: Codes
    """Rows of the control cells in `x`, sorted by group."""
    first: Codes
    """Where each group begins in `rows`."""
    number: Codes
    """How many control cells each group has."""
    group: Codes
    """The group of each cell."""

    @classmethod
    def of(cls, data: PerturbationData, x: Matrix) -> Self:
        """Group the controls by the data's own labels (two new contexts would share the vocabulary's open place)."""
        context, batch = (
            data.adata.obs[name].astype("category").cat.codes.to_numpy(np.int64) for name in ("context", "batch")
        )
        n_contexts, n_batches = int(context.max()) + 1, int(batch.max()) + 1
        near, wide = context * n_batches + batch, n_contexts * n_batches + context
        control = np.flatnonzero((data.adata.obs["perturbation"] == CONTROL).to_numpy())
        group = np.concatenate([near[control], wide[control]])
        number = np.bincount(group, minlength=n_contexts * (n_batches + 1))
        rows = np.concatenate([control, control])[np.argsort(group, kind="stable")]
        if not in_memory(x):
            pools = [_pool(part) for part in np.split(rows, np.cumsum(number)[:-1])]
            number = np.array([len(pool) for pool in pools])
            x, (rows,) = take_parts(x, [np.concatenate(pools)])
        first = np.concatenate([[0], np.cumsum(number)[:-1]])
        return cls(x, rows, first, number, np.where(number[near] > 0, near, wide))

    def draw(self, cells: Codes, rng: np.random.Generator) -> Codes:
        """A control cell for each of the cells: its row in `x`."""
        group = self.group[cells]
        places = self.first[group] + np.floor(rng.random(len(cells)) * self.number[group]).astype(np.int64)
        rows: Codes = self.rows[places]
        return rows


@dataclass(frozen=True)
class Encoded:
    """Cells with their labels as numbers."""

    x: Matrix
    blocks: BlockCache | None
    """Reads `x` where it is stored."""
    parts: Int[np.ndarray, "cells parts"]
    context: Codes
    batch: Codes
    total: np.ndarray
    """Counts of each cell (float32)."""
    controls: MatchedControls
    counted: bool
    """Whether `total` was in the data."""

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return len(self.context)


def encode(data: PerturbationData, vocabulary: Vocabulary) -> Encoded:
    """Labels as places of the vocabulary (unknown contexts and batches take the open place), controls by group."""
    obs, conditions = data.adata.obs, data.conditions()
    width = max([2, *(len(c.parts) for c in conditions)])
    parts = np.stack([vocabulary.places(c, width) for c in conditions])
    x = _dense_if_small(load(data.x)) if in_memory(data.x) else data.x
    total = obs["total_counts"].to_numpy(np.float32) if "total_counts" in obs else np.full(len(obs), TARGET_SUM)
    return Encoded(
        x=x,
        blocks=None if in_memory(x) else BlockCache(x, WINDOW),
        parts=parts[data.condition_codes],
        context=_places(obs["context"], vocabulary.contexts),
        batch=_places(obs["batch"], vocabulary.batches),
        total=total.astype(np.float32),
        controls=MatchedControls.of(data, x),
        counted="total_counts" in obs,
    )


@dataclass(frozen=True)
class Feeder:
    """Batches of encoded cells, in an order that (seed, epoch) fixes."""

    cells: Encoded
    rows: Codes
    """The cells that take part."""
    batch_size: int
    seed: int
    with_controls: bool = False
    """Whether every cell comes with a control cell of its context and batch."""
    rank: int = 0
    """Which of several processes this is; each is fed its own share of every batch."""
    n_ranks: int = 1
    resident: torch.Tensor | None = None
    """All values of the cells in the memory of a device, where batches are then gathered."""
    _orders: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        controls = self.cells.controls
        if self.with_controls and (controls.number[controls.group[self.rows]] == 0).any():
            msg = "some training contexts have no control cells: add them, or leave these contexts out."
            raise DataError(msg)

    def on(self, device: torch.device) -> Self:
        """The same batches, gathered on a device if all cells are dense in memory and fit in half of the device's own."""
        x = self.cells.x
        if not isinstance(x, np.ndarray):
            return self
        if device.type == "cuda" and x.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
            return self
        return replace(self, resident=torch.from_numpy(x).to(device))

    @property
    def n_steps(self) -> int:
        """Batches of an epoch; they are of nearly equal size, so that none is too small to be normalised."""
        return max(1, -(-len(self.rows) // self.batch_size))

    def batch(self, epoch: int, step: int) -> Batch:
        """The cells of one training step, in random order of the epoch."""
        order = self._order(epoch)
        start, end = (len(order) * place // self.n_steps for place in (step, step + 1))
        order_of_rank = order[start:end][self.rank :: self.n_ranks]
        return self.load(order_of_rank, np.random.default_rng([self.seed, 2, epoch, step, self.rank]))

    def _order(self, epoch: int) -> Codes:
        """The rows in the order of the epoch; the last one asked for is remembered."""
        if self._orders.get("epoch") != epoch:
            x, rng = self.cells.x, np.random.default_rng([self.seed, 1, epoch])
            self._orders.update(epoch=epoch, rows=shuffle_rows(x, self.rows, WINDOW, rng))
        order: Codes = self._orders["rows"]
        return order

    def all_batches(self) -> Iterator[Batch]:
        """Every cell once, in the order of the rows, always with the same controls."""
        rng = np.random.default_rng([self.seed, 3])
        for start in range(0, len(self.rows), self.batch_size):
            yield self.load(self.rows[start : start + self.batch_size], rng)

    def load(self, rows: Codes, rng: np.random.Generator) -> Batch:
        """These cells as tensors."""
        cells = self.cells
        return Batch(
            x=aligned(cells.blocks.dense(rows)) if cells.blocks else self._values(cells.x, rows),
            parts=torch.from_numpy(cells.parts[rows]),
            context=torch.from_numpy(cells.context[rows]),
            batch=torch.from_numpy(cells.batch[rows]),
            total=torch.from_numpy(cells.total[rows]),
            control=self._values(cells.controls.x, cells.controls.draw(rows, rng)) if self.with_controls else None,
        )

    def _values(self, x: InMemory, rows: Codes) -> torch.Tensor:
        if self.resident is None or x is not self.cells.x:
            return _tensor(x, rows)
        return self.resident[torch.from_numpy(rows).to(self.resident.device)]


def _pool(controls: Codes) -> Codes:
    """At most `POOL` of a group's control cells, always the same."""
    return np.sort(np.random.default_rng(len(controls)).permutation(controls)[:POOL])


def _tensor(x: InMemory, rows: Codes) -> torch.Tensor:
    if not isinstance(x, np.ndarray):
        return aligned(x[rows].toarray())
    tensor = torch.empty(len(rows), x.shape[1])  # `aligned`, in one copy
    np.take(x, rows, axis=0, out=tensor.numpy(), mode="clip")  # any other mode makes a copy between
    return tensor


def _dense_if_small(x: InMemory) -> InMemory:
    if isinstance(x, np.ndarray):
        return x
    return np.asarray(x.toarray()) if x.shape[0] * x.shape[1] * 4 <= DENSE_BYTES else x


def _places(labels: pd.Series, names: tuple[str, ...]) -> Codes:
    codes = pd.Categorical(labels.astype(str), categories=list(names)).codes.astype(np.int64)
    return np.where(codes < 0, OPEN, codes + 1)
