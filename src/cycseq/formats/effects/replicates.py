"""Several rows of one condition become one: their mean, and the standard error that their spread tells."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.effects import EffectValues
from cycseq.errors import count_of

FEWEST_SPARE = 3
"""Replicates of a context, beyond one for each condition, from which on their spread tells a standard error."""

PerGene = Float[np.ndarray, "genes"]


def combine_replicates(
    values: EffectValues,
    se: EffectValues | None,
    groups: Int[np.ndarray, "rows"],
    context_of_group: Int[np.ndarray, "groups"],
) -> tuple[EffectValues, EffectValues | None, tuple[str, ...]]:
    """The mean of the rows of every condition, genes that a row lacks left out; its standard errors, and sentences.

    Where rows have no standard errors (`se`, NaN where unknown), those of the means come from the rows' spread, pooled over the
    conditions of a context gene by gene, and moderated by the mean gene (`pooled_variance`). Where rows have them, they are
    carried through, and raised by the ratio of the spread to what they let expect where that is above 1 (Birge 1932). `groups`
    is the condition of each row, from 0, none without a row, and `context_of_group` the context of each condition.
    """
    n_groups = len(context_of_group)
    n_rows = np.bincount(groups, minlength=n_groups)
    if n_groups == len(values):
        order = np.argsort(groups)
        return values[order], None if se is None else se[order], ()
    n = _sums(~np.isnan(values), groups, n_groups)
    mean = _sums(np.nan_to_num(values), groups, n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean /= n
    several = n_rows[n_rows > 1]
    extent = f"{several.min()}" if several.min() == several.max() else f"{several.min()} to {several.max()}"
    notes = [f"{count_of(len(several), 'condition has', 'conditions have')} {extent} rows each: their mean is taken"]
    squares = _sums(np.nan_to_num(values - mean[groups]) ** 2, groups, n_groups)
    if se is None:
        combined, note = _from_spread(squares, n, context_of_group)
    else:
        combined, note = _from_errors(se, squares, n, groups, context_of_group)
    return mean.astype(np.float32), combined, (*notes, note)


def pooled_variance(squares: Float[np.ndarray, "groups genes"], spare: Float[np.ndarray, "groups genes"]) -> PerGene:
    """Variance within groups, pooled over them for each gene, as if `FEWEST_SPARE` values of the mean gene stood beside.

    `squares` sums squared distances from the group's mean; `spare` counts the values in the group beyond one.
    """
    total, freedom = squares.sum(axis=0), spare.sum(axis=0)
    typical = total.sum() / max(freedom.sum(), 1.0)
    return (total + FEWEST_SPARE * typical) / (freedom + FEWEST_SPARE)


def _from_spread(
    squares: np.ndarray, n: np.ndarray, context_of_group: Int[np.ndarray, "groups"]
) -> tuple[EffectValues | None, str]:
    """Standard errors from the spread, in the contexts that have replicates enough."""
    se = np.full(n.shape, np.nan, dtype=np.float32)
    spare = np.maximum(n - 1.0, 0.0)
    n_columns = 0
    for context in np.unique(context_of_group):
        here = context_of_group == context
        if spare[here].max(axis=1).sum() >= FEWEST_SPARE:
            with np.errstate(divide="ignore", invalid="ignore"):
                errors = np.sqrt(pooled_variance(squares[here], spare[here]) / n[here])
            se[here] = np.where(n[here] > 0, errors, np.nan)
            n_columns += 1
    if not n_columns:
        return None, f"too few rows are replicates for a standard error (at least {FEWEST_SPARE} in a context)"
    extent = f"{n_columns} of {count_of(len(np.unique(context_of_group)), 'context')}"
    return se, f"standard errors come from the spread of replicates, pooled over conditions ({extent})"


def _from_errors(
    se: EffectValues,
    squares: np.ndarray,
    n: np.ndarray,
    groups: Int[np.ndarray, "rows"],
    context_of_group: Int[np.ndarray, "groups"],
) -> tuple[EffectValues, str]:
    """The standard error of each mean from those of its rows."""
    n_groups = len(context_of_group)
    there = ~np.isnan(se)
    with np.errstate(invalid="ignore", divide="ignore"):
        n_known = _sums(there, groups, n_groups)
        mean_square = _sums(np.nan_to_num(se) ** 2, groups, n_groups) / n_known
        combined = np.sqrt(mean_square / n)
    raised = []
    for context in np.unique(context_of_group):
        here = (context_of_group == context)[:, None] & (n > 1) & (n_known == n)
        expected = (mean_square * (n - 1.0))[here].sum()
        if here.any() and expected > 0 and (ratio := squares[here].sum() / expected) > 1:
            combined[(context_of_group == context)] *= np.sqrt(ratio)
            raised.append(float(np.sqrt(ratio)))
    more = f", and raised x {min(raised):.2g} to {max(raised):.2g} by the spread between rows" if raised else ""
    return combined.astype(np.float32), f"standard errors of the means come from those of the rows{more}"


def _sums(values: np.ndarray, groups: Int[np.ndarray, "rows"], n_groups: int) -> Float[np.ndarray, "groups genes"]:
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(n_groups))
    return np.add.reduceat(values[order].astype(np.float64), starts, axis=0)
