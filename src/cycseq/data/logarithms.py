"""Recognise the logarithm and the total of normalised values, and convert them to ln(1 + counts per 10,000).

Counts c of a cell, normalised to T counts in all, are u = c T / N, and the values are log(1 + u) with some base. Two things
tell base and T: the u of a cell sum to T where all genes are there; and where genes are missing, the u of a cell are whole
multiples of the smallest step T / N, in the right base alone, of which N = T / step is a whole number for the right T alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.data.scale import TARGET_SUM
from cycseq.matrix.arrays import InMemory, Matrix, map_blocks, rows_read_fast, take
from cycseq.matrix.blocks import blocks

Values = Float[np.ndarray, " *values"]
Rows = Int[np.ndarray, " rows"]
SAMPLE, SHOWN = 2400, 240
"""Cells that are sampled, and how many of these are examined: those with most values for steps, any for sums."""
FEWEST = 10  # with fewer cells nothing can be concluded
EVEN = 1e-3  # sums of cells are the same where their range (5th to 95th percentile) is at most this share of the median
NEARLY_EVEN = 0.02  # as `EVEN`, where some genes were dropped after normalising
NEAR = 0.05  # a total within this share of 10,000 is 10,000, less the genes that were dropped
WHOLE = 0.02  # how far from a whole number a ratio of single-precision values may lie
MOST = 0.8  # share of the cells that must have whole multiples, or whole depths
FEW = 0.5  # where fewer cells have whole depths for 10,000, their total is another
TOTALS = (1.0, 1e2, 1e3, TARGET_SUM, 1e5, 1e6)
UNIT = 1e-4  # how far from 1 the step of a cell's counts may lie that were not normalised
DISTINCT = 4  # a cell with fewer distinct multiples tells no base
LARGEST_RATIO = 200.0  # multiples up to this are looked at: larger ones lie near whole numbers by rounding alone
MULTIPLES = (1, 2, 3, 4)  # the smallest count of a cell may be each of these
FEWEST_ALIKE, FEW_CELLS = 5, 0.02  # so many cells, and this share of all, make a kind of cells
NEARLY_ALL = 0.95  # share of the cells that lie at the totals of several data sets
MOST_TOTALS = 6
CLEARLY = 0.5  # another function than a logarithm must come this much nearer to whole multiples


def _power(values: Values, base: float) -> Values:
    return np.asarray(np.expm1(values * np.log(base)))


BACK: dict[str, Callable[[Values], Values]] = {
    "ln": partial(_power, base=math.e),
    "log2": partial(_power, base=2.0),
    "log10": partial(_power, base=10.0),
    "ln twice": lambda values: np.expm1(np.expm1(values)),
    "none": np.asarray,
}
"""From values to normalised counts, by the logarithm that was taken."""
OTHERS: dict[str, Callable[[Values], Values]] = {
    "square root": np.square,
    "asinh": np.sinh,
    "Freeman-Tukey": lambda values: np.square((np.square(values + 1) - 1) / (2 * (values + 1))),
}
"""As `BACK`, of functions that resemble a logarithm and are none; Freeman and Tukey's is sqrt(u) + sqrt(1 + u), less 1."""


