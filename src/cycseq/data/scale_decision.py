"""The scale of a file's values: what the user says, checked against what the values show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cycseq.data.logarithms import OTHERS, Logarithm, recognise, to_ln_per_10k
from cycseq.data.lookalikes import refuse_fractions, refuse_no_logarithm, refuse_other_function, refuse_whole_numbers
from cycseq.data.scale import TARGET_SUM, Scale, ValueSummary, check_finite, decide_scale, option_of_counts
from cycseq.errors import DataError
from cycseq.matrix.arrays import Matrix

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
    if user_scale is None and values.lowest >= 0:
        (refuse_fractions if values.n_fractional else refuse_whole_numbers)(x, values)
    if user_scale in {"counts", "scaled"} or not values.n_fractional or values.lowest < 0:
        coarse = decide_scale(values, "log1p" if user_scale in {"log2", "normalised"} else user_scale, layers=layers)
        return Decision(coarse, f"{extent}; {how}")
    logarithm = recognise(x)
    if logarithm.name in OTHERS and user_scale == "log1p":
        logarithm = Logarithm()
    if logarithm.name in OTHERS and user_scale is None:
        refuse_other_function(logarithm, values)
    _check(logarithm, user_scale, layers)
    if user_scale == "normalised":
        return Decision("log1p", f"{extent}; {logarithm.in_words()}, {_conversion(logarithm)}", logarithm, TARGET_SUM)
    if logarithm.name in {None, "ln"}:
        decide_scale(values, "log1p" if user_scale == "log2" else user_scale, layers=layers)
    if logarithm.name is None:
        if user_scale is None:
            refuse_no_logarithm(x, values)
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
