"""Sources from tables: what a table holds is told from the names of its columns, never from its file's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cycseq.errors import DataError, count_of, join_names
from cycseq.knowledge.drugs import DRUG_COLUMNS, drug_sources
from cycseq.knowledge.source import Source
from cycseq.knowledge.sparse import sets_source, sparse_rows

GENE_COLUMNS = ("symbol", "gene", "genesymbol", "gene_symbol", "gene_name", "db_object_symbol")
SET_COLUMNS = ("go_id", "term", "geneset", "gene_set", "set", "pathway", "complex")
MEMBER_COLUMNS = ("genes", "subunits_gene_name", "subunits(gene name)", "members")
DIRECTED = (("source_genesymbol", "target_genesymbol"), ("source", "target"), ("tf", "target"), ("regulator", "target"))
UNDIRECTED = (("protein1", "protein2"), ("gene1", "gene2"), ("gene_a", "gene_b"), ("node1", "node2"), ("a", "b"))
WEIGHT_COLUMNS = ("weight", "mor", "combined_score", "score", "fident")
CONFIDENCE = {"A": 1.0, "B": 0.5, "C": 0.25, "D": 0.125, "E": 0.0625}
"""What an edge counts by the class of its evidence, A to E (DoRothEA); halved from class to class."""
CELL_LINE = re.compile(r"ACH-\d{6}")
"""How DepMap calls cell lines. Its own files have them as rows, and genes as columns, ``A1BG (1)``."""


@dataclass(frozen=True)
class Table:
    """A table as it was read, and what its sources are to carry."""

    frame: pd.DataFrame
    name: str  # of the file, without its ending; names a source where the file holds one alone
    facts: dict[str, str]

    def column(self, names: Iterable[str]) -> str | None:
        """The first of these columns that the table has, in whatever case."""
        folded = {str(column).casefold(): str(column) for column in reversed(self.frame.columns)}
        return next((folded[name] for name in names if name in folded), None)

    def pair(self, pairs: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
        """The first of these pairs of columns that the table has."""
        columns = ((self.column((first,)), self.column((second,))) for first, second in pairs)
        return next(((first, second) for first, second in columns if first and second), None)


def sources_of_table(table: Table) -> tuple[Source, ...]:
    """The sources that a table holds, by the first layout whose columns it has.

    Raises `DataError` if no row of it says anything, or its numbers are not numbers.
    """
    for reads in LAYOUTS:
        sources = reads(table)
        if sources is not None:
            return sources
    return (_features(table),)


def _pairs(table: Table) -> tuple[Source, ...] | None:
    """A row for each gene and set: gene2go and its like."""
    gene, term = table.column(GENE_COLUMNS), table.column(SET_COLUMNS)
    if gene is None or term is None:
        return None
    rows = table.frame[[gene, term]].dropna().astype(str)
    return (sets_source(table.name, rows[gene], rows[term], table.facts),)


def _collections(table: Table) -> tuple[Source, ...] | None:
    """A row for each set, its members in one column: one source, or one for every collection."""
    members = table.column(MEMBER_COLUMNS)
    if members is None:
        return None
    frame, organism, collection = table.frame, table.column(("organism",)), table.column(("collection",))
    if organism is not None and (frame[organism] == "Human").any():
        frame = frame[frame[organism] == "Human"]
    frame = frame.dropna(subset=[members])
    parts = [(table.name, frame)] if collection is None else frame.groupby(collection)
    flat = [(name, part[members].astype(str).str.split(r"\s*[;|]\s*", regex=True).explode()) for name, part in parts]
    return tuple(sets_source(str(name), names, names.index, table.facts) for name, names in flat)


def _gene_groups(table: Table) -> tuple[Source, ...] | None:
    """HGNC's table: the families of paralogs that genes belong to."""
    symbol, group = table.column(("symbol",)), table.column(("gene_group",))
    if symbol is None or group is None:
        return None
    groups = table.frame[[symbol, group]].dropna().astype(str).set_index(symbol)[group]
    rows = groups.str.split("|", regex=False).explode()
    return (sets_source("HGNC gene groups", rows.index, rows, table.facts),)


