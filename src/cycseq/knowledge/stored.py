"""Sources inside saved models: a model predicts what was never measured after the files of knowledge are gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from cycseq.knowledge.names import Aliases, aliases_of
from cycseq.knowledge.source import Source

SOURCES = "knowledge"  # the fact that lists the sources, and what the names of their arrays begin with
BETWEEN = "\0"  # separates names in one array of bytes; no name holds it

Arrays = dict[str, np.ndarray]


def store_sources(sources: Sequence[Source]) -> tuple[Arrays, dict[str, Any]]:
    """Arrays and facts of a saved model from which `stored_sources` makes the same sources again.

    Every gene or drug of a source is stored, whether the model has seen it or not: sets as lists of the columns of each row
    (1.5 MB for 600,000 annotations), edges with their weights, features in single precision.

    Examples
    --------
    >>> source = Source("complexes", "sets", ("A", "B", "C"), sp.csr_array(np.array([[1, 0], [1, 1], [0, 1]], np.float32)))
    >>> (again,) = stored_sources(*store_sources([source]))
    >>> bool((again.kernel(["A", "B"]) == source.kernel(["A", "B"])).all())
    True
    """
    arrays: Arrays = {}
    rows = []
    for place, source in enumerate(sources):
        names, values = source.names, source.values
        stored: Arrays = {}
        if isinstance(values, np.ndarray):
            measured = np.flatnonzero(~np.isnan(values).all(axis=1))
            names, values = tuple(names[row] for row in measured), values[measured]
            stored["values"] = np.where(np.isnan(values), np.nanmean(values, axis=0), values).astype(np.float32)
        else:
            stored |= {"indices": values.indices.astype(np.min_scalar_type(values.shape[1])), "ends": values.indptr[1:]}
            if (values.data != 1.0).any():
                stored["data"] = values.data
        stored["names"] = _bytes_of(names)
        aliases = aliases_of(names, source.aliases)
        if aliases:
            stored["aliases"] = store_aliases(aliases)
        arrays |= {f"{SOURCES}/{place}/{key}": array for key, array in stored.items()}
        columns = int(source.values.shape[1])
        rows.append({"name": source.name, "kind": source.kind, "columns": columns, "facts": dict(source.facts)})
    return arrays, {SOURCES: rows}


def stored_sources(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> tuple[Source, ...]:
    """The sources that `store_sources` stored among a model's arrays and facts; none where it stored none."""
    return tuple(_source(arrays, f"{SOURCES}/{place}", row) for place, row in enumerate(facts.get(SOURCES, ())))


def _source(arrays: Mapping[str, np.ndarray], at: str, row: Mapping[str, Any]) -> Source:
    names = _names_of(arrays[f"{at}/names"])
    values = arrays.get(f"{at}/values")
    if values is None:
        indices = arrays[f"{at}/indices"].astype(np.int32)
        data = arrays.get(f"{at}/data", np.ones(len(indices), dtype=np.float32))
        ends = np.concatenate([[0], arrays[f"{at}/ends"]])
        values = sp.csr_array((data, indices, ends), shape=(len(names), row["columns"]))
    return Source(row["name"], row["kind"], names, values, row["facts"], stored_aliases(arrays.get(f"{at}/aliases")))


def store_aliases(aliases: Aliases) -> np.ndarray:
    """Aliases as an array of bytes."""
    return _bytes_of([name for pair in aliases.items() for name in pair])


def stored_aliases(stored: np.ndarray | None) -> dict[str, str]:
    """The aliases of an array by `store_aliases`; none where there is no array."""
    names = () if stored is None else _names_of(stored)
    return dict(zip(names[::2], names[1::2], strict=True))


def _bytes_of(names: Sequence[str]) -> np.ndarray:
    return np.frombuffer(BETWEEN.join(names).encode(), dtype=np.uint8)


def _names_of(stored: np.ndarray) -> tuple[str, ...]:
    return tuple(stored.tobytes().decode().split(BETWEEN))
