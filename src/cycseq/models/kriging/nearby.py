"""Which measured conditions a prediction rests on, where they are too many for one matrix."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Int

from cycseq.data.condition import Condition

MAX_MEASURED = 3_000
"""Measured conditions in one matrix: a kernel takes 72 MB, and a decomposition half a minute of one core."""

Rows = Int[np.ndarray, "rows"]


def near_conditions(
    measured: Sequence[Condition], asked: Sequence[Condition], *, limit: int = MAX_MEASURED
) -> Iterator[tuple[Rows, Rows]]:
    """What is asked for, a part at a time, with the measured conditions that tell most of it.

    Of the measured conditions, up to a third are of the same context, up to a third share a perturbation with what is asked for, and the
    rest is drawn from all others, always the same. With no more than `limit` of them, all are there.

    Parameters
    ----------
    measured, asked
        Conditions.
    limit
        Measured conditions of a part, at most.

    Yields
    ------
    Rows of `asked`, and rows of `measured`, both in ascending order.
    """
    if len(measured) <= limit:
        yield np.arange(len(asked)), np.arange(len(measured))
        return
    order, third = np.random.default_rng(0).permutation(len(measured)).tolist(), limit // 3
    of_context, of_part = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for row in order:
        of_context[measured[row].context].append(row)
        for name in measured[row].parts:
            of_part[name].append(row)

    def with_others(rows: set[int]) -> Rows:
        others = (row for row in order if row not in rows)
        return np.array(sorted([*rows, *islice(others, limit - len(rows))]))

    for context in dict.fromkeys(c.context for c in asked):
        own = set(of_context[context][:third])
        part: list[int] = []
        alike: set[int] = set()
        for i in sorted((i for i, c in enumerate(asked) if c.context == context), key=lambda i: asked[i].agent):
            more = {row for name in asked[i].parts for row in of_part[name][:third]}
            if part and len(own | alike | more) > 2 * third:
                yield np.sort(part), with_others(own | alike)
                part, alike = [], set()
            part.append(i)
            alike |= more
        yield np.sort(part), with_others(own | alike)
