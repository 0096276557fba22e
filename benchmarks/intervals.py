"""How often a 95 % interval of a difference that is zero excludes zero: the intervals here, and two others.

    python benchmarks/intervals.py

Each row of the table is a null: so many contexts with so many conditions, each difference made of the luck of its context, the
luck of its perturbation (shared by contexts) and luck of its own (standard deviation 1). The mean of all of them is zero.

- percentile: conditions resampled within their context, as the first version did; lone conditions together;
- bootstrap-t: contexts resampled, then conditions in them, studentised (two stages); for six contexts or more;
- here: `cycseq.score.intervals`, with what it claims. With fewer than six contexts nothing is claimed of further ones, and
  what counts is the last column: how often it misses the mean of these contexts, which is not zero where contexts have luck.

Prints, and asserts nothing; a reduced version is held by `tests/test_intervals.py`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cycseq.score.intervals import FURTHER, intervals

QUANTILES = (0.025, 0.975)


@dataclass(frozen=True)
class Null:
    """A design whose differences have the mean zero."""

    name: str
    sizes: tuple[int, ...]
    """Conditions of each context."""
    luck: float = 0.0
    """Of contexts: standard deviation beside the conditions' own of 1."""
    perturbation_luck: float = 0.0
    draw: Callable[[np.random.Generator, tuple[int, int]], np.ndarray] = field(
        default=lambda rng, size: rng.normal(size=size)
    )
    """Luck of conditions."""


def lognormal(spread: float) -> Callable[[np.random.Generator, tuple[int, int]], np.ndarray]:
    """Skewed luck of mean 0 and standard deviation 1."""
    mean, variance = np.exp(spread**2 / 2), np.expm1(spread**2) * np.exp(spread**2)
    return lambda rng, size: (np.exp(spread * rng.normal(size=size)) - mean) / np.sqrt(variance)


NULLS = (
    Null("6 contexts x 1", (1,) * 6),
    Null("8 contexts x 1", (1,) * 8),
    Null("30 contexts x 1", (1,) * 30),
    Null("8 x 20", (20,) * 8),
    Null("8 x 20, luck of a context 0.3", (20,) * 8, 0.3),
    Null("8 x 20, luck of a context 1", (20,) * 8, 1.0),
    Null("8 x 20, luck of a perturbation 1", (20,) * 8, 0.0, 1.0),
    Null("8 x 20, luck of both 1", (20,) * 8, 1.0, 1.0),
    Null("7 unequal contexts (5 to 40)", (5, 10, 10, 20, 20, 25, 40)),
    Null("7 unequal contexts (5 to 40), luck of a context 1", (5, 10, 10, 20, 20, 25, 40), 1.0),
    Null("6 x 1, heavy tails (t, 3 degrees)", (1,) * 6, draw=lambda rng, size: rng.standard_t(3, size=size)),
    Null("30 x 1, heavy tails (t, 3 degrees)", (1,) * 30, draw=lambda rng, size: rng.standard_t(3, size=size)),
    Null("6 x 1, lognormal 0.5", (1,) * 6, draw=lognormal(0.5)),
    Null("8 x 1, lognormal 0.5", (1,) * 8, draw=lognormal(0.5)),
    Null("8 x 20, lognormal 0.5", (20,) * 8, draw=lognormal(0.5)),
    Null("6 x 1, lognormal 1", (1,) * 6, draw=lognormal(1.0)),
    Null("8 x 1, lognormal 1", (1,) * 8, draw=lognormal(1.0)),
    Null("30 x 1, lognormal 1", (1,) * 30, draw=lognormal(1.0)),
    Null("8 x 20, lognormal 1", (20,) * 8, draw=lognormal(1.0)),
    Null("5 x 20", (20,) * 5),
    Null("5 x 20, luck of a context 0.3", (20,) * 5, 0.3),
    Null("5 x 20, luck of a context 1", (20,) * 5, 1.0),
    Null("2 x 60", (60,) * 2),
    Null("2 x 60, luck of a context 1", (60,) * 2, 1.0),
    Null("2 x 60, luck of a perturbation 1", (60,) * 2, 0.0, 1.0),
    Null("1 x 20, lognormal 1", (20,), draw=lognormal(1.0)),
)


