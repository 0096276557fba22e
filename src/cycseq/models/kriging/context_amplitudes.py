"""Contexts that answer alike, but one strongly and another weakly: an amplitude of each, taken off before anything else is learned."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.models.kriging.table import Table, codes

FEWEST = 3  # contexts that have amplitudes, and perturbations that two contexts must share to be compared
ROUNDS = 100
LEAST = 0.1  # of the largest amplitude
ALIKE = 0.05  # logarithms of amplitudes up to which contexts are taken to answer equally strongly

Contexts = Float[np.ndarray, "contexts contexts"]


def learn_context_amplitudes(table: Table) -> dict[str, float]:
    """How strongly each context answers, beside the geometric mean of all; nothing where they answer alike or it cannot be told.

    The mean product of the specific responses of contexts c and d, over the perturbations that both have, is a_c a_d times what all
    share. One factor is fitted by least squares to the products of different contexts alone: squares hold the noise of the measurements
    too, which can be larger than the responses.

    Parameters
    ----------
    table
        Measured conditions, without NaN.
    """
    names = list(dict.fromkeys(c.context for c in table.conditions))
    if len(names) < FEWEST:
        return {}
    specific, treatment = table.specific, codes([str(c._replace(context="")) for c in table.conditions])
    sums, counts = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    order = np.argsort(treatment, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(treatment))[:-1]):
        at = np.ix_(table.contexts[rows], table.contexts[rows])
        sums[at] += specific[rows] @ specific[rows].T
        counts[at] += 1.0
    counts[(counts < FEWEST) | np.eye(len(names), dtype=bool)] = 0.0
    amplitude = _factor(sums / np.maximum(counts, 1.0), counts)
    if amplitude is None or np.abs(np.log(amplitude)).max() < ALIKE:
        return {}
    return dict(zip(names, amplitude.tolist(), strict=True))


def _factor(products: Contexts, weights: Contexts) -> Float[np.ndarray, "contexts"] | None:
    """The a of geometric mean 1 with the least weighted squares of products - a a^T; None where no such factor can be told."""
    total = float((weights * products).sum())
    if total <= 0 or ((weights > 0).sum(axis=1) < FEWEST - 1).any():
        return None
    a = np.full(len(products), np.sqrt(total / weights.sum()))
    for _ in range(ROUNDS):
        best = ((weights * products) @ a) / (weights @ a**2)
        a = np.sqrt(a * np.maximum(best, LEAST * max(float(best.max()), 1e-12)))
    return np.asarray(a / np.exp(np.log(a).mean()))


def amplitudes_of(
    conditions: Sequence[Condition], amplitudes: Mapping[str, float]
) -> Float[np.ndarray, "conditions 1"]:
    """That of every condition's context; 1 where nothing was measured."""
    return np.array([[amplitudes.get(c.context, 1.0)] for c in conditions], dtype=np.float32)


def amplitudes_left_out(
    conditions: Sequence[Condition], amplitudes: Mapping[str, float]
) -> Float[np.ndarray, "conditions 1"]:
    """That of every condition's context as if nothing had been measured there: the geometric mean of the others."""
    power = -1.0 / max(len(amplitudes) - 1, 1)
    return amplitudes_of(conditions, {context: amplitude**power for context, amplitude in amplitudes.items()})
