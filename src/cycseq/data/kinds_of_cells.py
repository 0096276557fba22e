"""Whether all cells of a file are of one kind, each looked at alone: data sets on several scales may have been joined."""

from __future__ import annotations

from collections import Counter

import numpy as np

from cycseq.data.logarithms import (
    BACK,
    EVEN,
    FEW_CELLS,
    FEWEST_ALIKE,
    LARGEST_RATIO,
    TOTALS,
    Logarithm,
    Values,
    step_of,
    sums_of,
)

CELLS = 480
"""Cells that are looked at, evenly spaced: a data set that is joined to others may have few, and shallow ones."""
MANY_VALUES = 20  # a cell with fewer values tells nothing alone
SURE = 8  # distinct multiples of a cell's step that tell its logarithm for certain
SEVERAL = 3  # distinct whole numbers of a cell of counts
HARDLY_ANY = 0.05  # share of whole numbers in cells that are not counts
COUNTS = "counts"


def kinds_of_cells(cells: list[Values]) -> dict[str, int]:
    """What the cells of a file with fractional values are, by themselves, with how many of those looked at; rare kinds are left out.

    `cells` are the values above 0 of each. A cell's kind is ``"counts"`` or a key of `BACK`; cells that tell none are left
    out.
    """
    seen = [values for values in cells[:: max(1, len(cells) // CELLS)] if values.size >= MANY_VALUES]
    if len(seen) < FEWEST_ALIKE:
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        whole = [bool((values == np.rint(values)).all()) for values in seen]
        names = [
            _of_counts(values) if is_whole else _by_steps(values) for values, is_whole in zip(seen, whole, strict=True)
        ]
        by_sums = _by_sums(seen)
    names = [name or other for name, other in zip(names, by_sums, strict=True)]
    numbers = Counter(name for name in names if name is not None)
    others = [np.mean(values == np.rint(values)) for name, values in zip(names, seen, strict=True) if name != COUNTS]
    if numbers[COUNTS] and others and np.median(others) > HARDLY_ANY:
        return {}  # fractional counts, some cells of which hold whole numbers alone
    least = max(FEWEST_ALIKE, FEW_CELLS * len(seen))
    return {name: n for name, n in numbers.most_common() if n >= least}


def _of_counts(whole: Values) -> str | None:
    return COUNTS if np.unique(whole).size >= SEVERAL else None


def _by_steps(values: Values) -> str | None:
    """The only logarithm of which a cell's values are whole multiples, many of them; None where there is no such."""
    distinct = np.unique(values)
    fitting = []
    for name, back in BACK.items():
        u = back(distinct)
        if (
            np.count_nonzero(u <= LARGEST_RATIO * u[0]) >= SURE
            and (step := step_of(u)) is not None
            and np.isfinite(step[0])
        ):
            fitting.append(name)
    return fitting[0] if len(fitting) == 1 else None


def _by_sums(cells: list[Values]) -> list[str | None]:
    """For each cell, the only logarithm whose normalised counts sum to a usual total, as those of other cells do too."""
    at_total = {}
    for name in BACK:
        sums = sums_of(cells, name)
        near = [np.abs(sums / total - 1) <= EVEN for total in TOTALS]
        at_total[name] = np.any(
            [which for which in near if which.sum() >= FEWEST_ALIKE] or [np.zeros(len(cells), bool)], axis=0
        )
    table = np.array(list(at_total.values()))
    return [list(BACK)[column.argmax()] if column.sum() == 1 else None for column in table.T]


def kind_in_words(name: str) -> str:
    """``"log2(1 + counts x a factor of each cell)"``."""
    return name if name == COUNTS else Logarithm(name).in_words()
