"""Perturbations of which alike things are known do alike."""

from collections.abc import Iterator, Sequence

import numpy as np

from cycseq.knowledge.names import places_of_names, rows_of_parts
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

    A combination has the sum of its parts'; what the source does not list, by whatever name, is 0.
    """
    values = np.asarray(source.values, dtype=np.float64)
    values = np.nan_to_num((values - np.nanmean(values, axis=0)) / np.maximum(np.nanstd(values, axis=0), 1e-12))
    places = places_of_names(source.names, source.aliases)
    rows = np.stack([values[rows_of_parts(name, places, source.aliases)].sum(axis=0) for name in names])
    kernel = rows @ rows.T
    return np.asarray(kernel / max(float(np.diag(kernel).mean()), 1e-12))
