"""Values that resemble counts or their logarithm and are neither: each is refused by what it is."""

from __future__ import annotations

import numpy as np

from cycseq.data.kinds_of_cells import MANY_VALUES, kind_in_words, kinds_of_cells
from cycseq.data.logarithms import (
    BACK,
    DISTINCT,
    EVEN,
    FEWEST,
    MOST,
    UNIT,
    Logarithm,
    Values,
    positive_values,
    sample_rows,
    step_of,
)
from cycseq.data.scale import HIGHEST_LOG1P, ValueSummary
from cycseq.errors import DataError
from cycseq.matrix.arrays import Matrix, take, to_dense

MANY = 50  # genes of a cell, in the median, from which on counts that are all 1 are none
EACH = 10  # of the sampled cells, every so many are enough to compare sums and smallest values
MANY_LOWEST = 5  # genes of a cell that have its smallest value, where that is a count of 0
ROUND_TOTALS = (1e4, 1e5, 1e6)
SOME = 0.1  # share of the cells whose sums lie near one of these, from which on they were normalised and rounded
RANKED = 30  # the largest value of a cell must be this high to show that no whole number below it lacks
TOP = 5  # the highest ranks of a cell, which few genes share
LOWEST_NO_COUNT = 3  # whole numbers above 0 start here in cells where they are no counts
EXPANDED = 3  # genes that share a value, where it is a step of counts
FIRST_STEP = 0.2  # share of a cell's values that stand on its lowest step, where they are counts in disguise
FEWEST_SAME = 5  # cells that have the same ratio
DECIMALS = 1e4  # values with this many decimals share values by rounding
PAIRS, BOTH, SAME = (
    40,
    15,
    0.1,
)  # pairs of genes, cells that must have both, and share of these that have the same ratio

GIVE = "Give counts, or ln(1 + counts per 10,000)"


class NoLogarithmError(DataError):
    """Values that are some function of counts and no logarithm of them; predictions that were made of real cells may be so."""


def refuse_whole_numbers(x: Matrix, values: ValueSummary) -> None:
    """Raise `DataError` where whole numbers, none below 0, are no counts."""
    cells = positive_values(x, sample_rows(x))
    _refuse_offset(cells[::EACH], x.shape[1], values)
    if values.highest <= 1 and np.median([len(cell) for cell in cells] or [0]) >= MANY:
        raise _error("every value above 0 is 1: whether a gene was seen in a cell, not how often. Give counts", values)
    _refuse_even(cells, values)
    _refuse_ranks(cells, values)
    _refuse_no_ones(cells, x.shape[1], values)


def refuse_fractions(x: Matrix, values: ValueSummary) -> None:
    """Raise `DataError` where cells are of several kinds, or something was added to values, none of which is below 0."""
    cells = positive_values(x, sample_rows(x))
    kinds = kinds_of_cells(cells)
    if len(kinds) > 1:
        shares = ", ".join(f"{n / sum(kinds.values()):.0%} {kind_in_words(kind)}" for kind, n in kinds.items())
        what = f"the cells are on several scales (of those that tell: {shares}), as where data sets were joined. Bring them to one scale first. {GIVE}"
        raise _error(what, values, certain="ln twice" in kinds)
    _refuse_ranks(cells, values)
    _refuse_offset(cells[::EACH], x.shape[1], values)


def refuse_no_logarithm(x: Matrix, values: ValueSummary) -> None:
    """Raise `DataError` for values of no known logarithm that show that they are something else."""
    if values.highest == 1:
        what = "the values are fractions of which the largest is exactly 1: values scaled to lie between 0 and 1 look so. Give counts, or log1p of counts per 10,000"
        raise _error(what, values)
    rows = sample_rows(x)
    if _on_other_steps(positive_values(x, rows)):
        what = (
            "the values of a cell stand on steps, as counts do, but no logarithm makes whole multiples of them: they are another function of "
            f"counts (such as a square root, asinh or acosh), or several. {GIVE}"
        )
        raise NoLogarithmError(*(error := _error(what, values)).args, option=error.option)
    if _each_gene_has_a_factor(x, rows):
        what = (
            "two genes have the same ratio in many cells, and it is not 1: every gene was multiplied by a factor of its own (TF-IDF, division by "
            f"a standard deviation, maximum or length). {GIVE}"
        )
        raise NoLogarithmError(*(error := _error(what, values)).args, option=error.option)