def _edges(table: Table) -> tuple[Source, ...] | None:
    """A row for each edge: signed or weighted, directed or not."""
    directed = table.pair(DIRECTED)
    ends = directed or table.pair(UNDIRECTED)
    if ends is None or (not directed and ends[0] != str(table.frame.columns[0])):
        return None
    frame = table.frame.dropna(subset=list(ends))
    first, second = (frame[end].astype(str).to_numpy(dtype=object) for end in ends)
    weight, confidence = table.column(WEIGHT_COLUMNS), table.column(("confidence",))
    values = np.ones(len(frame)) if weight is None else numbers(frame[[weight]], table.facts["file"])[:, 0]
    if confidence is not None:
        values = values * frame[confidence].map(CONFIDENCE).fillna(1.0).to_numpy()
    values = values / max(np.abs(values).max(initial=0.0), np.finfo(float).tiny)
    codes, nodes = pd.factorize(np.concatenate([first, second]))
    first, second = np.split(codes, 2)
    diagonal = np.arange(len(nodes))
    if directed:  # who regulates the same targets is alike, and who is regulated by the same
        rows, columns, values = codes, np.concatenate([second, first + len(nodes)]), np.concatenate([values, values])
    else:  # neighbours are alike, as each is its own neighbour too
        rows, columns = np.concatenate([codes, diagonal]), np.concatenate([second, first, diagonal])
        values = np.concatenate([values, values, np.ones(len(nodes))])
    names, matrix = sparse_rows(nodes[rows], columns, values)
    return (Source(table.name, "edges", names, matrix, table.facts),)


def _drugs(table: Table) -> tuple[Source, ...] | None:
    """Drugs: structures, targets, mechanisms."""
    drug = table.column(DRUG_COLUMNS)
    return None if drug is None else drug_sources(table.frame, drug, table.facts)


LAYOUTS: tuple[Callable[[Table], tuple[Source, ...] | None], ...] = (_gene_groups, _pairs, _collections, _edges, _drugs)
"""What may hold sources, the narrowest first; what fits none is a table of features."""


def _features(table: Table) -> Source:
    """Names in the first column, numbers in all others."""
    frame = table.frame
    if frame.shape[1] < 2 or not len(frame):
        msg = f"{table.facts['file']} holds no table of knowledge: expected names in the first column and numbers after it."
        raise DataError(msg)
    names = frame.iloc[:, 0].astype(str)
    if names.str.fullmatch(CELL_LINE).all():
        frame = frame.set_index(frame.columns[0]).T
        names = frame.index.to_series().str.replace(r" \(\d+\)$", "", regex=True)
    else:
        frame = frame.iloc[:, 1:]
    return features_source(table.name, names.tolist(), numbers(frame, table.facts["file"]), table.facts)


def features_source(name: str, names: Sequence[str], values: np.ndarray, facts: dict[str, str]) -> Source:
    """A source of numbers, names x columns; columns without any number are left out.

    Raises `DataError` if a name occurs twice, a value is infinite, or there is no number.
    """
    twice = pd.Index(names)[pd.Index(names).duplicated()]
    if len(twice):
        msg = f"{facts['file']} names {count_of(len(twice), 'gene')} twice (first: {twice[0]}). Keep one row of each."
        raise DataError(msg)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values).any(axis=1))[0])
        msg = f"{facts['file']}: {names[row]} has an infinite value. Give finite numbers, or leave the place empty."
        raise DataError(msg)
    values = values[:, ~np.isnan(values).all(axis=0)]
    if values.size == 0:
        raise DataError(f"{facts['file']} holds no numbers: expected names in the first column and numbers after it.")
    return Source(name, "features", tuple(map(str, names)), values.astype(np.float32), facts)


def numbers(frame: pd.DataFrame, file: str) -> np.ndarray:
    """The values as numbers, NaN where a place is empty; raises `DataError` for any other text."""
    values = frame.apply(pd.to_numeric, errors="coerce")
    bad = (values.isna() & frame.notna()).to_numpy()
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{file}: {str(frame.iloc[row, column])[:40]!r} in column {str(frame.columns[column])!r} is not a number. Known layouts of "
            f"knowledge: features, gene and set, sets with members, edges, drugs (docs: knowledge); its columns are {join_names(frame.columns, 5)}."
        )
    return np.asarray(values.to_numpy(dtype=np.float64))
