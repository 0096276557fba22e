"""Splits that cut conditions: cells of one condition lie in several parts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import SplitError
from cycseq.split.base import PARTS
from cycseq.split.plan import Plan
from cycseq.split.settings import SplitSettings

SHARE = 0.15  # share of the cells that are tested, and share that validates: the published 70/15/15


def random_cells(data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """Cells of every condition, controls among them, at random to the three parts."""
    cells_of = cell_names(cells_to_cut(data, settings.kind))
    tested = SHARE if settings.fraction is None else settings.fraction
    validated = SHARE if settings.validation is None else settings.validation
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    inside: dict[str, list[Condition]] = {"train": [], "validation": [], "test": []}
    for condition, names in cells_of.items():
        order = _permuted(names, settings.seed, condition)
        n_test, n_validation = round(len(order) * tested), round(len(order) * validated)
        ends = (len(order) - n_test - n_validation, len(order) - n_test, len(order))
        for part, start, end in zip(parts, (0, *ends), ends, strict=False):
            parts[part] += order[start:end].tolist()
            inside[part] += [condition] if end > start else []
    if not parts["test"]:
        msg = f"no condition has enough cells for a share of {tested:g} to be one cell: test more with --fraction, or give more cells."
        raise SplitError(msg)
    if not parts["train"]:
        raise SplitError(
            f"no condition has enough cells for one to be left to train on beside shares of {tested:g} and "
            f"{validated:g}: lower --fraction or --validation, or give more cells."
        )
    n = {part: f"{len(names):,}" for part, names in parts.items()}
    claim = (
        f"Reconstruction only: it says nothing about unseen conditions. {n['test']} cells at random are tested, "
        f"{n['train']} train; cells of every condition are in training, so a good score shows that cells like those "
        "seen can be described, not that a response can be predicted."
    )
    cells = {part: tuple(sorted(names)) for part, names in parts.items() if names}
    train, validation, test = (tuple(inside[part]) for part in PARTS)
    return (Plan("random-cells", claim, train, validation, test, cells=cells),)


def cut(
    data: PerturbationData, conditions: Collection[Condition], n_cells: int, seed: int
) -> dict[Condition, tuple[list[str], list[str]]]:
    """For each condition with more cells than this, the names of n_cells that stay and of those held out."""
    halves = {}
    for condition, names in cell_names(data).items():
        if condition in conditions and len(names) > n_cells:
            order = _permuted(names, seed, condition).tolist()
            halves[condition] = (sorted(order[:n_cells]), sorted(order[n_cells:]))
    return halves


def cell_names(data: PerturbationData) -> dict[Condition, Sequence[str]]:
    """The names of the cells of every condition, sorted, so that the order of cells in the file does not matter."""
    codes, names = data.condition_codes, np.asarray(data.adata.obs_names, dtype=object)
    order = np.lexsort((names, codes))
    ends = np.cumsum(np.bincount(codes, minlength=len(data.conditions())))
    return dict(zip(data.conditions(), (part.tolist() for part in np.split(names[order], ends[:-1])), strict=True))


def share_cells(data: PerturbationData) -> bool:
    """Whether these are metacells of which two were made from the same cell."""
    sources = data.adata.obsm.get("source_cells")
    return sources is not None and int(np.asarray(sources.sum(axis=0)).max()) > 1


def cells_to_cut(data: Data, kind: str) -> PerturbationData:
    """The cells, if conditions can be cut between them; raises `SplitError` for effects and for metacells that share cells."""
    if isinstance(data, Effects):
        msg = f"{kind} cuts conditions between their cells, but these are effects of whole conditions: choose a kind that holds out conditions (few-shot with --k)."
        raise SplitError(msg)
    if share_cells(data):
        raise SplitError(
            f"{kind} cuts conditions, but the metacells of these data share cells, which would lie on both sides. "
            "Split the single cells (cycseq prepare without --metacells), or choose a kind that holds out conditions."
        )
    return data


def _permuted(names: Sequence[str], seed: int, condition: Condition) -> np.ndarray:
    return np.random.default_rng([seed, *str(condition).encode()]).permutation(np.asarray(names, dtype=object))