def refuse_other_function(logarithm: Logarithm, values: ValueSummary) -> None:
    """Raise `DataError` for a function of counts that is no logarithm."""
    raise _error(f"the values are {logarithm.in_words()}, not a logarithm. {GIVE}", values)


def _error(what: str, values: ValueSummary, *, certain: bool = False) -> DataError:
    """The error, with the option that takes the values all the same, unless they cannot be so or are something else for certain."""
    scale = "counts" if not values.n_fractional else "log1p"
    if certain or (scale == "log1p" and values.highest > HIGHEST_LOG1P):
        return DataError(f"{what}.")
    return DataError(f"{what} (--scale {scale} takes the values as {scale} all the same).", option=f"--scale {scale}")


def _refuse_even(cells: list[Values], values: ValueSummary) -> None:
    """Refuse whole numbers with nearly the same sum in each cell, or a round one in many, but not quite: they were normalised and rounded."""
    sums = np.array([cell.sum() for cell in cells])
    if len(sums) < FEWEST or 2 * np.unique(sums, return_counts=True)[1].max() > len(sums):
        return  # counts drawn to the same depth have exactly the same sum
    low, median, high = np.percentile(sums, [5, 50, 95])
    if high - low <= EVEN * median:
        what = (
            f"the values are whole numbers, but the cells have nearly the same sums ({low:,.0f} to {high:,.0f}), as counts never have: "
            "counts per million or the like, rounded. Give counts"
        )
        raise _error(what, values)
    for total in ROUND_TOTALS:
        near = (np.abs(sums / total - 1) <= EVEN) & (sums != total)
        if near.sum() >= FEWEST and near.mean() >= SOME:
            what = (
                f"the values are whole numbers, but {near.mean():.0%} of the cells sum to {total:,.0f}, nearly: these were normalised and "
                "rounded, and others were not. Give counts of all cells"
            )
            raise _error(what, values)


def _refuse_offset(cells: list[Values], n_genes: int, values: ValueSummary) -> None:
    """Refuse values none of which is 0, where all cells have the same smallest value in many genes: something was added to zeros."""
    if len(cells) < FEWEST or any(len(cell) < n_genes for cell in cells):
        return
    lowest = np.array([cell.min() for cell in cells])
    n_lowest = np.array(
        [np.count_nonzero(cell <= least * (1 + UNIT)) for cell, least in zip(cells, lowest, strict=True)]
    )
    some = (n_lowest >= MANY_LOWEST) & (n_lowest < n_genes)
    if np.ptp(lowest) > UNIT * np.median(lowest) or some.mean() <= MOST:
        return
    when = (
        "before or after the logarithm was taken (a prior count, as edgeR's cpm does)"
        if values.n_fractional
        else "in every cell"
    )
    what = f"no value is 0, and the smallest of every cell is {np.median(lowest):.4g}, in many genes: something was added to zero counts {when}. {GIVE}"
    raise _error(what, values)


