"""Counts or log1p: decided once, from all values."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np

from cycseq.errors import DataError, count_of, unknown_name
from cycseq.matrix.arrays import CellMask, InMemory, Matrix, by_block, per_cell
from cycseq.matrix.blocks import blocks

Scale = Literal["counts", "log1p", "scaled"]
SCALES: tuple[str, ...] = get_args(Scale)
HIGHEST_LOG1P = 15.0  # log1p of counts per million is at most 13.8
MAX_VALUE = 1e9
"""No gene has so many counts, not even in all cells of a pseudobulk; single precision holds whole numbers up to 1.7e7."""
TARGET_SUM = 1e4  # log1p values are natural logarithms of 1 + counts per this many counts of a cell
EXAMPLES = 5  # values of each kind that an error shows
PSEUDOBULK_SUM = 5e4
"""Log pseudobulk profiles are natural logarithms of 1 + counts per this many of a condition's summed counts."""


@dataclass(frozen=True)
class ValueSummary:
    """What one pass over all stored values shows."""

    n: int  # values stored: all of a dense matrix, the non-zeros of a sparse one
    n_broken: int  # values that are NaN or infinite
    lowest: float
    highest: float
    n_fractional: int
    fractional: tuple[float, ...]  # the first five values that are not whole numbers
    negative: tuple[float, ...]  # the first five values below zero
    positive: tuple[float, ...]  # the first five values above zero
    empty: CellMask  # which cells have no value other than zero, where no zero is stored

    @classmethod
    def combine(cls, parts: Sequence[Self]) -> Self:
        """What the parts of a matrix show together."""
        names = ("n", "n_broken", "n_fractional")
        numbers: dict[str, Any] = {name: sum(getattr(part, name) for part in parts) for name in names}
        shown: dict[str, Any] = {
            name: tuple(value for part in parts for value in getattr(part, name))[:EXAMPLES]
            for name in ("fractional", "negative", "positive")
        }
        lowest, highest = min((p.lowest for p in parts), default=0.0), max((p.highest for p in parts), default=0.0)
        empty = np.concatenate([np.zeros(0, dtype=bool), *(part.empty for part in parts)])
        return cls(lowest=lowest, highest=highest, empty=empty, **numbers, **shown)


def summarize_values(x: Matrix) -> ValueSummary:
    """Range, integrality and examples of all values, block by block."""
    return ValueSummary.combine([part for _, part in by_block(x, _summarize)])


def _summarize(x: InMemory) -> ValueSummary:
    n = n_broken = n_fractional = 0
    lowest = highest = 0.0
    examples: dict[str, list[float]] = {"fractional": [], "negative": [], "positive": []}
    for block in (part.values for part in blocks(x)):
        n, values = n + block.size, block
        if block.size and not np.isfinite([block.min(), block.max()]).all():  # NaN would be both of them
            values = block[np.isfinite(block)]
            n_broken += block.size - values.size
        if not values.size:
            continue
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        fractional = values != np.rint(values)
        n_fractional += int(np.count_nonzero(fractional))
        wanted = {"fractional": fractional if n_fractional else None, "negative": values < 0 if lowest < 0 else None}
        wanted["positive"] = values > 0 if len(examples["positive"]) < EXAMPLES else None
        for name, which in wanted.items():
            if which is not None:
                examples[name] += values[which][: EXAMPLES - len(examples[name])].tolist()
    shown = {name: tuple(values) for name, values in examples.items()}
    return ValueSummary(n, n_broken, lowest, highest, n_fractional, empty=_empty_cells(x), **shown)


def empty_cells(x: Matrix) -> CellMask:
    """Which cells have no value other than zero."""
    return per_cell(x, _empty_cells).astype(bool)


def _empty_cells(x: InMemory) -> CellMask:
    empty = ~x.any(axis=1) if isinstance(x, np.ndarray) else np.diff(x.indptr) == 0
    return np.asarray(empty, dtype=bool)


def all_finite(x: Matrix) -> bool:
    """Whether no value is NaN or infinite: what `summarize_values` tells too, at a fifth of its cost."""
    return all(finite for _, finite in by_block(x, _all_finite))


def _all_finite(x: InMemory) -> bool:
    return all(bool(np.isfinite(block.values).all()) for block in blocks(x))


def decide_scale(x: Matrix | ValueSummary, user_scale: str | None = None, *, layers: Sequence[str] = ()) -> Scale:
    """The scale of the values, from integrality and range, or as given if the values allow it.

    Raises `DataError` if values are NaN or infinite, or are not what was said, or fit neither counts nor log1p (five are shown, and
    which of the other `layers` of the file may hold counts).
    """
    if user_scale is not None and user_scale not in SCALES:
        raise unknown_name(user_scale, "scale", SCALES)
    values = x if isinstance(x, ValueSummary) else summarize_values(x)
    check_finite(values)
    if user_scale == "scaled":
        return "scaled"
    option = option_of_counts(layers)
    elsewhere = f"Use {option} to take the counts from there, or give" if option else "Give"
    if values.lowest < 0:
        msg = (
            f"some values are negative ({_shown(values.negative)}): they are neither counts nor log1p. "
            f"{elsewhere} counts or log1p values. Standardised genes can be read with --scale scaled, but not prepared."
        )
        raise DataError(msg, option=option)
    apparent: Scale | None = "log1p" if values.highest <= HIGHEST_LOG1P else None
    apparent = apparent if values.n_fractional else "counts"
    if user_scale is not None and apparent is not None and user_scale != apparent:
        shown = _shown(values.fractional or values.positive)
        cure = "counts are whole numbers" if user_scale == "counts" else "log1p values are fractional"
        msg = f"--scale {user_scale} was given, but the values look like {apparent} ({shown}): {cure}. Use --scale {apparent}."
        raise DataError(msg, option=f"--scale {apparent}")
    if apparent is None:
        msg = (
            f"the values are neither counts nor log1p: some are fractional ({_shown(values.fractional)}) and the largest "
            f"is {values.highest:.4g}, above {HIGHEST_LOG1P:.0f}: normalised counts without a logarithm look so. "
            f"{elsewhere} counts, or log1p of counts per {TARGET_SUM:,.0f}."
        )
        raise DataError(msg, option=option)
    return apparent


def option_of_counts(layers: Sequence[str]) -> str:
    """The option that takes the layer that may hold counts; empty where there is none."""
    layer = next((name for name in layers if "count" in name.casefold() or name == "raw"), None)
    return f"--layer {shlex.quote(layer)}" if layer else ""


def check_finite(values: ValueSummary) -> None:
    """Raise `DataError` if a value is NaN, infinite, or beyond any count."""
    if values.n_broken:
        msg = f"{count_of(values.n_broken, 'value is', 'values are')} NaN or infinite; every value must be a number. Remove or fill them."
        raise DataError(msg)
    if (largest := max(values.highest, -values.lowest)) > MAX_VALUE:
        raise DataError(
            f"the largest value is {largest:.4g}, and no cell has so many counts of a gene (values such as 2^63 - 1 stand for "
            f"missing data): every value must be below {MAX_VALUE:,.0f}. Remove or correct it."
        )


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.7g}" for value in values)
