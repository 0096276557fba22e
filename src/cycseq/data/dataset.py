"""`PerturbationData`: cells whose labels, names, values and scale are checked."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Self

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.by_condition import ByCondition
from cycseq.data.condition import Condition, as_condition
from cycseq.data.gene_names import why_genes_differ
from cycseq.data.mark import with_sample
from cycseq.data.scale import Scale
from cycseq.data.settings import ObsKeys
from cycseq.data.usual_names import CONTROL
from cycseq.data.validate import OBS, validate
from cycseq.data.values import digests, load_adata, max_bytes, write_adata
from cycseq.errors import DataError, count_of, join_names, unknown_name
from cycseq.io.files import atomic_write, check_output, check_space
from cycseq.matrix.arrays import Cells, Codes, Matrix, in_memory, max_rows, take, to_dense
from cycseq.matrix.groups import GroupMoments, group_moments, pairs_of_labels
from cycseq.matrix.stored import MAX_LOADED_BLOCKS, SMALL_SELECTION_BLOCKS

__all__ = ["DATA_ENDINGS", "Condition", "PerturbationData"]

SHOWN = 20  # contexts and perturbations that a notebook shows
DATA_ENDINGS = (".h5ad", ".zarr")  # what the name of a written data set ends in, so that it can be read again


@dataclass(frozen=True)
class PerturbationData(ByCondition):
    """Cells x genes with a context, a perturbation and a batch for every cell, on a stated scale.

    Made by `from_anndata` (any labels) or `cycseq.read` (any file); real and predicted cells have this one type.

    Examples
    --------
    >>> import cycseq
    >>> import anndata as ad, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"perturbation": ["control", "KLF1"], "cell_line": "K562"}, index=["a", "b"])
    >>> adata = ad.AnnData(np.array([[0, 3], [2, 1]]), obs, pd.DataFrame(index=["KLF1", "GATA1"]))
    >>> data = cycseq.PerturbationData.from_anndata(adata)
    >>> data.scale, [str(condition) for condition in data.conditions()]
    ('counts', ['K562:KLF1', 'K562:control'])
    """

    adata: ad.AnnData
    """`X` CSR or dense float32; obs `context`, `perturbation`, `batch` categorical; unique obs and var names."""
    scale: Scale
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was found and chosen on reading, in sentences."""

    def __post_init__(self) -> None:
        missing = [name for name in OBS if name not in self.adata.obs]
        if missing:
            raise DataError(
                f"obs lacks {', '.join(missing)}: read the file with cycseq.read, or use PerturbationData.from_anndata."
            )

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
        drop_empty: bool = False,
        layers: Sequence[str] = (),
    ) -> Self:
        """Check an AnnData and give its columns and labels their names here.

        Parameters
        ----------
        adata
            Cells x genes. It is not changed; its `X` is not copied if it is float32 and all cells are kept.
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
        drop_empty
            Leave out cells whose values are all zero instead of refusing them.
        layers
            Layers of the file that `adata` does not hold, to be named in an error's cure.

        Raises
        ------
        DataError
            If labels, names or values are not what they must be; the message names the cure.
        """
        checked = validate(
            adata,
            keys or ObsKeys(),
            scale=scale,
            default_context=default_context,
            make_unique=make_unique,
            drop_unlabelled=drop_unlabelled,
            drop_empty=drop_empty,
            layers=layers or list(adata.layers),
        )
        return cls(*checked)

    def write(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write to h5ad, or zarr if the path ends so; whole or not at all."""
        path = Path(path)
        check_output(path, overwrite=overwrite, endings=DATA_ENDINGS)
        check_space(path, max_bytes(self.adata))
        with atomic_write(path, overwrite=overwrite) as part:
            write_adata(with_sample(self.adata), part)

    def __len__(self) -> int:
        """How many cells there are."""
        return self.n_cells

    @property
    def shape(self) -> tuple[int, int]:
        """Cells, genes."""
        return self.n_cells, int(self.adata.n_vars)

    def __repr__(self) -> str:
        n_conditions = sum(not c.is_control for c in self.conditions())
        return (
            f"PerturbationData: {self.n_cells:,} cells x {len(self.genes):,} genes, {self.scale}; {count_of(len(self.contexts), 'context')}, "
            f"{count_of(len(self.perturbations), 'perturbation')}, {count_of(n_conditions, 'perturbed condition')}"
        )

    def _repr_html_(self) -> str:
        """As a notebook shows it: how many cells of every context and perturbation."""
        sizes = pd.Series(np.bincount(self.condition_codes, minlength=len(self.conditions())))
        places = pd.MultiIndex.from_tuples(self.conditions(), names=["context", "perturbation"])
        cells = sizes.set_axis(places).unstack("perturbation", fill_value=0)
        first = [CONTROL] if CONTROL in cells else []
        table: str = cells[[*first, *cells.columns.drop(first)]].iloc[:SHOWN, :SHOWN].to_html()
        return f"<p>{escape(repr(self))}. Cells of each condition:</p>{table}"

    @property
    def x(self) -> Matrix:
        """Cells x genes, CSR or dense."""
        return self.adata.X

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return int(self.adata.n_obs)

    @cached_property
    def _codes(self) -> tuple[tuple[Condition, ...], Codes]:
        pairs, codes = pairs_of_labels(self.adata.obs["context"], self.adata.obs["perturbation"])
        return tuple(Condition(*pair) for pair in pairs), codes

    def conditions(self) -> tuple[Condition, ...]:
        """All conditions, controls among them, sorted by context and perturbation."""
        return self._codes[0]

    @property
    def condition_codes(self) -> Codes:
        """For every cell, the place of its condition in `conditions()`."""
        return self._codes[1]

    def rows(self, condition: Condition | str) -> Codes:
        """The row numbers of the cells of a condition (``"NK:stim"``)."""
        conditions, codes = self._codes
        condition = as_condition(condition, self.contexts)
        if condition not in conditions:
            raise unknown_name(str(condition), "condition", map(str, conditions), DataError)
        return np.flatnonzero(codes == conditions.index(condition))

    def cells(self, condition: Condition | str) -> Cells:
        """The cells of a condition, dense."""
        return to_dense(take(self.x, self.rows(condition)))

    @cached_property
    def moments(self) -> GroupMoments:
        """Cells, mean and variance of every condition, in the order of `conditions()`."""
        return group_moments(self.x, self.condition_codes, len(self.conditions()))

    def take(self, rows: np.ndarray) -> Self:
        """The data of these cells (row numbers or a mask); a few cells of stored ones come into memory."""
        adata = self.adata[rows].copy()
        if adata.n_obs <= max_rows(self.x, SMALL_SELECTION_BLOCKS):
            adata = load_adata(adata)
        return type(self)(adata=adata, scale=self.scale, notes=self.notes)

    def load(self, what: str) -> Self:
        """The same data in memory.

        Parameters
        ----------
        what
            What needs them there, for the message.

        Raises
        ------
        DataError
            If stored values are too large for the memory that may be used.
        """
        if in_memory(self.x):
            return self
        room = max_rows(self.x, MAX_LOADED_BLOCKS)
        if self.n_cells > room:
            msg = f"{what} needs all of {self.n_cells:,} cells in memory, and {room:,} fit: allow more with --memory, or give fewer cells."
            raise DataError(msg)
        return type(self)(adata=load_adata(self.adata.copy()), scale=self.scale, notes=self.notes)

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
            raise DataError(
                f"{len(missing):,} of {len(genes):,} genes are missing from the data: {join_names(missing, 5)}. "
                f"The data have {join_names(self.genes, 3)}. "
                f"{why_genes_differ(genes, self.genes) if 2 * len(missing) > len(genes) else 'Prepare the data with these genes.'}"
            )
        return type(self)(adata=self.adata[:, list(genes)].copy(), scale=self.scale, notes=self.notes)

    def fingerprint(self) -> str:
        """A hash of cells, labels, genes and values: the same data have the same one on every machine."""
        return self._hashed() if in_memory(self.x) else self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """The hash of stored values, which takes a pass over the file, and which nobody changes in place."""
        return self._hashed()

    def _hashed(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for names in (self.adata.obs_names, self.adata.var_names, *(self.adata.obs[c].astype(str) for c in OBS)):
            digest.update("\x1f".join(names).encode())
        for of_part in digests(self.x):
            digest.update(of_part)
        return digest.hexdigest()

    def require_controls(self) -> Self:
        """The same data; raises `DataError` if a context has no control cells.

        Predicted cells have none, so validation accepts data without control cells; preparing and splitting ask.
        """
        lacking = sorted(set(self.contexts) - {c.context for c in self.conditions() if c.is_control})
        if lacking:
            others = f" ({len(lacking)} contexts have none)" if len(lacking) > 1 else ""
            msg = (
                f"no control cells in context {lacking[0]!r}{others}: every context needs some, because a response is "
                "a difference to them. Leave the context out, or add its control cells."
            )
            raise DataError(msg, option=f"--leave-out {shlex.quote(','.join(lacking))}")
        return self

    def require(self, scale: str, what: str) -> Self:
        """The same data; raises `DataError` if they are on another scale, and says how to convert them."""
        if self.scale != scale:
            cure = "run cycseq prepare first" if scale == "log1p" else f"give it {scale}"
            raise DataError(f"{what} needs {scale} values, but the data are {self.scale}: {cure}.")
        return self
