"""`Source`: what one table of knowledge says of genes or drugs, as a kernel between perturbations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from cycseq.errors import DataError, count_of, join_names
from cycseq.knowledge.names import Aliases, naming_in_words, places_of_names, rows_of_parts

Kind = Literal["sets", "edges", "features", "fingerprints"]
Kernel = Float[np.ndarray, "perturbations others"]
POWER = 3
"""Of the cosine of features. Cosines of unrelated profiles scatter about 0 by 1 / sqrt(columns), and there are many of
them: an odd power leaves the sign, makes these small, and keeps the kernel positive semidefinite (Schur)."""


@dataclass(frozen=True)
class Source:
    """Rows of knowledge of genes or drugs, and how alike they make perturbations.

    Parameters
    ----------
    name
        What tables and messages call it.
    kind
        What a row is, and with it the measure of likeness:

        ``sets``: the sets (terms, complexes, pathways, targets) that a name is in; cosine, where a set counts by its
        information content, log(names / members) (Resnik 1995). Sets of one member tell nothing.
        ``edges``: the neighbours of a name in a network, weighted or signed; cosine, columns weighted in the same way.
        ``features``: numbers (an embedding, a profile over cell lines); the third power of the cosine of rows, after the
        mean of every column and of every row is taken off.
        ``fingerprints``: bits of a chemical structure; Tanimoto similarity (shared bits / bits of either).
    names
        What the rows are of.
    values
        Names x columns: sparse, but dense for features, where NaN is missing and counts as the column's mean.
    facts
        What is known of its origin, as text: ``file``, ``version``, ``licence``, ``sha256``.
    aliases
        Other names of genes (`cycseq.knowledge.names`).

    Examples
    --------
    >>> members = sp.csr_array(np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32))
    >>> source = Source("complexes", "sets", ("MED1", "MED12", "CDK8"), members)
    >>> source.kernel(["med1", "CDK8"], ["MED12"]).round(2)
    array([[0.71],
           [0.71]])
    >>> source.knows(["MED1", "MED1+CDK8", "KLF1"])
    array([ True,  True, False])
    """

    name: str
    kind: Kind
    names: tuple[str, ...]
    values: sp.csr_array | Float[np.ndarray, "names columns"]
    facts: Mapping[str, str] = field(default_factory=dict)
    aliases: Aliases = field(default_factory=dict, repr=False)

    def in_words(self) -> str:
        """What it holds, in one line."""
        names = f"{len(self.names):,} names ({join_names(self.names, 3)})"
        return f"{self.name}: {self.kind} of {names}, sha256 {self.facts.get('sha256', 'unknown')[:12]}"

    def knows(self, perturbations: Sequence[str]) -> Bool[np.ndarray, "perturbations"]:
        """Of which perturbations it tells something: all parts are listed, and their rows are not empty."""
        return np.array([bool(rows) for rows in self._rows(perturbations)], dtype=bool)

    def kernel(self, perturbations: Sequence[str], others: Sequence[str] | None = None) -> Kernel:
        """How alike perturbations are, by this source.

        A combination is the sum of its parts, brought to length 1. Weights and centres are those of the whole source, so
        that the value for two perturbations does not depend on which others are asked for.

        Parameters
        ----------
        perturbations
            Names as the data have them; a dose and a time at their end play no role.
        others
            The columns; None takes the perturbations themselves.

        Returns
        -------
        Positive semidefinite where ``others`` is None, 1 on its diagonal; rows and columns of what it does not know are 0.
        """
        left, left_rows = self._parts(perturbations)
        right, right_rows = (left, left_rows) if others is None else self._parts(others)
        kernel = np.asarray(left @ (right @ self._likeness(left_rows, right_rows).T).T, dtype=np.float64)
        if others is None:
            kernel = (kernel + kernel.T) / 2
            np.fill_diagonal(kernel, self.knows(perturbations).astype(np.float64))
        return kernel

    def check_knows_some(self, perturbations: Sequence[str]) -> None:
        """Raise `DataError` if it knows none of the perturbations; the message says which naming both seem to follow."""
        if self.knows(perturbations).any():
            return
        places = places_of_names(self.names, self.aliases)
        if n_listed := sum(bool(rows_of_parts(name, places, self.aliases)) for name in perturbations):
            why = "the sets or edges that these have are of one name, or of all"
            if isinstance(self.values, np.ndarray):
                why = (
                    "its columns are constant"
                    if self.values.shape[1] > 1
                    else "it has one column, and names are compared by two or more"
                )
            of_all = f"{n_listed:,} of {count_of(len(perturbations), 'perturbation')}"
            raise DataError(
                f"{self.name} lists {of_all}, and tells nothing of {'it' if n_listed == 1 else 'them'}: {why}. Give other knowledge."
            )
        of_perturbations, of_source = naming_in_words(perturbations), naming_in_words(self.names)
        cure = "Give knowledge of what was perturbed (cycseq knowledge list)."
        if "dentifiers" in of_perturbations + of_source and not self.aliases:
            cure = "Fetch the table of gene names: cycseq knowledge fetch hgnc."
        raise DataError(
            f"{self.name} knows none of the {len(perturbations):,} perturbations: they seem to be {of_perturbations} "
            f"({join_names(perturbations, 3)}), and it has {of_source} ({join_names(self.names, 3)}). {cure}"
        )

    @cached_property
    def unit_rows(self) -> sp.csr_array | Float[np.ndarray, "names columns"]:
        """The rows that cosines are taken of, at length 1 (0 where nothing is left); of fingerprints the bits themselves."""
        if self.kind == "fingerprints":
            return self.values
        if isinstance(self.values, np.ndarray):
            centred = self.values - np.nanmean(self.values, axis=0)
            centred = np.nan_to_num(centred).astype(np.float64)
            rows = centred - centred.mean(axis=1, keepdims=True) * (centred != 0).any(axis=1, keepdims=True)
            length = np.linalg.norm(rows, axis=1, keepdims=True)
            return rows / np.where(length > 1e-9, length, np.inf)
        members = np.asarray((self.values != 0).sum(axis=0)).ravel()
        content = np.log(len(self.names) / np.maximum(members, 1)) * (members > 1)
        rows = sp.csr_array(self.values @ sp.diags_array(np.sqrt(content)))
        rows.eliminate_zeros()
        length = np.sqrt(np.asarray(rows.power(2).sum(axis=1)).ravel())
        return sp.csr_array(sp.diags_array(1.0 / np.where(length > 1e-9, length, np.inf)) @ rows)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Canonical name -> row, where the row says something."""
        rows = self.unit_rows
        filled = (rows != 0).any(axis=1) if isinstance(rows, np.ndarray) else np.diff(rows.indptr) > 0
        return {name: row for name, row in places_of_names(self.names, self.aliases).items() if filled[row]}

    @cached_property
    def _rows_of(self) -> dict[str, list[int]]:
        """Perturbation -> rows of its parts, of all that were asked for."""
        return {}

    def _rows(self, perturbations: Sequence[str]) -> list[list[int]]:
        for name in set(perturbations) - set(self._rows_of):
            self._rows_of[name] = rows_of_parts(name, self._places, self.aliases)
        return [self._rows_of[name] for name in perturbations]

    def _parts(self, perturbations: Sequence[str]) -> tuple[sp.csr_array, np.ndarray]:
        """Perturbations x parts, where the sum of a combination's parts has length 1, and the row of every part."""
        of_each = self._rows(perturbations)
        flat = np.array([row for rows in of_each for row in rows], dtype=np.int64)
        unique_rows, columns = np.unique(flat, return_inverse=True)
        ends = np.cumsum([0, *map(len, of_each)])
        parts = sp.csr_array((np.ones(len(flat)), columns, ends), shape=(len(of_each), len(unique_rows)))
        squared = np.ones(len(of_each))
        for i, rows in enumerate(of_each):
            if len(rows) > 1:
                squared[i] = self._likeness(np.array(rows), np.array(rows)).sum()
        length = np.sqrt(np.where(squared > 1e-9, squared, np.inf))
        return sp.csr_array(sp.diags_array(1.0 / length) @ parts), unique_rows

    def _likeness(self, left: np.ndarray, right: np.ndarray) -> Kernel:
        """The measure of this kind between rows."""
        rows = self.unit_rows
        shared = rows[left] @ rows[right].T
        shared = (shared if isinstance(shared, np.ndarray) else shared.toarray()).astype(np.float64)
        if self.kind == "features":
            shared = shared**POWER
        if self.kind == "fingerprints":
            bits = np.asarray(rows.sum(axis=1)).ravel()
            shared = shared / np.maximum(bits[left][:, None] + bits[right] - shared, 1.0)
        return np.asarray(shared)