@dataclass(frozen=True)
class Logarithm:
    """What the values of a file show of how they were made."""

    name: str | None = None  # a key of `BACK`; None where the values do not tell
    total: float | None = None  # the counts that each cell was normalised to; None where the values do not tell
    summed: bool = False  # whether the cells sum to `total` exactly, as all genes are there
    other_total: bool = False  # whether the total is certain not to be 10,000
    of_counts: bool = False  # whether it was taken of counts as they are, which were not normalised before
    also: tuple[float, ...] = ()  # totals of other cells, where several data sets were normalised apart

    @property
    def per_10k(self) -> bool:
        """Whether the total is 10,000."""
        return self.total is not None and not self.also and abs(self.total / TARGET_SUM - 1) <= NEAR

    @property
    def ours(self) -> bool:
        """Whether the values are ln(1 + counts per 10,000) already."""
        return self.name == "ln" and self.per_10k

    def in_words(self) -> str:
        """``"log2(1 + counts per 1,000,000)"``."""
        if self.of_counts and self.name not in OTHERS:
            return f"{self.name}(1 + counts), not normalised"
        totals = " or ".join(f"{total:,.0f}" for total in (self.total, *self.also) if total)
        counts = f"counts per {totals}" if totals else "counts x a factor of each cell"
        counts = "whole numbers" if self.of_counts else counts
        words = {"none": "{} without a logarithm", "ln twice": "ln(1 + ln(1 + {}))"}
        words |= {
            "square root": "square roots of {}",
            "asinh": "asinh of {}",
            "Freeman-Tukey": "Freeman-Tukey's square roots of {}",
        }
        return words.get(self.name or "", f"{self.name}(1 + {{}})").format(counts)


