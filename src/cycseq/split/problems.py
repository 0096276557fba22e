"""Mistakes in the lists of a split, which somebody may have written or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from cycseq.data.dataset import Condition
from cycseq.data.either import Data
from cycseq.data.usual_names import CONTROL
from cycseq.errors import count_of, join_names

REFERENCE = "reference"
"""In `Split.cells`: the control cells that no model is given, against which real responses are taken."""


def find_problems(
    listed: Mapping[str, Sequence[Condition]],
    cells: Mapping[str, Sequence[str]],
    data: Data,
    *,
    kind: str,
    seen_parts: int | None,
    needed: Sequence[str],
) -> Iterator[str]:
    """What is wrong with the lists of conditions, and with the cells that are named by part: one clause for each mistake.

    Listed are the conditions of ``"train"``, ``"validation"``, ``"test"`` and ``"left_out"``, and `cells` names cells of parts and of
    the reference. `kind` and `seen_parts` are those of the split (`random-cells` alone lists control conditions, which are training
    cells otherwise), and `needed` says which parts must have conditions.
    """
    in_data, lists_controls = set(data.conditions()), kind == "random-cells"
    parts = [part for part in listed if part in cells]
    codes_named = {part: np.unique(data.condition_codes[data.adata.obs_names.isin(cells[part])]) for part in parts}
    conditions_named = {part: {data.conditions()[code] for code in codes} for part, codes in codes_named.items()}
    cut = {condition for of_part in conditions_named.values() for condition in of_part}
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
        if shared := sorted({*listed[first]} & {*listed[second]} - cut):
            yield f"{first} and {second} share {count_of(len(shared), 'condition')} (first: {str(shared[0])!r})"
    training = (*listed["train"], *listed["validation"])
    yield from _problems_of_kind(kind, training, listed["test"], cut, seen_parts)
    yield from _problems_of_cells(listed, cells, data, conditions_named)


def _problems_of_cells(
    listed: Mapping[str, Sequence[Condition]],
    cells: Mapping[str, Sequence[str]],
    data: Data,
    conditions_named: Mapping[str, set[Condition]],
) -> Iterator[str]:
    """What is wrong with the cells that are named by part, and which conditions they are of."""
    for part in cells:
        if part not in {*listed, REFERENCE}:
            yield f"it names cells of {part!r}, which is no part of a split"
    for part, conditions in conditions_named.items():
        if unlisted := sorted(conditions - {*listed[part]}):
            yield f"{part} names cells of {count_of(len(unlisted), 'condition')} that it does not list (first: {str(unlisted[0])!r})"
    named = pd.Index([name for part in cells.values() for name in part], dtype=object)
    for which, why in (
        (~named.isin(data.adata.obs_names), "not in the data"),
        (named.duplicated(), "named more than once"),
    ):
        if n := int(which.sum()):
            yield f"{count_of(n, 'named cell is', 'named cells are')} {why} (first: {named[which][0]!r})"
    control = set(data.adata.obs_names[data.adata.obs["perturbation"] == CONTROL])
    if others := [name for name in cells.get(REFERENCE, ()) if name not in control]:
        yield f"{count_of(len(others), 'cell of the reference is no control cell', 'cells of the reference are not control cells')} (first: {others[0]!r})"


def _problems_of_kind(
    kind: str,
    training: Collection[Condition],
    test: Sequence[Condition],
    cut: Collection[Condition],
    seen_parts: int | None,
) -> Iterator[str]:
    """Why the parts are not what the kind of the split says; `cut` are the conditions whose cells are named by part."""
    if hidden := given_away(kind, training, test, cuts=bool(cut), seen_parts=seen_parts):
        yield describe_given_away(hidden)
    contexts = {c.context for c in test}
    inside = sorted(c for c in training if c.context in contexts and not c.is_control)
    if kind == "unseen-context" and inside:
        yield f"it is called {kind}, but training or validation has {count_of(len(inside), 'condition')} of a tested context (first: {str(inside[0])!r})"
    whole = sorted({*test} - {*cut})
    if kind == "random-cells" and whole:
        yield f"it is called {kind}, but names no cells of {count_of(len(whole), 'condition')} of test (first: {str(whole[0])!r})"


def given_away(
    kind: str, training: Collection[Condition], test: Sequence[Condition], *, cuts: bool, seen_parts: int | None
) -> list[Condition]:
    """Tested conditions of which training has seen the perturbation inside of combinations, or more parts than it may.

    Parameters
    ----------
    kind, seen_parts
        As of `Split`.
    training
        Conditions of training and validation, from both of which models learn.
    test
        The tested conditions.
    cuts
        Whether cells of one condition may lie in several parts.
    """
    all_contexts = kind in {"unseen-combination", "unseen-perturbation"}
    one_context = kind in {"unseen-pair", "unseen-context", "few-shot"}
    if not all_contexts and (not one_context or cuts):
        return []
    parts = {part for c in training for part in c.parts}
    allowed = (2 if seen_parts is None else seen_parts) if kind == "unseen-combination" else len(parts)
    containing: dict[
        tuple[str, str], set[frozenset[str]]
    ] = {}  # of a context and a part (none: of all), what training joins to it
    for c in training:
        for part in ("", *c.parts):
            containing.setdefault(("" if all_contexts else c.context, part), set()).add(frozenset(c.parts))

    def is_contained(c: Condition) -> bool:
        of_part = containing.get(("" if all_contexts else c.context, next(iter(c.parts), "")), set())
        return any(whole.issuperset(c.parts) for whole in of_part)

    return [c for c in test if len(parts & set(c.parts)) > allowed or is_contained(c)]


def describe_given_away(hidden: Collection[Condition]) -> str:
    """What to say of the conditions that `given_away` finds."""
    return (
        f"{count_of(len(hidden), 'tested condition is', 'tested conditions are')} given away by training or validation conditions that contain them "
        f"(first: {min(hidden)})"
    )


def describe_missing_controls(contexts: Collection[str]) -> str:
    """What to say of tested contexts of which training has no control cells."""
    return f"training has no control cells of {join_names(contexts)}, where responses are tested"
