"""The scale of a file's values: what the user says, checked against what the values show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cycseq.data.logarithms import (
    EVEN,
    FEWEST,
    MOST,
    UNIT,
    Logarithm,
    positive_values,
    recognise,
    sample_rows,
    to_ln_per_10k,
)
from cycseq.data.scale import TARGET_SUM, Scale, ValueSummary, check_finite, decide_scale, option_of_counts
from cycseq.errors import DataError
from cycseq.matrix.arrays import Matrix

MANY = 50  # genes of a cell, in the median, from which on counts that are all 1 are none
EACH = 10  # of the sampled cells, every so many are enough to compare sums and smallest values
MANY_LOWEST = 5  # genes of a cell that have its smallest value, where that is a count of 0
ROOTS = 1e-3  # how far the square of a square root in single precision may lie from a whole number
OTHER_TOTAL = 0.0  # stands for the total where it is certain not to be 10,000, and could not be told


@dataclass(frozen=True)
class Decision:
    """The scale of a file's values."""

    scale: Scale
    reason: str  # how it is known, in words
    logarithm: Logarithm | None = None
    """What the values are before they are converted; None where they stay as they are."""
    target_sum: float | None = None
    """Counts of a cell that the values are per: 10,000, `OTHER_TOTAL`, or None where that cannot be told."""

    def converted(self, x: Matrix) -> Matrix:
        """The values on the scale: the same memory where they are so already."""
        return x if self.logarithm is None else to_ln_per_10k(x, self.logarithm)


def decide(x: Matrix, values: ValueSummary, user_scale: str | None, *, layers: Sequence[str] = ()) -> Decision:
    """The scale of the values, as given if the values allow it, or found.

    `values` is what `summarize_values` saw in the cells; `user_scale` is ``"counts"``, ``"log1p"``, ``"log2"``, ``"normalised"``,
    ``"scaled"`` or None to find out, and `layers` are as of `decide_scale`. Raises `DataError` as that does; or if the values are
    another logarithm than was said, a logarithm of logarithms, or normalised counts without a logarithm that nobody said to be so.
    """
    check_finite(values)
    numbers = "whole numbers" if not values.n_fractional else f"{values.n_fractional:,} fractional values"
    extent = f"{numbers}, {values.lowest:.4g} to {values.highest:.4g}"
    how = "as given" if user_scale else "found from the values; --scale says otherwise"
    if user_scale is None and not values.n_fractional and values.highest <= 1:
        _refuse_binary(x)
    if user_scale is None and values.lowest >= 0:
        _refuse_even(x) if not values.n_fractional else _refuse_offset(x)
    if user_scale in {"counts", "scaled"} or not values.n_fractional or values.lowest < 0:
        coarse = decide_scale(values, "log1p" if user_scale in {"log2", "normalised"} else user_scale, layers=layers)
        return Decision(coarse, f"{extent}; {how}")
    logarithm = recognise(x)
    _check(logarithm, user_scale, layers)
    if user_scale == "normalised":
        return Decision("log1p", f"{extent}; {logarithm.in_words()}, {_conversion(logarithm)}", logarithm, TARGET_SUM)
    if logarithm.name in {None, "ln"}:
        decide_scale(values, "log1p" if user_scale == "log2" else user_scale, layers=layers)
    if logarithm.name is None:
        if user_scale is None:
            _refuse_no_logarithm(x, values)
        if user_scale == "log2":
            return Decision("log1p", f"{extent}; log2 as given, {_conversion(logarithm)}", Logarithm("log2"))
        return Decision("log1p", f"{extent}; {how}; base and total cannot be told from them")
    target = TARGET_SUM if logarithm.per_10k else OTHER_TOTAL if logarithm.other_total else None
    unlike_counts = user_scale == "log1p" or not (logarithm.total or logarithm.of_counts)
    if logarithm.ours or (logarithm.name == "ln" and unlike_counts):
        certain = logarithm.total or target is None
        caveat = "" if certain else "; the total is not 10,000 and cannot be told from these genes"
        return Decision("log1p", f"{extent}; {logarithm.in_words()}{caveat}; {how}", target_sum=target)
    reason = f"{extent}; {logarithm.in_words()}, {_conversion(logarithm)}"
    return Decision("log1p", reason, logarithm, TARGET_SUM if logarithm.total or logarithm.of_counts else target)


def _conversion(logarithm: Logarithm) -> str:
    per_10k = f"ln(1 + counts per {TARGET_SUM:,.0f})"
    return f"converted to {per_10k if logarithm.total or logarithm.of_counts else 'natural logarithms'}"