@dataclass(frozen=True)
class Rates:
    """Shares of the repeats of a null."""

    percentile: float
    bootstrap_t: float
    here: float
    """The interval excludes zero."""
    claimed: float
    """It excludes zero and is about further contexts."""
    missed: float
    """It misses what it is about: zero, or the mean of these contexts."""
    scope: str


def rates(null: Null, *, repeats: int, seed: int = 0, others: bool = True) -> Rates:
    """Draw the null so many times (columns), and count."""
    rng = np.random.default_rng(seed)
    contexts = np.repeat(np.arange(len(null.sizes)), null.sizes)
    perturbations = np.concatenate([np.arange(size) for size in null.sizes])
    luck = null.luck * rng.normal(size=(len(null.sizes), repeats))[contexts]
    shared = null.perturbation_luck * rng.normal(size=(max(null.sizes), repeats))[perturbations]
    values = luck + shared + null.draw(rng, (len(contexts), repeats))
    result = intervals(values, contexts, perturbations)
    further = result.scope[0] == FURTHER
    excludes = (result.low > 0) | (result.high < 0)
    target = 0.0 if further else luck.mean(axis=0)
    return Rates(
        percentile=percentile(values, contexts, rng) if others else np.nan,
        bootstrap_t=bootstrap_t(values, contexts, rng) if others and further else np.nan,
        here=float(excludes.mean()),
        claimed=float(excludes.mean()) if further else 0.0,
        missed=float(((result.low > target) | (result.high < target)).mean()),
        scope=result.scope[0],
    )


def percentile(values: np.ndarray, contexts: np.ndarray, rng: np.random.Generator, draws: int = 1000) -> float:
    """Share of columns whose percentile interval excludes zero, conditions resampled within their context."""
    count = np.bincount(contexts)
    stratum = np.where(count[contexts] == 1, -1, contexts)
    weights = np.zeros((draws, len(contexts)))
    for one in np.unique(stratum):
        members = np.flatnonzero(stratum == one)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
    low, high = np.quantile(weights @ values / len(contexts), QUANTILES, axis=0)
    return float(((low > 0) | (high < 0)).mean())


def bootstrap_t(
    values: np.ndarray, contexts: np.ndarray, rng: np.random.Generator, draws: int = 400, most: int = 500
) -> float:
    """Share of columns whose two-stage bootstrap-t interval of the mean of the contexts' means excludes zero."""
    values = values[:, :most]
    members = [np.flatnonzero(contexts == context) for context in np.unique(contexts)]
    k = len(members)
    mean_of = np.stack([values[rows].mean(axis=0) for rows in members])
    mean, error = mean_of.mean(axis=0), mean_of.std(axis=0, ddof=1) / np.sqrt(k)
    t = np.empty((draws, values.shape[1]))
    for draw in range(draws):
        taken = [members[context] for context in rng.integers(k, size=k)]
        again = np.stack([values[rng.choice(rows, len(rows))].mean(axis=0) for rows in taken])
        spread = again.std(axis=0, ddof=1) / np.sqrt(k)
        t[draw] = (again.mean(axis=0) - mean) / np.maximum(spread, 1e-9)
    low, high = np.quantile(t, QUANTILES, axis=0)
    return float(((mean - high * error > 0) | (mean - low * error < 0)).mean())


def percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4000)
    options = parser.parse_args()
    started = time.perf_counter()
    print("Per cent of", options.repeats, "repeats (bootstrap-t: of 500).\n")
    print(
        "| null | percentile | bootstrap-t | here: excludes zero | is about | claims beyond these contexts | misses what it is about |"
    )
    print("|---|---|---|---|---|---|---|")
    for null in NULLS:
        r = rates(null, repeats=options.repeats)
        cells = [
            percent(r.percentile),
            percent(r.bootstrap_t),
            percent(r.here),
            r.scope,
            percent(r.claimed),
            percent(r.missed),
        ]
        print(f"| {null.name} | {' | '.join(cells)} |", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
