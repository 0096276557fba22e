"""Conditions of several contexts that were measured together: they may be alike because of a well, a plate or a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from cycseq.data.effects import Effects
from cycseq.errors import count_of

WELLS = re.compile(r"(well|plate|batch|lane|library|pool)s?(_?(id|name|barcode))?", re.IGNORECASE)
"""Columns of effects that say what was measured together."""
NO_LABEL = ("", "nan", "None")  # labels of conditions of which that is unknown


def labels_of_wells(effects: Effects) -> Iterator[tuple[str, np.ndarray]]:
    """Every column of obs that says what was measured together, where it has several labels, with the label of each row."""
    for column in (name for name in map(str, effects.adata.obs) if WELLS.fullmatch(name)):
        labels = effects.adata.obs[column].astype(str).to_numpy()
        if len(set(labels) - set(NO_LABEL)) > 1:
            yield column, labels


def measured_together(effects: Effects) -> list[str]:
    """A sentence for each column by which perturbations were measured together in several contexts."""
    conditions = effects.conditions()
    sentences = []
    for column, labels in labels_of_wells(effects):
        contexts: dict[tuple[str, str], set[str]] = {}
        for c, label in zip(conditions, labels, strict=True):
            if not c.is_control and label not in NO_LABEL:
                contexts.setdefault((c.agent, label), set()).add(c.context)
        n = sum(len(contexts.get((c.agent, label), ())) > 1 for c, label in zip(conditions, labels, strict=True))
        if n:
            total = sum(not c.is_control for c in conditions)
            sentences.append(
                f"{n:,} of {count_of(total, 'condition')} share their {column} with the same perturbation in another context: what is alike "
                f"there may be the {column}'s and no biology, and transfer between contexts cannot be told from it"
            )
    return sentences
