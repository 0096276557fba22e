"""Mistakes in the lists of a split, which somebody may have written or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pandas as pd

from cycseq.data.dataset import Condition
from cycseq.errors import count_of


def condition_problems(
    listed: Mapping[str, Sequence[Condition]],
    present: Sequence[Condition],
    *,
    cuts: bool,
    lists_controls: bool,
    needed: Sequence[str] = ("train", "test"),
) -> Iterator[str]:
    """What is wrong with the lists of conditions, one clause for each mistake.

    Parameters
    ----------
    listed
        The conditions of ``"train"``, ``"validation"``, ``"test"`` and ``"left_out"``.
    present
        The conditions of the data.
    cuts
        Whether cells of one condition may lie in several parts.
    lists_controls
        Whether control conditions are listed; they are training cells otherwise.
    needed
        The parts that must have conditions.
    """
    in_data = set(present)
    for part, conditions in listed.items():
        twice = [name for name, n in Counter(map(str, conditions)).items() if n > 1]
        absent = [str(c) for c in conditions if c not in in_data]
        controls = [str(c) for c in conditions if c.is_control and not lists_controls]
        for names, why in (
            (twice, "listed more than once"),
            (absent, "not in the data"),
            (controls, "of control cells, which are in training without being listed"),
        ):
            if names:
                yield f"{part} has {_amount(len(names))} {why} (first: {names[0]!r})"
    for part in needed:
        if not listed[part]:
            yield f"{part} has no condition"
    for first, second in combinations(listed, 2):
        shared = sorted({*listed[first]} & {*listed[second]})
        if shared and not cuts:
            yield f"{first} and {second} share {_amount(len(shared))} (first: {str(shared[0])!r})"


def cell_problems(cells_by_part: Mapping[str, Sequence[str]], present: pd.Index) -> Iterator[str]:
    """What is wrong with the cells that are named by part; `present` are the names of all cells of the data."""
    names = pd.Index([name for part in cells_by_part.values() for name in part], dtype=object)
    for which, why in ((~names.isin(present), "not in the data"), (names.duplicated(), "named more than once")):
        if which.any():
            yield f"{count_of(int(which.sum()), 'named cell is', 'named cells are')} {why} (first: {names[which][0]!r})"


def reference_problems(cells_by_part: Mapping[str, Sequence[str]], control: pd.Index) -> Iterator[str]:
    """What is wrong with the cells that are held back as reference; `control` are the names of all control cells."""
    control_names = set(control)
    others = [name for name in cells_by_part.get("reference", ()) if name not in control_names]
    if others:
        yield f"{count_of(len(others), 'cell of the reference is no control cell', 'cells of the reference are not control cells')} (first: {others[0]!r})"


def _amount(n: int) -> str:
    return f"{n:,} condition{'' if n == 1 else 's'}"
