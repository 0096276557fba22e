"""Perturbations of which alike things are known do alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cycseq.data.usual_names import parts_of
from cycseq.knowledge.source import Source
from cycseq.models.kriging.kernels.base import Kernel
from cycseq.models.kriging.table import Square, Table


def knowledge_kernels(table: Table) -> Iterator[Kernel]:
    """Each source's own kernel, in all contexts and in the same one."""
    distinct = list(dict.fromkeys(c.agent for c in table.conditions))  # in the order of the codes
    several = len(table.settings) > 1
    for source in table.sources:
        measures = {source.name: source.kernel(distinct)}
        if isinstance(source.values, np.ndarray):
            measures[f"{source.name}, in proportion"] = proportional(source, distinct)
        for name, kernel in measures.items():
            alike = kernel[np.ix_(table.agents, table.agents)]
            yield Kernel(name, alike)
            if several:
                yield Kernel(f"{name}, of the setting", alike * table.like(table.setting))


def proportional(source: Source, names: Sequence[str]) -> Square:
    """Products of features, columns in units of their standard deviation: responses are linear in features.

    A combination has the sum of its parts'; what the source does not list is 0.
    """
    values = np.asarray(source.values, dtype=np.float64)
    values = np.nan_to_num((values - np.nanmean(values, axis=0)) / np.maximum(np.nanstd(values, axis=0), 1e-12))
    row = {name: i for i, name in enumerate(source.names)}
    rows = np.zeros((len(names), values.shape[1]))
    for i, name in enumerate(names):
        known = [row[part] for part in parts_of(name) if part in row]
        rows[i] = values[known].sum(axis=0)
    kernel = rows @ rows.T
    return np.asarray(kernel / max(float(np.diag(kernel).mean()), 1e-12))