def _check(logarithm: Logarithm, user_scale: str | None, layers: Sequence[str]) -> None:
    """Raise `DataError` where values of this kind cannot be taken, or are not what was said."""
    option = option_of_counts(layers)
    give = f"take the counts with {option}" if option else "give counts"
    if logarithm.name == "ln twice":
        msg = f"log1p was taken twice: the values are {logarithm.in_words()}. Undo one of them (expm1), or {give}."
        raise DataError(msg, option=option)
    if user_scale == "normalised" and logarithm.name in {None, "none"} and not logarithm.total:
        raise DataError(
            "--scale normalised was given, but the cells have different sums, so that genes are missing and the total of each "
            f"cell cannot be told: {give}, or all genes."
        )
    right = {"ln": "log1p", "none": "normalised"}.get(logarithm.name or "", logarithm.name)
    if user_scale is None and logarithm.name == "none":
        cure = "Use --scale normalised to have the logarithm taken" if logarithm.total else give.capitalize()
        msg = f"the values are neither counts nor log1p, but {logarithm.in_words()}. {cure}."
        raise DataError(msg, option="--scale normalised" if logarithm.total else "")
    if user_scale is not None and logarithm.name is not None and user_scale != right:
        cure = f"Use --scale {right}" if right in {"log1p", "log2", "normalised"} else "Leave --scale out"
        msg = f"--scale {user_scale} was given, but the values are {logarithm.in_words()}. {cure}."
        raise DataError(msg, option=f"--scale {right}" if cure.startswith("Use") else "")


def _refuse_binary(x: Matrix) -> None:
    """Raise `DataError` where cells have many values above 0, and all are 1."""
    if np.median([len(cell) for cell in positive_values(x, sample_rows(x))] or [0]) >= MANY:
        msg = "every value above 0 is 1: whether a gene was seen in a cell, not how often. Give counts (--scale counts takes the values as counts all the same)."
        raise DataError(msg, option="--scale counts")


def _refuse_even(x: Matrix) -> None:
    """Raise `DataError` where whole numbers have nearly the same sum in each cell, but not quite: they were normalised and rounded."""
    sums = np.array([cell.sum() for cell in positive_values(x, sample_rows(x)[::EACH])])
    if len(sums) < FEWEST or 2 * np.unique(sums, return_counts=True)[1].max() > len(sums):
        return  # counts drawn to the same depth have exactly the same sum
    low, median, high = np.percentile(sums, [5, 50, 95])
    if high - low <= EVEN * median:
        raise DataError(
            f"the values are whole numbers, but the cells have nearly the same sums ({low:,.0f} to {high:,.0f}), as counts never have: "
            "counts per million or the like, rounded. Give counts (--scale counts takes the values as counts all the same).",
            option="--scale counts",
        )


def _refuse_offset(x: Matrix) -> None:
    """Raise `DataError` where no value is 0 and all cells have the same smallest value in many genes: something was added to zeros."""
    cells = positive_values(x, sample_rows(x)[::EACH])
    if len(cells) < FEWEST or any(len(cell) < x.shape[1] for cell in cells):
        return
    lowest = np.array([cell.min() for cell in cells])
    n_lowest = np.array(
        [np.count_nonzero(cell <= least * (1 + UNIT)) for cell, least in zip(cells, lowest, strict=True)]
    )
    some = (n_lowest >= MANY_LOWEST) & (n_lowest < x.shape[1])
    if np.ptp(lowest) <= UNIT * np.median(lowest) and some.mean() > MOST:
        raise DataError(
            f"no value is 0, and the smallest of every cell is {np.median(lowest):.4g}, in many genes: something was added to zero counts "
            "before or after the logarithm was taken (a prior count, as edgeR's cpm does). Give counts, or ln(1 + counts per 10,000) "
            "(--scale log1p takes the values as log1p all the same).",
            option="--scale log1p",
        )


def _refuse_no_logarithm(x: Matrix, values: ValueSummary) -> None:
    """Raise `DataError` for values that cannot be logarithms of counts: their square roots, or shares of each gene's largest."""
    squares = np.square(np.concatenate([np.zeros(0), *positive_values(x, sample_rows(x))]))
    if squares.size and values.highest > 1 and np.mean(np.abs(squares - np.rint(squares)) < ROOTS) > MOST:
        msg = "the values are square roots of whole numbers: give the counts (square the values), or log1p of counts per 10,000."
        raise DataError(msg)
    if values.highest == 1:
        raise DataError(
            "the values are fractions of which the largest is exactly 1: values scaled to lie between 0 and 1 look so. Give counts, or "
            "log1p of counts per 10,000 (--scale log1p takes the values as log1p all the same)."
        )
