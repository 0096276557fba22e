"""Coordinates of perturbations in which what sources of knowledge call alike lies near."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cycseq.data.condition import Condition
from cycseq.knowledge.features import Features
from cycseq.knowledge.names import canonical
from cycseq.knowledge.source import Kernel, Source

MOST = 200  # coordinates at most; on Replogle 2022 more of them predict no better
MOST_LANDMARKS = 2_000
"""Measured perturbations that span them: for more, as many of them evenly drawn from the sorted names; the eigendecomposition
takes seconds then, not minutes."""
BLOCK = 4096  # Names whose likeness is computed at a time


def coordinates(sources: Sequence[Source], perturbations: Sequence[str]) -> Features:
    """A row of numbers for all that the sources know; inner products are the mean kernel of the sources.

    Formula: k(p, q) = sum over sources of k_s(p, q) / sqrt(n(p) n(q)), where n counts the sources that know a name, so that
    k(p, p) = 1. With its eigenvectors V and values w on the parts q of the perturbations, the rows are
    k(p, q) V w^(-1/2) (the Nystroem method, Williams and Seeger 2001).

    All sources have the same weight; the parts of the measured perturbations span the coordinates (2,000 of them at most). There are
    at most 200 columns, and a row for every name of any source that has something in common with what was measured.
    """
    aliases = sources[0].aliases
    landmarks = sorted({part for name in perturbations for part in Condition("", name).parts})
    landmarks = [name for name, n in zip(landmarks, _counts(sources, landmarks), strict=True) if n]
    if len(landmarks) > MOST_LANDMARKS:
        landmarks = [landmarks[int(i)] for i in np.linspace(0, len(landmarks) - 1, MOST_LANDMARKS)]
    values, vectors = np.linalg.eigh(_kernel(sources, landmarks, landmarks))
    leading = np.flatnonzero(values > 1e-6 * values[-1:].max(initial=0.0))[-MOST:]
    whitening = vectors[:, leading] / np.sqrt(values[leading])
    names = list({canonical(name, aliases): name for source in sources for name in source.names}.values())
    batches = [names[start : start + BLOCK] for start in range(0, len(names), BLOCK)]
    rows = np.concatenate([_kernel(sources, batch, landmarks) @ whitening for batch in batches])
    filled = np.flatnonzero(rows.any(axis=1))
    listed = ", ".join(source.name for source in sources)
    origins = tuple({"name": source.name, **source.facts} for source in sources)
    return Features(tuple(names[row] for row in filled), rows[filled].astype(np.float32), listed, aliases, origins)


def _kernel(sources: Sequence[Source], names: Sequence[str], others: Sequence[str]) -> Kernel:
    """The mean kernel of the sources, 1 on its diagonal."""
    total = np.sum([source.kernel(names, others) for source in sources], axis=0)
    return total / np.sqrt(np.maximum(np.outer(_counts(sources, names), _counts(sources, others)), 1.0))


def _counts(sources: Sequence[Source], names: Sequence[str]) -> np.ndarray:
    """How many sources know each name."""
    return np.asarray(np.sum([source.knows(names) for source in sources], axis=0))
