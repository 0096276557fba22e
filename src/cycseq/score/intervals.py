"""95 % intervals of means over conditions: contexts are the unit, corrected for being few, and for skewness.

Conditions of one context share its luck, so that many conditions in few contexts say little about further contexts. With
`ENOUGH` contexts or more, an interval is about further contexts: contexts are clusters, the variance is adjusted for their
small number (CR2), the quantile is Student's with the degrees of freedom that few and unequal clusters leave. With as many
conditions in each it is exactly the t interval of the means of the contexts, with contexts - 1 degrees of freedom. A
perturbation that is tested in several contexts is shared luck too, and is a second way of clustering.

With fewer contexts nothing is said about further ones: the interval is about further perturbations in these contexts. With
fewer than `ENOUGH` perturbations an interval is, likewise, about these perturbations.

Sources: Bell and McCaffrey (2002), Survey Methodology 28, 169 (variance, degrees of freedom); Cameron, Gelbach and Miller
(2011), J. Business & Economic Statistics 29, 238 (two ways of clustering); Hall (1992), J. R. Statist. Soc. B 54, 221 (skewness).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse, stats

LEVEL = 0.95
ENOUGH = 6  # with fewer contexts an interval is about these contexts only
Scope: TypeAlias = Literal["further contexts", "these contexts only", ""]
"""What an interval is about; empty where there is none."""
FURTHER: Scope = "further contexts"
THESE: Scope = "these contexts only"

Values = Float[np.ndarray, "conditions columns"]
Codes = Int[np.ndarray, "conditions"]
Row = Float[np.ndarray, "columns"]
Scores = Float[np.ndarray, "clusters columns"]


@dataclass(frozen=True)
class Intervals:
    """Means of columns with their 95 % intervals; NaN where there are fewer than two conditions."""

    mean: Row
    low: Row
    high: Row
    n_conditions: Int[np.ndarray, "columns"]
    n_contexts: Int[np.ndarray, "columns"]
    scope: list[Scope]


@dataclass(frozen=True)
class _Spread:
    """The variance of means, estimated from the sums of clusters."""

    variance: Row
    degrees: Row  # degrees of freedom (Satterthwaite)
    skewness: Row
    """Skewness of the mean: sum of cubes of the clusters' contributions over the variance to the power 3/2."""


def intervals(values: Values, contexts: np.ndarray, perturbations: np.ndarray) -> Intervals:
    """The mean of every column over its defined conditions, with a 95 % interval.

    Parameters
    ----------
    values
        A row for each condition; NaN where undefined.
    contexts, perturbations
        Labels of the conditions; a pair of labels occurs once.

    Returns
    -------
    Intervals
        The interval is the hull of Student's and of Hall's, which corrects it for skewness.
    """
    n_columns = values.shape[1]
    mean, low, high = np.full((3, n_columns), np.nan)
    n_conditions, n_contexts = np.zeros((2, n_columns), dtype=np.int64)
    scope: list[Scope] = [""] * n_columns
    labels = [np.unique(of_conditions, return_inverse=True)[1] for of_conditions in (contexts, perturbations)]
    for defined, columns in _patterns(~np.isnan(values)):
        context, perturbation = (_compact(codes[defined]) for codes in labels)
        part = values[np.ix_(defined, columns)]
        n_conditions[columns], n_contexts[columns] = len(part), _count(context)
        if not len(part):
            continue
        mean[columns] = part.mean(axis=0)
        if len(part) < 2:
            continue
        wide = n_contexts[columns[0]] >= ENOUGH
        spread = (
            _between_contexts(part, context, perturbation) if wide else _within_contexts(part, context, perturbation)
        )
        low[columns], high[columns] = _limits(mean[columns], spread)
        for column in columns:
            scope[column] = FURTHER if wide else THESE
    return Intervals(mean, low, high, n_conditions, n_contexts, scope)