def _refuse_ranks(cells: list[Values], values: ValueSummary) -> None:
    """Refuse ranks of the genes in each cell: their sums are those of 1, 2, 3 and so on, or no whole number lacks up to a high one."""
    several = [cell for cell in cells if len(cell) >= MANY_VALUES]
    if len(several) < FEWEST:
        return
    n_values = np.array([len(cell) for cell in several])
    sums, largest = (np.array([measure(cell) for cell in several]) for measure in (np.sum, np.max))
    of_ranks = np.isclose(
        sums / np.where(largest <= 1, 1, n_values), (n_values + 1) / 2, rtol=1e-6
    )  # or shares of ranks
    high = [cell for cell in several if cell.max() >= RANKED and np.count_nonzero(cell > cell.max() - TOP) <= 2 * TOP]
    distinct = [np.unique(cell) for cell in high]
    gapless = len(distinct) >= FEWEST and np.mean([len(u) == u[-1] and u[0] == 1 for u in distinct]) > MOST
    if of_ranks.mean() > MOST or gapless:
        raise _error(
            f"the values of each cell are ranks of its genes (1, 2, 3 and so on, none of which is missing). {GIVE}",
            values,
        )


def _refuse_no_ones(cells: list[Values], n_genes: int, values: ValueSummary) -> None:
    """Refuse whole numbers that start at a higher one than counts do, though many genes have none: values that were multiplied and rounded."""
    lowest = np.array([cell.min() for cell in cells if MANY <= len(cell) <= n_genes - MANY])
    if len(lowest) >= FEWEST and np.mean(lowest >= LOWEST_NO_COUNT) > MOST:
        what = (
            f"the values are whole numbers, but the smallest above 0 is {np.median(lowest):.0f} in a cell, and many are 0, as counts never are: "
            "values that were multiplied and rounded. Give counts"
        )
        raise _error(what, values)


def _on_other_steps(cells: list[Values]) -> bool:
    """Whether many genes of a cell share its lowest values, as where these are functions of 1, 2, 3 counts, and no logarithm fits."""
    checked = []
    for values in cells[:: max(1, len(cells) // 240)]:
        if len(values) < MANY_VALUES or _rounded(values):
            continue
        distinct, n_genes = np.unique(values, return_counts=True)
        steps = distinct[n_genes >= EXPANDED]
        if len(steps) >= DISTINCT and steps[0] == distinct[0] and n_genes[0] >= FIRST_STEP * len(values):
            with np.errstate(over="ignore", invalid="ignore"):
                found = [step_of(back(steps)) for back in BACK.values()]
            checked.append(
                found[0] is not None and not any(step is not None and np.isfinite(step[0]) for step in found)
            )
        else:
            checked.append(False)
    return len(checked) >= FEWEST and float(np.mean(checked)) > MOST


def _rounded(values: Values) -> bool:
    """Whether values are alike by rounding: to a few decimals, or to half precision."""
    scaled = values * DECIMALS
    return bool((np.abs(scaled - np.rint(scaled)) < 0.05).all() or (values.astype(np.float16) == values).all())


def _each_gene_has_a_factor(x: Matrix, rows: np.ndarray) -> bool:
    """Whether, of many pairs of genes, one is the other times the same number in many cells, which have one count of each."""
    values = to_dense(take(x, rows[:: max(1, len(rows) // 600)])).astype(np.float64)
    n_cells = (values > 0).sum(axis=0)
    rare = np.flatnonzero((n_cells >= BOTH) & (n_cells <= len(values) / 2))
    genes = rare[np.argsort(-n_cells[rare], kind="stable")][: 2 * PAIRS]
    for back in (BACK["none"], BACK["ln"]):
        same = []
        for one, other in zip(genes[: len(genes) // 2], genes[len(genes) // 2 :], strict=False):
            both = (values[:, one] > 0) & (values[:, other] > 0)
            if both.sum() >= BOTH:
                ratios = np.log(back(values[both, one])) - np.log(back(values[both, other]))
                alike, n_alike = np.unique(np.rint(ratios / UNIT), return_counts=True)
                same.append(n_alike.max() >= max(FEWEST_SAME, SAME * len(ratios)) and alike[n_alike.argmax()] != 0)
        if len(same) >= DISTINCT and np.mean(same) > MOST:
            return True
    return False
