"""`Effects`: what perturbations change, as a table of conditions x genes; all that a model of means needs of cells."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from cycseq.data.by_condition import ByCondition
from cycseq.data.condition import Condition, treatment_name
from cycseq.data.usual_names import CONTROL
from cycseq.data.values import write_adata
from cycseq.errors import DataError, count_of, join_names
from cycseq.io.files import atomic_write, check_output

EffectScale = Literal["log1p", "log_pseudobulk", "log_fold_change", "z", "rank"]
"""`log1p`: difference of means of log1p counts per 10,000. `log_pseudobulk`: difference of log(1 + summed counts per 50,000).
`log_fold_change`: natural logarithm of a fold change. `z`: in standard deviations of noise. `rank`: a score of the gene's place among the genes, without magnitude."""
EFFECT_SCALES: tuple[str, ...] = get_args(EffectScale)
WITH_MAGNITUDE = ("log1p", "log_pseudobulk", "log_fold_change")  # scales on which twice the value is twice the effect
KIND = "effects"  # what ``uns["cycseq"]["kind"]`` says of a file of effects
EFFECT_LAYERS = ("se", "mean", "variance")

EffectValues = Float[np.ndarray, "conditions genes"]


@dataclass(frozen=True)
class Effects(ByCondition):
    """Conditions x genes: perturbed minus control, with standard errors and the means behind them where they are known.

    Models of means learn from these alone, whether they came from cells (`cycseq.preparation.summarize`) or from a table
    of fold changes, z-scores or ranks. Predicted effects have the same type, so that they compare as equals.

    Parameters
    ----------
    adata
        One row for each condition. ``X``: float32, the effect; NaN where a gene was not measured, which is never 0.
        obs: `context`, `perturbation` (without dose and time), `dose` (text, empty where there is none), `time` (hours, NaN
        where there is none), `n_cells` (NaN where unknown). A row whose perturbation is ``"control"`` holds what is known of
        a context's controls; its effect is 0. Layers, each where it is known: `se` (standard error of the effect), `mean`
        and `variance` (of the condition's cells), `sd` (of a prediction).
    scale
        What the numbers are.
    notes
        What was found and chosen on reading, in sentences.

    Examples
    --------
    >>> import cycseq
    >>> import numpy as np
    >>> conditions = [cycseq.Condition("K562", "KLF1"), cycseq.Condition("K562", "GATA1")]
    >>> values = np.array([[0.5, np.nan], [0.1, -0.2]])
    >>> effects = cycseq.Effects.from_arrays(values, conditions, ["HBB", "MYC"], scale="log1p")
    >>> effects.perturbations, int(effects.measured.sum())
    (('GATA1', 'KLF1'), 3)
    """

    adata: ad.AnnData
    scale: EffectScale
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_arrays(
        cls,
        effect: EffectValues,
        conditions: Sequence[Condition],
        genes: Sequence[str],
        *,
        scale: EffectScale,
        layers: dict[str, EffectValues] | None = None,
        n_cells: Sequence[float] | None = None,
        uns: dict[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> Self:
        """Make effects of arrays.

        Parameters
        ----------
        effect
            Conditions x genes; NaN where a gene was not measured.
        conditions
            One for each row, none twice; `Condition("K562", "control")` for what is known of controls.
        genes
            One for each column, none twice.
        scale
            What the numbers are.
        layers
            Further arrays of the same shape: `se`, `mean`, `variance`, `sd`.
        n_cells
            Cells behind each row; None where that is unknown.
        uns
            What the file shall say of its making, under ``uns["cycseq"]``.
        notes
            Sentences to print.

        Raises
        ------
        DataError
            If a condition or gene is named twice, a value is infinite, or a condition has no value at all.
        """
        obs = pd.DataFrame(
            {
                "context": pd.Categorical([c.context for c in conditions]),
                "perturbation": pd.Categorical([c.agent for c in conditions]),
                "dose": pd.Categorical([c.dose or "" for c in conditions]),
                "time": np.array([np.nan if c.time is None else c.time for c in conditions], dtype=np.float64),
                "n_cells": np.full(len(conditions), np.nan) if n_cells is None else np.asarray(n_cells, dtype=float),
            },
            index=[str(condition) for condition in conditions],
        )
        adata = ad.AnnData(
            X=np.asarray(effect, dtype=np.float32),
            obs=obs,
            var=pd.DataFrame(index=[str(gene) for gene in genes]),
            layers={name: np.asarray(values, dtype=np.float32) for name, values in (layers or {}).items()},
            uns={"cycseq": {**(uns or {}), "kind": KIND, "scale": scale}},
        )
        _check(adata)
        return cls(adata, scale, tuple(notes))

    def write(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write to h5ad, or zarr if the path ends so; whole or not at all. `cycseq.read_effects` reads it again."""
        path = Path(path)
        check_output(path, overwrite=overwrite, endings=(".h5ad", ".zarr"))
        with atomic_write(path, overwrite=overwrite) as part:
            write_adata(self.adata, part)

    def __len__(self) -> int:
        """How many rows (conditions) there are."""
        return len(self._conditions)

    def __repr__(self) -> str:
        layers = f", with {join_names(self.adata.layers)}" if len(self.adata.layers) else ""
        return (
            f"Effects: {count_of(len(self), 'condition')} x {len(self.genes):,} genes, {self.scale}{layers}; "
            f"{count_of(len(self.contexts), 'context')}, {count_of(len(self.perturbations), 'perturbation')}"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Conditions, genes."""
        return self.effect.shape[0], self.effect.shape[1]

    @property
    def effect(self) -> EffectValues:
        """Conditions x genes, NaN where a gene was not measured; in the order of `conditions()`."""
        return self.adata.X

    def layer(self, name: str) -> EffectValues | None:
        """One of the layers (`se`, `mean`, `variance`, `sd`), or None where the data do not have it."""
        return self.adata.layers.get(name)

    @cached_property
    def _conditions(self) -> tuple[Condition, ...]:
        obs = self.adata.obs
        times = [None if np.isnan(time) else float(time) for time in obs["time"]]
        labels = (obs[name].astype(str) for name in ("context", "perturbation", "dose"))
        return tuple(Condition(c, treatment_name(*treatment)) for c, *treatment in zip(*labels, times, strict=True))

    def conditions(self) -> tuple[Condition, ...]:
        """The condition of every row, controls among them where the data have such rows."""
        return self._conditions

    @property
    def condition_codes(self) -> Int[np.ndarray, "conditions"]:
        """For every row, the place of its condition in `conditions()`: its own."""
        return np.arange(len(self._conditions))

    @property
    def measured(self) -> Bool[np.ndarray, "conditions genes"]:
        """Where a value was measured."""
        return ~np.isnan(self.effect)

    def take(self, rows: np.ndarray) -> Self:
        """The data of these rows (numbers or a mask)."""
        return type(self)(self.adata[rows].copy(), self.scale, self.notes)

    def with_rows(self, other: Self) -> Self:
        """These rows and those of data with the same genes and scale."""
        adata = ad.concat([self.adata, other.adata], join="outer", merge="same", uns_merge="first")
        return type(self)(adata, self.scale, self.notes)

    def with_genes(self, genes: Sequence[str]) -> Self:
        """The same rows with these genes in this order; a gene that the data lack was not measured: NaN."""
        if self.genes == list(genes):
            return self
        places = self.adata.var_names.get_indexer(list(genes))
        lacking = places < 0

        def columns(values: EffectValues) -> EffectValues:
            selected = values[:, places]
            selected[:, lacking] = np.nan
            return selected

        adata = ad.AnnData(
            X=columns(self.effect),
            obs=self.adata.obs,
            var=pd.DataFrame(index=list(genes)),
            layers={name: columns(np.asarray(values)) for name, values in self.adata.layers.items()},
            uns=self.adata.uns,
        )
        return type(self)(adata, self.scale, self.notes)

    def fingerprint(self) -> str:
        """A hash of conditions, genes and values: the same effects have the same one on every machine."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(self.scale.encode())
        for names in (map(str, self._conditions), self.genes):
            digest.update("\x1f".join(names).encode())
        for values in (self.effect, *(self.adata.layers[name] for name in sorted(self.adata.layers))):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()

    def control_means(self) -> dict[str, Float[np.ndarray, "genes"]]:
        """The mean of the control cells of every context of which the data hold it, log1p; none of a table of effects alone."""
        mean = self.layer("mean")
        rows = [] if mean is None else [i for i, c in enumerate(self._conditions) if c.is_control]
        return {self._conditions[i].context: mean[i] for i in rows if mean is not None and not np.isnan(mean[i]).all()}

    def require_magnitude(self, what: str) -> Self:
        """The same effects; raises `DataError` for z-scores and ranks, where twice the value is not twice the effect."""
        if self.scale not in WITH_MAGNITUDE:
            msg = f"{what} needs effects with a magnitude, but these are {self.scale} values: give differences of log1p means or log fold changes."
            raise DataError(msg)
        return self


def _check(adata: ad.AnnData) -> None:
    """Raise `DataError` for values and names that no effects can have."""
    for names, what in ((adata.obs_names, "condition"), (adata.var_names, "gene")):
        if names.has_duplicates:
            twice = names[names.duplicated()][0]
            msg = f"the {what} {twice!r} is in the effects more than once: combine its {'rows' if what == 'condition' else 'columns'} first."
            raise DataError(msg)
    if sp.issparse(adata.X):
        raise DataError("effects must be a dense table, in which NaN says what was not measured.")
    infinite = np.isinf(adata.X).any(axis=1)
    if infinite.any():
        msg = f"the effects of {adata.obs_names[infinite][0]!r} hold an infinite value: write NaN where nothing was measured."
        raise DataError(msg)
    empty = np.isnan(adata.X).all(axis=1) & (adata.obs["perturbation"] != CONTROL).to_numpy()
    if empty.any():
        msg = f"no gene was measured in {adata.obs_names[empty][0]!r}: all of its values are NaN. Leave the row out."
        raise DataError(msg)
