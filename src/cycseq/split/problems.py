"""Mistakes in the lists of a split, which somebody may have written or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pandas as pd

from cycseq.data.dataset import Condition
from cycseq.data.either import Data
from cycseq.data.usual_names import CONTROL
from cycseq.errors import count_of


def find_problems(
    listed: Mapping[str, Sequence[Condition]],
    cells: Mapping[str, Sequence[str]],
    data: Data,
    *,
    cuts: bool,
    lists_controls: bool,
    needed: Sequence[str],
) -> Iterator[str]:
    """What is wrong with the lists of conditions, and with the cells that are named by part: one clause for each mistake.

    Listed are the conditions of ``"train"``, ``"validation"``, ``"test"`` and ``"left_out"``, and `cells` names cells of parts and of
    the reference. `cuts` says whether cells of one condition may lie in several parts, `lists_controls` whether control conditions
    are listed (they are training cells otherwise), and `needed` which parts must have conditions.
    """
    in_data = set(data.conditions())
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
                yield f"{part} has {count_of(len(names), 'condition')} {why} (first: {names[0]!r})"
    for part in needed:
        if not listed[part]:
            yield f"{part} has no condition"
    for first, second in combinations(listed, 2):
        shared = sorted({*listed[first]} & {*listed[second]})
        if shared and not cuts:
            yield f"{first} and {second} share {count_of(len(shared), 'condition')} (first: {str(shared[0])!r})"
    named = pd.Index([name for part in cells.values() for name in part], dtype=object)
    for which, why in (
        (~named.isin(data.adata.obs_names), "not in the data"),
        (named.duplicated(), "named more than once"),
    ):
        if n := int(which.sum()):
            yield f"{count_of(n, 'named cell is', 'named cells are')} {why} (first: {named[which][0]!r})"
    control = set(data.adata.obs_names[data.adata.obs["perturbation"] == CONTROL])
    if others := [name for name in cells.get("reference", ()) if name not in control]:
        yield f"{count_of(len(others), 'cell of the reference is no control cell', 'cells of the reference are not control cells')} (first: {others[0]!r})"
