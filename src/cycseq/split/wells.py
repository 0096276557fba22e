"""Conditions of several contexts that were measured together: their likeness may be that of a well, a plate or a batch."""

from __future__ import annotations

from collections.abc import Iterator

from cycseq.data.effects import Effects
from cycseq.data.wells import NO_LABEL, labels_of_wells
from cycseq.errors import count_of
from cycseq.split.base import Split
from cycseq.split.leak import Leak


def shared_wells(split: Split, effects: Effects) -> Iterator[Leak]:
    """By column with several labels, the tested conditions that share theirs with the same perturbation in a training context.

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
            first, label = shared[0], labels[place[shared[0]]]
            other = min(contexts[first.agent, label] - {first.context})
            what = (
                f"{len(shared):,} of {count_of(len(split.test), 'tested condition')} were measured in the same {column} as their perturbation in a "
                f"training context (first: {first} and {other}, {column} {label!r}), so that likeness may be the {column}'s and no biology"
            )
            cure = f"A good score supports no claim of transfer: test contexts that were measured in another {column}."
            yield Leak("shared wells", what, len(shared), cure, "warning")
