"""Systematic variation: perturbed cells differ from control cells alike, whatever was perturbed, as handling makes them."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, fixed_effects, generator

HANDLED, HANDLING = 0.3, 0.6
"""Share of genes that answer to being handled, and the standard deviation of their log fold changes."""
DOSE_SPREAD = 0.2
"""Standard deviation of the log of how strongly a perturbation's cells were handled."""
SPECIFIC_RESPONDING, SPECIFIC = 0.05, 0.4
"""What is left for the perturbations themselves."""


def draw(settings: SimulateSettings) -> Biology:
    """Effect of p on g in c: dose_p x handling_g + specific_pg, the first much the larger."""
    rng = generator(settings)
    handling = rng.normal(0.0, HANDLING, settings.genes) * (rng.random(settings.genes) < HANDLED)
    dose = rng.lognormal(0.0, DOSE_SPREAD, (settings.perturbations, 1))
    specific = draw_effects(settings, rng, SPECIFIC_RESPONDING, SPECIFIC)
    effects = np.repeat((dose * handling + specific)[None], settings.contexts, axis=0)
    combine = partial(handled_once, handling=settings.effect * handling)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng, combine=combine)


def handled_once(
    one: np.ndarray, other: np.ndarray, _rng: np.random.Generator, *, handling: Float[np.ndarray, "genes"]
) -> np.ndarray:
    """Log fold changes of a double: the cells were handled once, not twice."""
    return np.asarray(one + other - handling)
