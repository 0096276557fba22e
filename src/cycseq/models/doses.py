"""Training conditions of the same perturbation at other doses or times: where they stand beside the one that is predicted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.data.treatments import place_of_dose
from cycseq.matrix.arrays import Profile, Profiles


@dataclass(frozen=True)
class Series:
    """Responses along one axis, dose or time: distinct places in ascending order, each the mean of its conditions."""

    axis: str  # ``"dose"``, ``"time"``, or ``""`` where nothing varies
    at: Float[np.ndarray, "points"]  # logarithms of doses or times; steps of named levels
    delta: Profiles
    target: float  # where the predicted condition stands


def place(condition: Condition, axis: str) -> tuple[str, float] | None:
    """Where a condition stands on an axis: a unit, and a logarithm."""
    if axis == "dose":
        return place_of_dose(condition.dose)
    return None if not condition.time else ("h", math.log10(condition.time))


def series_of(condition: Condition, conditions: Sequence[Condition], delta: Profiles) -> Series | None:
    """The training conditions from which one at another dose or time can be told; None where its perturbation has none.

    Those of its own context, or of all others where it has none there. Doses at the same time are preferred to times at the same dose; where
    neither is measured, all of the perturbation's conditions stand for it.
    """
    of_agent = [row for row, c in enumerate(conditions) if c.agent == condition.agent]
    inside = [row for row in of_agent if conditions[row].context == condition.context]
    rows = inside or of_agent
    if not rows:
        return None
    for axis, other in (("dose", "time"), ("time", "dose")):
        here = place(condition, axis)
        alike = [row for row in rows if getattr(conditions[row], other) == getattr(condition, other)]
        places = [place(conditions[row], axis) for row in alike]
        points = [(p[1], row) for p, row in zip(places, alike, strict=True) if p and here and p[0] == here[0]]
        if points and here:
            at = sorted({point for point, _ in points})
            means = [mean_of_measured(delta[[row for point, row in points if point == x]]) for x in at]
            return Series(axis, np.array(at), np.stack(means), here[1])
    return Series("", np.zeros(1), mean_of_measured(delta[rows])[None], 0.0)


def nearest(series: Series) -> Profile:
    """The response at the nearest place; the mean of two that are as near."""
    distance = np.abs(series.at - series.target)
    return mean_of_measured(series.delta[np.isclose(distance, distance.min(), atol=1e-9)])


def interpolated(series: Series) -> Profile:
    """Linear between the two places around the target; beyond them, proportional growth is not assumed: the nearest."""
    above = int(np.searchsorted(series.at, series.target))
    if above in (0, len(series.at)) or series.at[above] == series.target:
        return nearest(series)
    low, high = series.at[above - 1], series.at[above]
    share = (series.target - low) / (high - low)
    return (1 - share) * series.delta[above - 1] + share * series.delta[above]
