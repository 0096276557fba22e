"""Features of genes: what is known of a perturbation that was never measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.errors import CycseqError, DataError, FileError, ModelError, count_of
from cycseq.formats.readers.base import as_read_error, read_csv
from cycseq.io.files import require_file
from cycseq.io.numpy_files import open_npz
from cycseq.knowledge.names import Aliases, canonical, places_of_names
from cycseq.matrix.arrays import Profiles

GO_COLUMNS = ("symbol", "go_id")
GO_COMPONENTS = 50  # principal directions kept of a table of GO terms

FeatureRows = Float[np.ndarray, "perturbations features"]


@dataclass(frozen=True)
class Features:
    """A row of numbers for every gene (or drug) that has one."""

    names: tuple[str, ...]
    values: Float[np.ndarray, "names features"]
    source: str
    """Where they come from, in words."""
    aliases: Aliases = field(default_factory=dict, repr=False)
    """Other names of genes."""
    origins: tuple[Mapping[str, str], ...] = ()
    """Of knowledge: name, file, checksum of every source, and its version and licence where they are known."""

    @cached_property
    def _exact(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _canonical(self) -> dict[str, int]:
        return places_of_names(self.names, self.aliases)

    def _row(self, name: str) -> int | None:
        row = self._exact.get(name)
        return self._canonical.get(canonical(name, self.aliases)) if row is None else row

    def _rows(self, perturbation: str) -> dict[str, int | None]:
        """Part -> row; the whole name counts as a part where it is listed. Dose and time are not part of a name."""
        condition = Condition("", perturbation)
        row = self._row(condition.agent)
        return {condition.agent: row} if row is not None else {part: self._row(part) for part in condition.parts}

    def missing(self, perturbation: str) -> tuple[str, ...]:
        """The parts of a perturbation that have no features."""
        return tuple(part for part, row in self._rows(perturbation).items() if row is None)

    def of(self, perturbations: Sequence[str]) -> FeatureRows:
        """The features of perturbations; a combination has the sum of its parts'.

        Raises `ModelError` if a perturbation, or a part of it, has none; it is named.
        """
        rows = np.zeros((len(perturbations), self.values.shape[1]))
        for i, perturbation in enumerate(perturbations):
            places = self._rows(perturbation)
            missing = [part for part, row in places.items() if row is None]
            if missing:
                raise ModelError(
                    f"{perturbation!r} cannot be predicted: {missing[0]!r} has no row in {self.source}. "
                    "Give knowledge or features that have it (--model.knowledge, --model.features), leave it out, or ask for the common response "
                    "(--model.unseen common)."
                )
            rows[i] = self.values[[row for row in places.values() if row is not None]].sum(axis=0, dtype=np.float64)
        return rows


def read_features(path: Path, *, n_components: int = GO_COMPONENTS, seed: int = 0) -> Features:
    """Features from a file, by what the file holds.

    Parameters
    ----------
    path
        CSV or TSV (also ``.gz``): a header, gene names in the first column, one number per column after it; or a table
        of GO terms with the columns `symbol` and `go_id`, one row per gene and term (see `go_features`).
        NPZ: arrays `genes` (names) and `features` (genes x features).
    n_components
        Components kept of GO terms.
    seed
        Fixes the random start of their decomposition.

    Raises
    ------
    FileError
        If the file is missing or cannot be read.
    DataError
        If a gene occurs twice or a value is no finite number.
    """
    changed = require_file(path).stat().st_mtime_ns
    return _read_once(path, changed, n_components, seed)


@lru_cache(maxsize=4)
def _read_once(path: Path, _changed: int, n_components: int, seed: int) -> Features:
    """The file's features; a benchmark fits several models on many splits with the same file."""
    source = f"the features of {path.name}"
    if path.suffix == ".npz":
        names, values = read_arrays(path)
        return _checked(np.array(names, dtype=str), values.astype(np.float32), source)
    with as_read_error(path, "a table of features (CSV, TSV or NPZ with genes as rows)"):
        table = read_csv(path, "\t" if {".tsv", ".txt"} & set(path.suffixes) else ",")
    if not isinstance(table.index, pd.RangeIndex):  # R writes no name above the names of the rows
        table = table.reset_index()
    if set(GO_COLUMNS) <= set(table.columns):
        return go_features(table, n_components=n_components, seed=seed, source=f"the GO terms of {path.name}")
    values = table.iloc[:, 1:].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
    return _checked(table.iloc[:, 0].astype(str).to_numpy(), values, source)


