"""Conditions of one context as metrics see them: means and variances of all cells, some cells themselves, tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from cycseq.matrix.arrays import (
    Cells,
    Codes,
    InMemory,
    Matrix,
    Profile,
    Profiles,
    take,
    take_groups,
    take_parts,
    to_dense,
)
from cycseq.matrix.groups import group_totals, moments_of
from cycseq.score.metrics.ranks import false_discovery_rate


@dataclass(frozen=True)
class Population:
    """Conditions of one context: moments of all their cells, and which cells were drawn for metrics of cells."""

    x: Matrix  # the cells x genes that `drawn` points into, log1p; often those of many contexts
    drawn: tuple[Codes, ...]  # row numbers of the cells drawn from each condition
    n_cells: Int[np.ndarray, "conditions"]
    mean: Profiles
    variance: Profiles  # unbiased; NaN for a condition of one cell
    nonzero: Profiles  # share of the cells in which a gene is not zero
    tested: dict[int, Profile] = field(default_factory=dict, compare=False, repr=False)
    """Adjusted p-values of the conditions that were tested so far."""
    whole: Population | None = field(default=None, compare=False, repr=False)
    """What these conditions were taken from; None where they are all."""
    rows: Codes | None = field(default=None, compare=False, repr=False)  # their places in it
    cache: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What metrics computed of all conditions."""

    @classmethod
    def of(cls, x: Matrix, rows: Sequence[Codes], max_cells: int, seeds: Sequence[Sequence[int]]) -> Population:
        """The moments of all rows of each condition, and at most `max_cells` of them drawn by the condition's seed."""
        groups = np.full(x.shape[0], -1)
        for group, of_group in enumerate(rows):
            groups[of_group] = group
        involved = np.flatnonzero(groups >= 0)
        part, code = (x, groups) if len(involved) == len(groups) else (x[involved], groups[involved])
        sums = group_totals(part, code, len(rows))
        moments = moments_of(np.bincount(code[code >= 0], minlength=len(rows)), sums[1], sums[2])
        with np.errstate(invalid="ignore"):
            nonzero = sums[0] / moments.n_cells[:, None]
        drawn = tuple(
            np.random.default_rng(seed).permutation(of_group)[:max_cells]
            for of_group, seed in zip(rows, seeds, strict=True)
        )
        return cls(*take_parts(x, drawn), moments.n_cells, moments.mean, moments.variance, nonzero)

    def take(self, conditions: Codes) -> Population:
        """The population of these conditions; tests are done anew."""
        return Population(
            self.x,
            tuple(self.drawn[i] for i in conditions),
            self.n_cells[conditions],
            _rows(self.mean, conditions),
            _rows(self.variance, conditions),
            _rows(self.nonzero, conditions),
            whole=self.whole or self,
            rows=conditions if self.rows is None else self.rows[conditions],
        )

    @property
    def variance_of_mean(self) -> Profiles:
        """Sampling variance of each mean; NaN for a condition of one cell."""
        return np.asarray(self.variance / self.n_cells[:, None])

    def cells(self) -> list[Cells]:
        """A dense copy of the drawn cells of every condition."""
        rows = np.concatenate([*self.drawn, np.zeros(0, dtype=np.int64)])
        return np.split(to_dense(take(self.x, rows)), np.cumsum([len(drawn) for drawn in self.drawn])[:-1])


def _rows(values: Profiles, rows: Codes) -> Profiles:
    """These rows; of rows that follow one another no copy."""
    if len(rows) and (np.diff(rows) == 1).all():
        return values[rows[0] : rows[-1] + 1]
    return values[rows]


def rows_of_groups(codes: Codes, n_groups: int) -> list[Codes]:
    """The row numbers of every group, in ascending order."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(1, n_groups)))


def adjusted_p(
    cells: Population, control: Population, conditions: Sequence[int]
) -> Float[np.ndarray, "conditions genes"]:
    """Benjamini-Hochberg adjusted p-values of Wilcoxon's rank-sum test of each condition's drawn cells against controls.

    Two-sided, with correction for ties and continuity (`rank_tests`); adjusted over the genes of a condition. What was tested
    once is kept in `cells.tested`.
    """
    missing = [i for i in dict.fromkeys(conditions) if i not in cells.tested]
    if missing:
        groups = take_groups(cells.x, [cells.drawn[i] for i in missing])
        cells.tested.update(zip(missing, _wilcoxon(groups, control), strict=True))
    return np.stack([cells.tested[i] for i in conditions])


def _wilcoxon(groups: Iterable[InMemory], control: Population) -> Iterator[Profile]:
    from cycseq.score.metrics.rank_test import RankedControl, rank_tests

    if "ranked" not in control.cache:
        control.cache["ranked"] = RankedControl(take(control.x, control.drawn[0]))
    return (false_discovery_rate(p) for p in rank_tests(groups, control.cache["ranked"]))


def log2_fold_change(mean: Profile, control_mean: Profile) -> Profile:
    """log2 of the ratio of expm1 of the means of log1p values, 1e-9 added to both, as scanpy and pdex have it."""
    raised, base = np.expm1(np.maximum(mean, 0.0)), np.expm1(np.maximum(control_mean, 0.0))
    return np.asarray(np.log2((raised + 1e-9) / (base + 1e-9)))