def _patterns(defined: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Columns that are defined in the same conditions: the conditions, and the columns."""
    if not defined.shape[1]:
        return
    patterns, of_column = np.unique(np.packbits(defined, axis=0), axis=1, return_inverse=True)
    for k in range(patterns.shape[1]):
        columns = np.flatnonzero(of_column.ravel() == k)
        yield np.flatnonzero(defined[:, columns[0]]), columns


def _limits(mean: Row, spread: _Spread) -> tuple[Row, Row]:
    """Lower and upper limit: the outer ones of Student's interval and of Hall's."""
    error, quantile = np.sqrt(spread.variance), stats.t.ppf((1 + LEVEL) / 2, spread.degrees)
    a = spread.skewness

    def hall(t: Row) -> Row:
        """The inverse of Hall's cubic g(T) = T + a T^2 / 3 + a^2 T^3 / 27 + a / 6, to the second order in a.

        In full it has a vertical tangent, where a few skewed conditions make the interval many times too long.
        """
        w = t - a / 6
        return w - a * w**2 / 3 + 5 * a**2 * w**3 / 27

    return (mean - np.maximum(quantile, hall(quantile)) * error, mean - np.minimum(-quantile, hall(-quantile)) * error)


def _between_contexts(values: Values, context: Codes, perturbation: Codes) -> _Spread:
    """Contexts as clusters; what perturbations share across contexts is added where there are enough of them."""
    by_context = _clustered(values, context)
    if _count(perturbation) < ENOUGH:
        return by_context
    by_perturbation, by_condition = _clustered(values, perturbation), _clustered(values, np.arange(len(values)))
    shared = np.maximum(by_perturbation.variance - by_condition.variance, 0.0)
    variance = by_context.variance + shared
    parts = by_context.variance**2 / by_context.degrees + shared**2 / by_perturbation.degrees
    degrees = np.divide(variance**2, parts, out=by_context.degrees.copy(), where=parts > 0)
    return _Spread(variance, degrees, by_context.skewness)


def _clustered(values: Values, cluster: Codes) -> _Spread:
    """CR2 variance of the mean with these clusters, and its degrees of freedom where all conditions are alike.

    With shares p of the clusters in all conditions, and S the sums of their residuals: variance = sum S^2 / (n^2 (1 - p)),
    and 1 / degrees = sum p^2 + (sum q)^2 - sum q^2 with q = p^2 / (1 - p).
    """
    n = len(values)
    share = np.bincount(cluster) / n
    contributions = _sums(values - values.mean(axis=0), cluster) / (n * np.sqrt(1 - share))[:, None]
    q = share**2 / (1 - share)
    return _spread(contributions, 1 / float((share**2).sum() + q.sum() ** 2 - (q**2).sum()))


def _within_contexts(values: Values, context: Codes, perturbation: Codes) -> _Spread:
    """Perturbations as clusters, around the mean of each context: CR2 of a mean of means of contexts.

    Fewer than `ENOUGH` perturbations are taken as they are, and conditions are the clusters. Contexts with one condition each
    have no mean to vary around: together they are one stratum, their conditions the clusters.
    """
    n, size = len(values), np.bincount(context)
    alone = size[context] == 1
    stratum = np.where(alone, len(size), context)
    if alone.sum() == 1 and len(size) > 1:  # joins the smallest of the others
        stratum[alone] = np.argmin(np.where(size == 1, n + 1, size))
    stratum = _compact(stratum)
    single = alone | (_count(perturbation) < ENOUGH)
    cluster = _compact(np.where(single, perturbation.max() + 1 + np.arange(n), perturbation))
    members = np.bincount(stratum)
    residuals = values - (_sums(values, stratum) / members[:, None])[stratum]
    adjusted = residuals / np.sqrt(1 - 1 / members[stratum])[:, None]
    membership = sparse.csr_array((np.ones(n), (cluster, stratum)))
    overlap = (membership.T @ membership).toarray()
    outer = 1 / np.outer(members - 1, members - 1)
    diagonal = np.asarray((membership**2).sum(axis=1)).ravel()  # conditions of each cluster
    overlap_of_self = np.asarray(membership.multiply(1 / (members - 1)).sum(axis=1)).ravel()
    trace_of_square = (diagonal**2).sum() + (overlap**2 * outer).sum() - (overlap_of_self**2).sum()
    return _spread(_sums(adjusted, cluster) / n, float(n**2 / trace_of_square))


def _compact(codes: Codes) -> Codes:
    """The same groups, numbered from 0 without a gap."""
    numbers = np.cumsum(np.bincount(codes) > 0) - 1 if len(codes) else codes
    return np.asarray(numbers[codes], dtype=np.int64)


def _count(codes: Codes) -> int:
    """How many groups; they are numbered without a gap."""
    return int(codes.max(initial=-1)) + 1


def _spread(contributions: Scores, degrees: float) -> _Spread:
    squares = contributions * contributions
    variance = squares.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = (squares * contributions).sum(axis=0) / variance**1.5
    return _Spread(variance, np.full(len(variance), max(degrees, 1.0)), np.nan_to_num(skewness, posinf=0.0, neginf=0.0))


def _sums(values: Values, cluster: Codes) -> Scores:
    n = len(values)
    membership = sparse.csr_array((np.ones(n), (cluster, np.arange(n))), shape=(int(cluster.max()) + 1, n))
    return np.asarray(membership @ values)