def go_features(table: pd.DataFrame, *, n_components: int = GO_COMPONENTS, seed: int = 0, source: str) -> Features:
    """Principal directions of a table of genes and GO terms: truncated SVD of the 0/1 matrix genes x terms.

    The table has the columns `symbol` and `go_id`; `source` says in words where it comes from.
    """
    from sklearn.decomposition import TruncatedSVD

    table = table.dropna(subset=list(GO_COLUMNS))
    gene_codes, genes = pd.factorize(table["symbol"].astype(str), sort=True)
    term_codes, terms = pd.factorize(table["go_id"].astype(str), sort=True)
    incidence = sp.csr_matrix((np.ones(len(table)), (gene_codes, term_codes)), shape=(len(genes), len(terms)))
    incidence.data[:] = 1.0  # a pair that is listed twice counts once
    n_components = min(n_components, min(incidence.shape) - 1)
    if n_components < 1:
        raise DataError(f"{source} hold {len(genes)} genes and {len(terms)} terms: too few to tell genes apart.")
    values = TruncatedSVD(n_components, random_state=seed).fit_transform(incidence)
    return _checked(np.asarray(genes, dtype=str), values.astype(np.float32), source)


def expression_features(profiles: Profiles, genes: Sequence[str], *, n_components: int, seed: int = 0) -> Features:
    """Scores of the genes on the principal components of mean expression profiles (Ahlmann-Eltze 2025's G).

    The profiles are means of all training conditions, controls among them, log1p. Genes are the observations of the PCA, so every
    profile is centred over genes.
    """
    from sklearn.decomposition import PCA

    n_components = min(n_components, *profiles.shape)
    values = PCA(n_components, random_state=seed).fit_transform(np.asarray(profiles, dtype=np.float64).T)
    return Features(tuple(genes), values.astype(np.float32), "the principal components of the training expression")


def read_arrays(path: Path) -> tuple[list[str], np.ndarray]:
    """Names and values of an NPZ file of knowledge; raises `FileError` if it is none, and `DataError` if they do not fit."""
    try:
        with open_npz(path) as arrays:
            names, values = arrays["genes"].astype(str).tolist(), arrays["features"].astype(np.float64)
    except CycseqError:
        raise
    except Exception as err:  # at damaged files zipfile and NumPy raise anything
        msg = f"{path} cannot be read ({err}): an NPZ file of features holds `genes` (strings) and `features` (genes x features)."
        raise FileError(msg) from err
    if values.ndim != 2 or len(names) != len(values):
        msg = f"{path}: `features` has shape {values.shape}, but there are {len(names)} genes: one row for each is needed."
        raise DataError(msg)
    return names, values


def _checked(names: np.ndarray, values: np.ndarray, source: str) -> Features:
    twice = names[pd.Index(names).duplicated()]
    if len(twice):
        msg = f"{source} name {count_of(len(twice), 'gene')} twice (first: {twice[0]}). Keep one row of each."
        raise DataError(msg)
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if bad.size or values.shape[1] == 0:
        which = f"{bad.size:,} genes (first: {names[bad[0]]}) have a value that is" if bad.size else "all columns are"
        msg = f"{source}: {which} no finite number. Give gene names in the first column and numbers after it."
        raise DataError(msg)
    return Features(tuple(map(str, names)), values, source)
