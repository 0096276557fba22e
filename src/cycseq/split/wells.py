"""Conditions of several contexts that were measured together: their likeness may be that of a well, a plate or a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cycseq.data.condition import Condition
from cycseq.data.effects import Effects
from cycseq.data.wells import NO_LABEL, labels_of_wells
from cycseq.split.base import Split


@dataclass(frozen=True)
class SharedWells:
    """Tested conditions that share what a column names with their perturbation in a training context."""

    column: str
    n: int
    """How many."""
    tested: Condition
    """The first of them."""
    other: str
    """A training context that it shares the label with."""
    label: str


def shared_wells(split: Split, effects: Effects) -> Iterator[SharedWells]:
    """By column with several labels, the tested conditions that share theirs with the same perturbation elsewhere.

    Where all contexts of a drug were treated in one well, whatever is the well's (its dose, its position, its depth) is alike
    in all of them, and it looks like transfer between contexts.
    """
    place = {condition: row for row, condition in enumerate(effects.conditions())}
    training = [c for c in (*split.train, *split.validation) if c in place]
    for column, labels in labels_of_wells(effects):
        contexts: dict[tuple[str, str], set[str]] = {}
        for c in training:
            if labels[place[c]] not in NO_LABEL:
                contexts.setdefault((c.agent, labels[place[c]]), set()).add(c.context)
        shared = [c for c in split.test if contexts.get((c.agent, labels[place[c]]), set()) - {c.context}]
        if shared:
            label = labels[place[shared[0]]]
            other = min(contexts[shared[0].agent, label] - {shared[0].context})
            yield SharedWells(column, len(shared), shared[0], other, label)
