"""Long tables, one row for each gene of a condition: what tools for differential expression write."""

from __future__ import annotations

import re

import anndata as ad
import numpy as np
import pandas as pd

from cycseq.data.effects import EffectValues
from cycseq.data.label_columns import find_columns
from cycseq.data.usual_names import UNLABELLED, kind_of_control
from cycseq.errors import DataError, count_of, was
from cycseq.formats.effects.names import PERTURBATIONS
from cycseq.formats.effects.tables.layouts import GROUPS, LABELS, LongColumns, named_columns
from cycseq.formats.readers.base import FileContents
from cycseq.formats.settings import ReadSettings

MAX_VALUES = 1 << 26
"""Conditions x genes that any long table may be laid out as; larger ones need a row for one of `MAX_EMPTY` of them."""
MAX_EMPTY = 100
CONTRAST = re.compile(r"(.+?)[ _.-]+(?:vs?|versus)[ _.-]+(.+)", re.IGNORECASE)


def label_columns(columns: pd.Index, where: LongColumns, settings: ReadSettings) -> list[str]:
    """The columns that tell one condition from another."""
    empty = pd.DataFrame(columns=columns.drop([where.gene, where.value]), dtype=str)
    return list(dict.fromkeys([*named_columns(empty, settings), *find_columns(empty, (*LABELS, *GROUPS))]))


def lay_out(frame: pd.DataFrame, where: LongColumns, settings: ReadSettings, name: str) -> FileContents:
    """Conditions x genes, NaN where a gene has no row, with standard errors as layer ``se``.

    `name` names the perturbation where no column does; the setting `make_unique` allows that a gene occurs twice in a condition.
    Raises `DataError` if a value is not a number, a gene stands twice in a condition, or conditions hardly share genes.
    """
    genes_from, notes = where.gene or "row names", list[str]()
    if where.tool:
        notes.append(f"columns of {where.tool}: genes <- {genes_from}, effects <- {where.value}")
    has_gene = frame[where.gene].notna() & ~frame[where.gene].astype(str).str.strip().str.casefold().isin(UNLABELLED)
    if n_unnamed := int((~has_gene).sum()):
        notes.append(f"{count_of(n_unnamed, 'row names', 'rows name')} no gene and {was(n_unnamed)} left out")
        frame = frame[has_gene]
    if not len(frame):
        raise DataError("the table has no row with a gene.")
    labels = frame[label_columns(frame.columns, where, settings)].astype(object)
    labels = labels.where(labels.notna(), "")
    groups = np.zeros(len(frame), dtype=int)
    if len(labels.columns):
        groups[:] = labels.groupby(list(labels), sort=False).ngroup()
    obs = labels.take(np.unique(groups, return_index=True)[1]).reset_index(drop=True)
    genes, columns = _columns(frame[where.gene].astype(str).str.strip(), groups, make_unique=settings.make_unique)
    shape = (len(obs), len(columns))
    if np.prod(shape, dtype=np.int64) > max(MAX_VALUES, MAX_EMPTY * len(frame)):
        raise DataError(
            f"{len(frame):,} rows name {count_of(shape[0], 'condition')} and {shape[1]:,} genes, hardly one of which stands in two rows: "
            f"is {where.gene!r} the column of genes? Conditions are told apart by {', '.join(labels.columns)}."
        )

    def table(column: str) -> EffectValues:
        values = np.full(shape, np.nan, dtype=np.float32)
        numbers = pd.to_numeric(frame[column], errors="coerce")
        wrong = frame[column][numbers.isna() & frame[column].notna()]
        if len(wrong):
            msg = f"{wrong.iloc[0]!r} in column {column!r} is not a number: write a number, or leave it empty."
            raise DataError(msg)
        values[groups, genes] = numbers.to_numpy(dtype=np.float32)
        return values

    obs, more = _with_perturbation(obs, settings, name)
    obs.index = obs.index.astype(str)
    layers = {} if where.se is None else {"se": table(where.se)}
    adata = ad.AnnData(X=table(where.value), obs=obs, var=pd.DataFrame(index=columns), layers=layers)
    return FileContents(adata, notes=(*notes, *more))


def _columns(names: pd.Series, groups: np.ndarray, *, make_unique: bool) -> tuple[np.ndarray, pd.Index]:
    """The column of each row, and the genes."""
    again = names.groupby([groups, names.to_numpy()]).cumcount().to_numpy()
    if again.any():
        if not make_unique:
            n = int((again > 0).sum())
            msg = (
                f"the gene {names[again > 0].iloc[0]!r} stands twice in a condition (so do {count_of(n, 'row')}): leave one of them out, say "
                "which columns tell conditions apart (--label-columns), or give genes a suffix with --make-unique true."
            )
            raise DataError(msg, option="--make-unique true")
        names = names.where(again == 0, names + "-" + again.astype(str))
    codes, genes = pd.factorize(names)
    return codes, pd.Index(genes)


def _with_perturbation(obs: pd.DataFrame, settings: ReadSettings, name: str) -> tuple[pd.DataFrame, list[str]]:
    """The labels with a column of perturbations, and where it comes from."""
    if settings.perturbation_key is not None or find_columns(obs, PERTURBATIONS):
        return obs, []
    group = next(iter(find_columns(obs, GROUPS)), None)
    if group is not None:
        return obs.assign(perturbation=obs[group].map(_treated)), [f"perturbation <- {group!r}"]
    note = f"no column names what was compared: the perturbation is called as the file is, {name!r} (--perturbation-key names a column)"
    return obs.assign(perturbation=name, **({} if settings.context_name else {"context": "all"})), [note]


def _treated(contrast: object) -> str:
    """``"KLF1"`` of ``"KLF1_vs_control"``; the whole where the other side is not a control.

    >>> _treated("KLF1_vs_control"), _treated("old vs young")
    ('KLF1', 'old vs young')
    """
    match = CONTRAST.fullmatch(str(contrast).strip())
    return match[1] if match and kind_of_control(match[2]) else str(contrast).strip()
