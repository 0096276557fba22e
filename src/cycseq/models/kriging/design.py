"""Which conditions to measure next: those that take most from the variance of all conditions together.

The posterior of a Gaussian process does not need the values of a measurement to know how much variance it takes away.
So a batch is chosen one by one, each choice counted as measured before the next (greedy A-optimal design: Cohn 1996).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from cycseq.models.kriging.table import Square

TINY = 1e-12


@dataclass(frozen=True)
class Choice:
    """A condition to measure."""

    condition: int
    reduction: float  # what its measurement takes from the summed variance, after all earlier choices


def choose(
    covariance: Square, noise: Float[np.ndarray, "conditions"], allowed: Bool[np.ndarray, "conditions"], n_choices: int
) -> tuple[Choice, ...]:
    """The batch, best first; shorter than asked for where fewer are allowed.

    Parameters
    ----------
    covariance
        Posterior covariance of all conditions; every one of them counts alike.
    noise
        Sampling variance of a new measurement of each.
    allowed
        What may be measured.
    n_choices
        Size of the batch.
    """
    left, allowed = covariance.copy(), allowed.copy()
    chosen: list[Choice] = []
    for _ in range(min(n_choices, int(allowed.sum()))):
        of_measurement = np.maximum(np.diag(left), 0.0) + noise + TINY
        gain = np.where(allowed, (left**2).sum(axis=0) / of_measurement, -1.0)
        best = int(np.argmax(gain))
        chosen.append(Choice(best, float(gain[best])))
        column = left[:, best] / np.sqrt(of_measurement[best])
        left -= np.outer(column, column)
        allowed[best] = False
    return tuple(chosen)