def recognise(x: Matrix) -> Logarithm:
    """What the values are, from a few of the cells."""
    cells = [values for values in positive_values(x, sample_rows(x)) if values.size]
    if len(cells) < FEWEST:
        return Logarithm()
    with np.errstate(over="ignore", invalid="ignore"):
        steps = _by_steps(sorted(cells, key=len, reverse=True)[:SHOWN])
        sums = {name: sums_of(cells[:: max(1, len(cells) // SHOWN)], name) for name in BACK}
        ranges = {name: _range_of_sums(each) for name, each in sums.items()}
    if steps.name in OTHERS:
        return steps
    name = steps.name or _even_alone(ranges)
    if not steps.of_counts:
        for one in BACK if name is None else (name,):
            if len(totals := totals_of(sums[one])) > 1:
                return Logarithm(one, totals[0], summed=True, other_total=True, also=totals[1:])
    if name is None:
        return Logarithm()
    spread, median = ranges[name]
    if spread <= EVEN:
        return Logarithm(name, median, summed=True, other_total=abs(median / TARGET_SUM - 1) > NEAR)
    if steps.name is not None and (steps.total is not None or spread > NEARLY_EVEN):
        return steps
    near = next((total for total in TOTALS if abs(median / total - 1) <= NEAR), None)
    return Logarithm(name, near, other_total=near not in {None, TARGET_SUM})  # cells of a model sum to nearly the same


def to_ln_per_10k(x: Matrix, logarithm: Logarithm) -> Matrix:
    """The values as ln(1 + counts per 10,000), in new memory; stored ones are converted whenever they are read.

    Where the total is not known, the base alone is changed.
    """
    return map_blocks(x, partial(_to_ln_per_10k, logarithm=logarithm))


def _to_ln_per_10k(x: InMemory, logarithm: Logarithm) -> InMemory:
    new, back = x.copy(), BACK[logarithm.name or "ln"]
    for block in blocks(new):
        u = back(block.values.astype(np.float64))
        if logarithm.summed and u.size:
            sums = block.sums(u)
            u *= block.spread(TARGET_SUM / np.where(sums > 0, sums, 1.0))
        elif logarithm.total:
            u *= TARGET_SUM / logarithm.total
        block.values[...] = np.log1p(u)
    return new


def sample_rows(x: Matrix) -> Rows:
    """Cells from the whole of the matrix; of a stored one, from its first, middle and last block."""
    rows = rows_read_fast(x, SAMPLE)
    return rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(np.int64))]


def positive_values(x: Matrix, cells: Rows) -> list[Values]:
    """The values above 0 of each of these cells."""
    rows = sp.csr_matrix(take(x, cells))
    return [values[values > 0] for values in np.split(rows.data.astype(np.float64), rows.indptr[1:-1])]


def sums_of(cells: list[Values], name: str) -> Values:
    """The sum of each cell's normalised counts."""
    return np.array([BACK[name](values).sum() for values in cells])


def totals_of(sums: Values) -> tuple[float, ...]:
    """The totals at which nearly all sums of cells lie, the commonest first; empty where they do not."""
    totals, rest = list[tuple[int, float]](), np.sort(sums[np.isfinite(sums) & (sums > 0)])
    while rest.size:
        ends = np.searchsorted(rest, rest * (1 + EVEN), side="right")
        n_inside = ends - np.arange(len(rest))
        first = int(n_inside.argmax())
        if n_inside[first] < max(FEWEST_ALIKE, FEW_CELLS * len(sums)):
            break
        totals.append((int(n_inside[first]), float(np.median(rest[first : ends[first]]))))
        rest = np.delete(rest, np.arange(first, ends[first]))
    covered = sum(n for n, _ in totals) >= NEARLY_ALL * len(sums)
    apart = np.diff(np.sort([total for _, total in totals])) > NEARLY_EVEN * min((t for _, t in totals), default=0.0)
    return tuple(total for _, total in totals) if covered and apart.all() and len(totals) <= MOST_TOTALS else ()


def _range_of_sums(sums: Values) -> tuple[float, float]:
    """Range of the cells' sums of normalised counts, as a share of their median, and the median."""
    low, median, high = np.percentile(sums, [5, 50, 95])
    return (float((high - low) / median), float(median)) if np.isfinite(high) else (np.inf, np.inf)


def _even_alone(sums: dict[str, tuple[float, float]]) -> str | None:
    """The logarithm whose sums are even, if those of all others are not."""
    (spread, name), (second, _), *_ = sorted((spread, name) for name, (spread, _) in sums.items())
    even = EVEN if name == "none" else NEARLY_EVEN
    return name if spread <= even and second >= max(3 * spread, NEARLY_EVEN) else None


def _by_steps(cells: list[Values]) -> Logarithm:
    """By the smallest step of each cell, of which the others are whole multiples in the right base alone."""
    distinct = [np.unique(values) for values in cells]
    steps_by_name: dict[str, np.ndarray] = {}
    for name, back in {**BACK, **OTHERS}.items():
        steps = np.array([step for values in distinct if (step := step_of(back(values))) is not None]).reshape(-1, 3)
        is_whole = np.isfinite(steps[:, 0])
        if len(steps) >= FEWEST and is_whole.mean() >= MOST:
            steps_by_name[name] = steps[is_whole]
    if not steps_by_name:
        return Logarithm()
    name = min(steps_by_name, key=lambda of: steps_by_name[of][:, 2].mean() / (CLEARLY if of in OTHERS else 1.0))
    step, least, _ = steps_by_name[name].T
    of_counts = bool(np.mean(np.abs(step - 1.0) < UNIT) >= MOST)
    if name in OTHERS:
        return Logarithm(name, of_counts=of_counts)
    if name == "none" and np.median(step) == 1:  # counts, some of which are not whole numbers
        return Logarithm()
    if name == "none" and np.ptp(step) <= UNIT * np.median(step):  # means of the counts of a few cells, say
        return Logarithm(name)
    if of_counts:
        return Logarithm(name, summed=True, other_total=True, of_counts=True)
    depths = {total: (total / step, np.rint(total / step)) for total in TOTALS}
    whole_depths = {
        total: float(np.mean((abs(n - whole) < WHOLE) & (whole >= least))) for total, (n, whole) in depths.items()
    }
    total = next((total for total, share in whole_depths.items() if share >= MOST), None)
    return Logarithm(name, total, other_total=total != TARGET_SUM and whole_depths[TARGET_SUM] < FEW)


def step_of(u: Values) -> tuple[float, float, float] | None:
    """The step of a cell's normalised counts, the least sum that its counts have, and how far from whole they are.

    None where there are too few multiples to tell; NaN where they are not whole.
    """
    for multiple in MULTIPLES:
        step = u[0] / multiple
        ratios = u[u <= LARGEST_RATIO * step] / step
        if ratios.size < DISTINCT:
            return None
        misses = np.abs(ratios - np.rint(ratios))
        if misses.max() < WHOLE:
            return float(step), float(np.rint(ratios).sum()), float(misses.mean())
    return np.nan, np.nan, np.nan
