"""How effects carry over between contexts: as they are, or in proportion to how strongly a context expresses the gene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from cycseq.data.condition import Condition
from cycseq.data.effects import EffectValues
from cycseq.matrix.arrays import Profile

Link = Literal["additive", "multiplicative"]
LINKS: tuple[Link, ...] = get_args(Link)
LEAST_SHARE = 0.2
"""Of a gene's highest slope: in contexts below, its effect tells nothing of a fold change."""


def slopes(conditions: Sequence[Condition], profiles: Mapping[str, Profile], link: Link) -> EffectValues | None:
    """By how much an effect is larger in each condition's context than in the context that expresses the gene most.

    A fold change f of a mean of x counts per 10,000 changes log1p(x) by x / (1 + x) log f, to first order. None for the additive
    link, or where a context's control profile is unknown.

    Returns
    -------
    Conditions x genes, in [0, 1].
    """
    if link == "additive" or not {c.context for c in conditions} <= set(profiles):
        return None
    names = list(profiles)
    counts = np.expm1(np.maximum(np.stack([profiles[name] for name in names]).astype(np.float64), 0.0))
    of_context = counts / (1.0 + counts)
    of_context /= np.maximum(of_context.max(axis=0), 1e-12)
    place = {name: i for i, name in enumerate(names)}
    return np.asarray(of_context[[place[c.context] for c in conditions]], dtype=np.float32)


def unlink(effect: EffectValues, slope: EffectValues | None) -> EffectValues:
    """Effects as they would be where the gene is expressed most; NaN where a context hardly expresses it."""
    if slope is None:
        return effect
    return np.where(slope < LEAST_SHARE, np.nan, effect / np.maximum(slope, LEAST_SHARE)).astype(np.float32)
