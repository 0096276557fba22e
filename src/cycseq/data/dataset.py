"""`PerturbationData`: the one door. What has passed it is checked, named and of a known scale."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.arrays import Cells, Codes, GroupMoments, Matrix, dense, group_moments
from cycseq.data.labels import CONTEXT_NAMES, CONTROL, PERTURBATION_NAMES, ObsKeys, find_columns, find_labels
from cycseq.data.scale import SCALES, Scale, decide_scale
from cycseq.errors import DataError, unknown_name
from cycseq.files import whole

OBS = ("context", "perturbation", "batch")


class Condition(NamedTuple):
    """A context with a perturbation."""

    context: str
    perturbation: str
    """``"control"``, ``"KLF1"`` or ``"BAK1+KLF1"`` (parts sorted, joined by ``+``)."""

    @property
    def is_control(self) -> bool:
        """Whether nothing was done to the cells."""
        return self.perturbation == CONTROL

    @property
    def parts(self) -> tuple[str, ...]:
        """The single perturbations that it is made of; none for control."""
        return () if self.is_control else tuple(self.perturbation.split("+"))

    def __str__(self) -> str:
        return f"{self.context}:{self.perturbation}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """``"NK:stim"`` -> ``Condition("NK", "stim")``; parts of a combination may come in any order."""
        context, colon, perturbation = text.rpartition(":")
        if not (context and colon and perturbation):
            msg = f"{text!r} is no condition: expected CONTEXT:PERTURBATION, for example NK:stim."
            raise DataError(msg)
        return cls(context, "+".join(sorted(perturbation.split("+"))) if "+" in perturbation else perturbation)


@dataclass(frozen=True)
class PerturbationData:
    """Cells x genes with a context, a perturbation and a batch for every cell, on a stated scale.

    Made by `from_anndata` (any labels) or `cycseq.read` (any file); real and predicted cells have this one type.
    """

    adata: ad.AnnData
    """`X` CSR or dense float32; obs `context`, `perturbation`, `batch` categorical; unique obs and var names."""
    scale: Scale
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was found and chosen at the door, in sentences."""

    def __post_init__(self) -> None:
        missing = [name for name in OBS if name not in self.adata.obs]
        if missing:
            msg = (
                f"obs lacks {', '.join(missing)}: read the file with cycseq.read, or use PerturbationData.from_anndata."
            )
            raise DataError(msg)

    @classmethod
    def from_anndata(
        cls,
        adata: ad.AnnData,
        *,
        keys: ObsKeys | None = None,
        scale: str | None = None,
        default_context: str = "all",
        make_unique: bool = False,
        drop_unlabelled: bool = False,
    ) -> Self:
        """Check an AnnData and give its columns and labels their names here.

        Parameters
        ----------
        adata
            Cells x genes. It is not changed.
        keys
            The obs columns to use; those left out are found by alias. A file that cycseq wrote needs none.
        scale
            The scale of `X`; None finds out (see `decide_scale`).
        default_context
            The context of all cells where no column names one.
        make_unique
            Give duplicated cells and genes a suffix instead of refusing them.
        drop_unlabelled
            Leave out cells without a perturbation or context instead of refusing them.

        Raises
        ------
        DataError
            If labels, names or values are not what they must be; the message names the cure.
        """
        keys = keys or ObsKeys()
        notes: list[str] = []
        ours = adata.uns.get("cycseq")
        if ours is not None and keys == ObsKeys() and all(name in adata.obs for name in OBS):
            keys = ObsKeys("perturbation", "context", "batch", CONTROL)
            scale = scale or str(ours["scale"])
        if adata.n_obs == 0 or adata.n_vars == 0:
            msg = f"the data are empty: {adata.n_obs} cells x {adata.n_vars} genes."
            raise DataError(msg)
        adata = ad.AnnData(X=adata.X, obs=adata.obs.copy(), var=adata.var.copy(), uns=dict(adata.uns), obsm=adata.obsm)
        if drop_unlabelled:
            adata, dropped = _labelled(adata, keys)
            notes += [f"{dropped:,} cells without a label were left out"] if dropped else []
        _name_genes(adata, notes)
        _unique(adata, make_unique=make_unique)
        found = find_labels(adata.obs, keys, default_context=default_context)
        if scale is None and ours is None:
            found_scale = decide_scale(adata.X)
            notes.append(f"scale: {found_scale} (found from the values; --scale says otherwise)")
        else:
            found_scale = decide_scale(adata.X, scale) if ours is None else _known(scale)
        for name in OBS:
            adata.obs[name] = pd.Categorical(found.obs[name])
        adata.X = _float32(adata.X)
        adata.uns["cycseq"] = {**dict(ours or {}), "scale": found_scale}
        data = cls(adata=adata, scale=found_scale, notes=(*found.notes, *notes))
        data._check_cells()
        return data

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write to h5ad, or zarr if the path ends so; whole or not at all."""
        with whole(path, overwrite=overwrite) as part:
            if path.suffix == ".zarr":
                self.adata.write_zarr(part)
            else:
                self.adata.write_h5ad(part, compression="lzf")

    @property
    def x(self) -> Matrix:
        """Cells x genes, CSR or dense."""
        x: Matrix = self.adata.X
        return x

    @property
    def genes(self) -> list[str]:
        """Gene names, in the order of the columns."""
        return list(self.adata.var_names)

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return int(self.adata.n_obs)

    @cached_property
    def contexts(self) -> tuple[str, ...]:
        """The contexts, sorted."""
        return tuple(sorted(self.adata.obs["context"].unique()))

    @cached_property
    def perturbations(self) -> tuple[str, ...]:
        """The perturbations, sorted, without control."""
        return tuple(sorted(set(self.adata.obs["perturbation"].unique()) - {CONTROL}))

    @cached_property
    def _codes(self) -> tuple[tuple[Condition, ...], Codes]:
        pairs = pd.MultiIndex.from_arrays(
            [self.adata.obs["context"].astype(str), self.adata.obs["perturbation"].astype(str)]
        )
        codes, found = pd.factorize(pairs, sort=True)
        return tuple(Condition(*pair) for pair in found), codes.astype(np.int64)

    def conditions(self) -> tuple[Condition, ...]:
        """All conditions, controls among them, sorted by context and perturbation."""
        return self._codes[0]

    @property
    def condition_codes(self) -> Codes:
        """For every cell, the place of its condition in `conditions()`."""
        return self._codes[1]

    def rows(self, condition: Condition) -> Codes:
        """The row numbers of the cells of a condition."""
        conditions, codes = self._codes
        if condition not in conditions:
            raise unknown_name(str(condition), "condition", map(str, conditions), DataError)
        return np.flatnonzero(codes == conditions.index(condition))

    def cells(self, condition: Condition) -> Cells:
        """The cells of a condition, dense."""
        return dense(self.x[self.rows(condition)])

    @cached_property
    def moments(self) -> GroupMoments:
        """Cells, mean and variance of every condition, in the order of `conditions()`."""
        return group_moments(self.x, self.condition_codes, len(self.conditions()))

    def take(self, rows: np.ndarray) -> Self:
        """The data of these cells (row numbers or a mask)."""
        return type(self)(adata=self.adata[rows].copy(), scale=self.scale, notes=self.notes)

    def subset(self, conditions: Iterable[Condition]) -> Self:
        """The cells of these conditions."""
        wanted = set(conditions)
        return self.take(
            np.flatnonzero(np.array([c in wanted for c in self.conditions()], dtype=bool)[self.condition_codes])
        )

    def controls(self, contexts: Iterable[str] | None = None) -> Self:
        """The control cells, of these contexts or of all."""
        wanted = set(self.contexts if contexts is None else contexts)
        return self.subset(c for c in self.conditions() if c.is_control and c.context in wanted)

    def with_genes(self, genes: Sequence[str]) -> Self:
        """The same cells with these genes in this order.

        Raises
        ------
        DataError
            If genes are missing; the message counts and names them.
        """
        if self.genes == list(genes):
            return self
        missing = [gene for gene in genes if gene not in self.adata.var_names]
        if missing:
            msg = (
                f"{len(missing):,} of {len(genes):,} genes are missing from the data: {', '.join(missing[:5])}"
                f"{', ...' if len(missing) > 5 else ''}. Prepare the data with these genes."
            )
            raise DataError(msg)
        return type(self)(adata=self.adata[:, list(genes)].copy(), scale=self.scale, notes=self.notes)

    def targets(self, condition: Condition) -> list[int]:
        """The columns of the genes that the condition perturbs; empty where its parts are no genes (drugs, cytokines)."""
        return [int(i) for i in self.adata.var_names.get_indexer(list(condition.parts)) if i >= 0]

    def fingerprint(self) -> str:
        """A hash of cells, labels, genes and values: the same data have the same one on every machine."""
        digest = hashlib.blake2b(digest_size=16)
        for names in (self.adata.obs_names, self.adata.var_names, *(self.adata.obs[c].astype(str) for c in OBS)):
            digest.update("\x1f".join(names).encode())
        x: Any = self.x
        for part in (x.data, x.indices.astype(np.int32), x.indptr.astype(np.int64)) if sp.issparse(x) else (x,):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def provenance(self) -> dict[str, Any]:
        """What is known of how these data came about: `uns["cycseq"]`, with JSON texts read."""
        said = dict(self.adata.uns.get("cycseq", {}))
        return {k: json.loads(v) if isinstance(v, str) and v[:1] in "[{" else v for k, v in said.items()}

    def require(self, scale: Scale, what: str) -> Self:
        """Itself, if on this scale; raises `DataError` otherwise, saying how to get there."""
        if self.scale != scale:
            cure = "run cycseq prepare first" if scale == "log1p" else f"give it {scale}"
            msg = f"{what} needs {scale} values, but the data are {self.scale}: {cure}."
            raise DataError(msg)
        return self

    def _check_cells(self) -> None:
        if self.scale != "scaled":
            empty = np.flatnonzero(np.asarray(self.x.sum(axis=1)).ravel() == 0)
            if empty.size:
                msg = (
                    f"{empty.size:,} cells are empty (all values 0; first: {self.adata.obs_names[empty[0]]}). "
                    "Remove them from the file, or let cycseq prepare do so with --drop-empty true."
                )
                raise DataError(msg)


def _labelled(adata: ad.AnnData, keys: ObsKeys) -> tuple[ad.AnnData, int]:
    columns = [
        *([keys.perturbation] if keys.perturbation else find_columns(adata.obs, PERTURBATION_NAMES)[:1]),
        *([keys.context] if keys.context else find_columns(adata.obs, CONTEXT_NAMES)[:1]),
    ]
    columns = [column for column in columns if column in adata.obs]
    kept = np.ones(adata.n_obs, dtype=bool)
    for column in columns:
        kept &= (adata.obs[column].notna() & (adata.obs[column].astype(str).str.strip() != "")).to_numpy()
    return (adata[kept].copy() if not kept.all() else adata), int((~kept).sum())


def _name_genes(adata: ad.AnnData, notes: list[str]) -> None:
    """Gene symbols take the place of Ensembl identifiers where the file has them (GEARS' var `gene_name`)."""
    ensembl = sum(bool(re.match(r"ENS[A-Z]*G\d{6}", name)) for name in adata.var_names[:100]) > 50
    for column in ("gene_name", "gene_symbol", "gene_symbols"):
        if ensembl and column in adata.var:
            symbols = adata.var[column].astype(str)
            adata.var["gene_id"] = adata.var_names
            adata.var_names = pd.Index(np.where(symbols.duplicated(keep=False), adata.var_names, symbols))
            notes.append(f"genes are named by var[{column!r}]")
            return


def _unique(adata: ad.AnnData, *, make_unique: bool) -> None:
    adata.obs_names, adata.var_names = adata.obs_names.astype(str), adata.var_names.astype(str)
    adata.var_names.name = adata.obs_names.name = None
    if make_unique:
        adata.obs_names_make_unique()
        adata.var_names_make_unique()
    for names, what in ((adata.obs_names, "cells"), (adata.var_names, "genes")):
        twice = names[names.duplicated()]
        if len(twice):
            msg = (
                f"{len(twice):,} {what} have a name that occurred before (first: {twice[0]}). "
                f"Remove the duplicates, or let them have a suffix with --make-unique true."
            )
            raise DataError(msg)


def _float32(x: Any) -> Matrix:
    if sp.issparse(x):
        csr = sp.csr_matrix(x, dtype=np.float32)
        csr.sort_indices()
        return csr
    return np.ascontiguousarray(x, dtype=np.float32)


def _known(scale: str | None) -> Scale:
    if scale not in SCALES:
        raise unknown_name(str(scale), "scale", SCALES, DataError)
    return scale  # type: ignore[return-value]
