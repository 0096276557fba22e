"""Genes that do not respond: by how much they fall in share where others rise, and how sure that is, by left-out conditions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import lsq_linear, minimize

from cycseq.data.gene_mixture import GeneMixture
from cycseq.matrix.arrays import Mask
from cycseq.models.kriging.check import Hidden
from cycseq.models.kriging.field import common_fall
from cycseq.models.kriging.link import ResponseScale
from cycseq.models.kriging.slopes import beyond_rest
from cycseq.models.kriging.table import Table, Values

PRIOR_CONDITIONS = 5.0  # that say that such genes are where kernels say, and as near as is stated
START = (1.0, 0.2)  # widths, in units of what is stated and of the fall
LOG_WIDTHS = ((-4.0, 3.0), (-4.0, 1.0))  # bounds of their logarithms
LUCK = 50.0  # times the median squared error over its variance, from which on a condition counts no more

OfConditions = Float[np.ndarray, "conditions 1"]


@dataclass(frozen=True)
class AtRest:
    """What was learned of genes that do not respond."""

    shares: tuple[float, float] = (1.0, 0.0)
    """Of the fall that kernels predict, and of that which predicted responses of the other genes imply (`learn_fall`)."""
    widths: tuple[float, float] = (1.0, 0.0)
    """In units of what is stated, and of their fall (`learn_width_at_rest`)."""

    def applied(self, mixture: GeneMixture, falls: Values, scale: ResponseScale) -> GeneMixture:
        """A predicted distribution with the fall and the width of such genes as they were learned."""
        return widen_rest(correct_fall(mixture, falls, scale, self.shares), self.widths)


def learn_rest(
    hidden: Sequence[Hidden], table: Table, measured: Mask, scale: ResponseScale
) -> tuple[AtRest, list[Hidden]]:
    """What hidden conditions tell of such genes, and the conditions as they are predicted with it."""
    shares = learn_fall(hidden, table, measured, scale)
    fallen = [
        replace(one, predicted=correct_fall(one.predicted, table.falls_of(one.rows), scale.take(one.rows), shares))
        for one in hidden
    ]
    widths = learn_width_at_rest(fallen, table, measured)
    return AtRest(shares, widths), [replace(one, predicted=widen_rest(one.predicted, widths)) for one in fallen]


def learn_fall(hidden: Sequence[Hidden], table: Table, measured: Mask, scale: ResponseScale) -> tuple[float, float]:
    """Which share of the fall that kernels predict, and of that which the other genes' predicted responses imply, hidden conditions had.

    Least squares, each share between 0 and 1; few conditions, or no fall, say the first alone.
    """
    predicted, observed = [], []
    for part in hidden:
        falls = table.falls_of(part.rows)
        both = np.hstack(_falls_in(part.predicted, falls, scale.take(part.rows)))
        for i, row, seen in _measured(part, measured):
            predicted.append(both[i])
            observed.append(common_fall(table.effect[row, seen][None], falls[i, seen][None])[0].item())
    if not np.any(predicted):
        return 1.0, 0.0
    prior = np.sqrt(PRIOR_CONDITIONS * np.square(predicted).sum() / len(predicted))
    design, target = np.vstack([predicted, prior * np.eye(2)]), np.append(observed, [prior, 0.0])
    by_kernels, by_responses = lsq_linear(design, target, bounds=(0.0, 1.0)).x.tolist()
    return by_kernels, by_responses


def correct_fall(mixture: GeneMixture, falls: Values, scale: ResponseScale, shares: tuple[float, float]) -> GeneMixture:
    """The distribution with the fall of genes that do not respond as `learn_fall` says."""
    by_kernels, by_responses = _falls_in(mixture, falls, scale)
    more = (shares[0] - 1.0) * by_kernels + shares[1] * by_responses
    return mixture.shifted(np.asarray(more * falls, dtype=np.float32))


def _falls_in(mixture: GeneMixture, falls: Values, scale: ResponseScale) -> tuple[OfConditions, OfConditions]:
    """By how much genes that do not respond fall in a predicted distribution, and by how much its other genes say that they do."""
    rest = mixture.means[..., 0]
    return _multiple(rest, falls), scale.implied_fall(mixture.mean - rest)


def _multiple(values: Values, profiles: Values) -> OfConditions:
    """By what each row is its profile times a number, by least squares."""
    squares = np.square(profiles).sum(axis=1, keepdims=True)
    return np.asarray((values * profiles).sum(axis=1, keepdims=True) / np.maximum(squares, 1e-12))


def learn_width_at_rest(hidden: Sequence[Hidden], table: Table, measured: Mask) -> tuple[float, float]:
    """How far off genes that do not respond were in hidden conditions: in units of stated standard deviations, and of the fall itself.

    What such genes did is what most genes say (`common_fall`), less the error of that. Both by likelihood; few conditions say 1 and 0.
    """
    of_conditions = list(_errors_at_rest(hidden, table, measured))
    if not of_conditions:
        return 1.0, 0.0
    squares, falls, noise = np.array(of_conditions).T

    def variance(logarithms: np.ndarray) -> np.ndarray:
        of_stated, of_fall = np.exp(2.0 * logarithms)
        return np.asarray(of_stated + of_fall * falls)

    def loss(logarithms: np.ndarray, errors: np.ndarray) -> float:
        at_rest = variance(logarithms)
        total, prior = at_rest + noise, at_rest.mean()
        of_prior = PRIOR_CONDITIONS * (np.log(prior) + 1.0 / prior)
        return float((np.log(total) + errors / total).sum() + of_prior)

    def likeliest(start: np.ndarray, errors: np.ndarray) -> np.ndarray:
        return np.asarray(minimize(loss, start, args=(errors,), bounds=LOG_WIDTHS, method="L-BFGS-B").x)

    widths = likeliest(np.log(START), squares)  # of all errors as they are, to tell which are luck
    total = variance(widths) + noise
    stated, fall = np.exp(likeliest(widths, np.minimum(squares, LUCK * np.median(squares / total) * total))).tolist()
    return stated, fall


def _errors_at_rest(hidden: Sequence[Hidden], table: Table, measured: Mask) -> Iterator[tuple[float, float, float]]:
    """Of every hidden condition, in units of the stated width: the squared error of the fall, the fall squared, and the variance of that error."""
    for part in hidden:
        rest, width = part.predicted.means[..., 0], np.maximum(part.predicted.sds[..., 0], 1e-6)
        falls = _multiple(rest, width)[:, 0]
        for i, row, seen in _measured(part, measured):
            error, variance = common_fall((table.effect[row] - rest[i])[None, seen], width[i][None, seen])
            yield error.item() ** 2, float(falls[i]) ** 2, variance * float(part.noise[i, seen].mean())


def _measured(part: Hidden, measured: Mask) -> Iterator[tuple[int, int, Bool[np.ndarray, "genes"]]]:
    """Of every hidden condition of which a gene was measured: its place in the part and in the table, and which genes were."""
    for i, row in enumerate(part.rows.tolist()):
        if measured[row].any():
            yield i, row, measured[row]


def widen_rest(mixture: GeneMixture, widths: tuple[float, float]) -> GeneMixture:
    """The distribution with the width of genes that do not respond as `learn_width_at_rest` says."""
    beyond, rest = beyond_rest(mixture), mixture.means[..., :1]
    width = np.hypot(widths[0] * mixture.sds[..., :1], widths[1] * rest)
    return GeneMixture(mixture.weights, mixture.means, np.hypot(beyond.sds, width))
