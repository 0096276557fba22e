"""Buffering: two perturbations together do less than the sum of what they do alone."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, fixed_effects, generator

SMALLEST, LARGEST = 0.5, 0.9
"""Range of the length of the weights of both parts; 2^1/2 is additive."""
OWN_RESPONDING = 0.05
"""Share of genes that respond in one context alone, beside those that respond in all."""


def draw(settings: SimulateSettings) -> Biology:
    """Singles: shared_pg + own_cpg. Doubles: u x the first + v x the second, with u^2 + v^2 below 1, in all contexts alike.

    Reference: the fit of Norman et al. 2019 (Science), in which a length below 1 is called buffering.
    """
    rng = generator(settings)
    own = np.stack([draw_effects(settings, rng, OWN_RESPONDING) for _ in range(settings.contexts)])
    effects = draw_effects(settings, rng) + own
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng, combine=buffered)


def buffered(one: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Log fold changes of a double."""
    length, angle = rng.uniform(SMALLEST, LARGEST), rng.uniform(np.pi / 8, 3 * np.pi / 8)
    return np.asarray(length * (np.cos(angle) * one + np.sin(angle) * other))
