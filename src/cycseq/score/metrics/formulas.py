"""Formulas that several families of metrics share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cycseq.matrix.arrays import Mask, Profiles

FLAT = 1e-5  # a delta whose largest absolute value is below this is no change at all (float32 rounding), in log1p units

Row = Float[np.ndarray, "conditions"]
Rows = Bool[np.ndarray, "conditions"]


@dataclass(frozen=True)
class RowSums:
    """Of every condition, p its predicted and r its real profile, each gene with a weight w; p' and r' are the weighted means."""

    weight: Row
    """Sum of w."""
    predicted: Row
    """Sum of w p^2."""
    real: Row
    """Sum of w r^2."""
    both: Row
    """Sum of w p r."""
    error: Row
    """Sum of w (p - r)^2."""
    absolute_error: Row
    """Sum of w |p - r|."""
    spread_of_predicted: Row
    """Sum of w (p - p')^2."""
    spread_of_real: Row
    """Sum of w (r - r')^2."""
    covariation: Row
    """Sum of w (p - p') (r - r')."""
    nothing_predicted: Rows
    """Whether |p| is below `FLAT` at every gene that has weight."""
    nothing_real: Rows
    """Whether |r| is."""
    constant_prediction: Rows
    """Whether p is the same number, within `FLAT`, at all genes that have weight."""
    constant_real: Rows
    """Whether r is."""


def row_sums(predicted: Profiles, real: Profiles, weights: Mask | Profiles) -> RowSums:
    """The sums of every row; NaN where a value is."""
    from cycseq.score.metrics.row_sums import sums_of_rows  # numba takes half a second to import

    sums = sums_of_rows(*(np.ascontiguousarray(side) for side in (predicted, real, weights)))
    of_name = dict(zip(list(RowSums.__annotations__)[: sums.shape[1]], sums.T, strict=True))
    # the largest of n squares is at least their mean: only rows with a small one are looked at value by value
    small = 4.0 * FLAT**2 * of_name["weight"]

    def extremes(side: Profiles, squares: Row) -> tuple[Row, Row]:
        lowest, highest = np.full((2, len(side)), [[-np.inf], [np.inf]])
        rows = np.flatnonzero(~(squares > small))
        where = np.asarray(weights[rows] > 0)
        lowest[rows] = np.min(side[rows], axis=1, where=where, initial=np.inf)
        highest[rows] = np.max(side[rows], axis=1, where=where, initial=-np.inf)
        return lowest, highest

    def nothing(side: Profiles, squares: Row) -> Rows:
        lowest, highest = extremes(side, squares)
        return np.asarray(np.maximum(highest, -lowest) < FLAT)

    def constant(side: Profiles, spread: Row, squares: Row) -> Rows:
        lowest, highest = extremes(side, spread)
        return np.asarray(~(highest - lowest > FLAT) & ~np.isnan(squares))

    return RowSums(
        **of_name,
        nothing_predicted=nothing(predicted, of_name["predicted"]),
        nothing_real=nothing(real, of_name["real"]),
        constant_prediction=constant(predicted, of_name["spread_of_predicted"], of_name["predicted"]),
        constant_real=constant(real, of_name["spread_of_real"], of_name["real"]),
    )


def quotient(top: np.ndarray, bottom: np.ndarray, *, where: np.ndarray) -> np.ndarray:
    """Top over bottom, and NaN elsewhere."""
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    return np.asarray(np.divide(top, bottom, out=out, where=where))


def pearson(sums: RowSums) -> Row:
    """Pearson's correlation over genes; 0 where the prediction is constant, NaN where the real profile is."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = sums.covariation / np.sqrt(sums.spread_of_predicted * sums.spread_of_real)
    r[sums.constant_prediction] = 0.0
    r[sums.constant_real] = np.nan
    return np.asarray(r)


def r_squared(sums: RowSums) -> Row:
    """1 - sum w (real - predicted)^2 / sum w (real - weighted mean of real)^2; NaN where the real profile is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = 1.0 - sums.error / sums.spread_of_real
    value[sums.constant_real] = np.nan
    return np.asarray(value)


def over_kept(total: Row, sums: RowSums) -> Row:
    """A sum over the kept genes over their number; NaN where none is kept."""
    return quotient(total, sums.weight, where=sums.weight > 0)
