"""Worlds of unusual perturbations: heavy tails, systematic variation, and combinations that buffer each other."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, fixed_effects, generator

DEGREES = 2.0  # degrees of freedom of Student's t, which then has no variance
SCALE, LARGEST_CHANGE = 0.06, 4.0  # scale of log fold changes, and what none exceeds
STRENGTH_SPREAD = 1.0  # standard deviation of the log of a perturbation's strength
OWN_SHARE = 0.5  # how far a context's own part goes, beside the shared part at 1


def draw_heavy_tails(settings: SimulateSettings) -> Biology:
    """Heavy tails: most perturbations do next to nothing, a few do very much, and so with genes.

    Effect of p on g in c: strength_p x (shared_pg + own_cpg / 2), both Student's t with two degrees of freedom.
    """
    rng = generator(settings)
    strength = rng.lognormal(0.0, STRENGTH_SPREAD, (settings.perturbations, 1))
    shared = rng.standard_t(DEGREES, (settings.perturbations, settings.genes))
    specific = rng.standard_t(DEGREES, (settings.contexts, settings.perturbations, settings.genes))
    effects = np.clip(SCALE * strength * (shared + OWN_SHARE * specific), -LARGEST_CHANGE, LARGEST_CHANGE)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng)


HANDLED, HANDLING = 0.3, 0.6
"""Share of genes that answer to being handled, and the standard deviation of their log fold changes."""
DOSE_SPREAD = 0.2  # standard deviation of the log of how strongly a perturbation's cells were handled
SPECIFIC_RESPONDING, SPECIFIC = 0.05, 0.4  # what is left for the perturbations themselves


def draw_systematic(settings: SimulateSettings) -> Biology:
    """Systematic variation: perturbed cells differ from control cells alike, whatever was perturbed, as handling makes them.

    Effect of p on g in c: dose_p x handling_g + specific_pg, the first much the larger.
    """
    rng = generator(settings)
    handling = rng.normal(0.0, HANDLING, settings.genes) * (rng.random(settings.genes) < HANDLED)
    dose = rng.lognormal(0.0, DOSE_SPREAD, (settings.perturbations, 1))
    specific = draw_effects(settings, rng, SPECIFIC_RESPONDING, SPECIFIC)
    effects = np.repeat((dose * handling + specific)[None], settings.contexts, axis=0)
    combine = partial(handle_once, handling=settings.effect * handling)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng, combine=combine)


def handle_once(
    one: np.ndarray, other: np.ndarray, _rng: np.random.Generator, *, handling: Float[np.ndarray, "genes"]
) -> np.ndarray:
    """Log fold changes of a double: the cells were handled once, not twice."""
    return np.asarray(one + other - handling)


SHORTEST, LONGEST = 0.5, 0.9  # range of the length of the weights of both parts; 2^1/2 is additive
OWN_RESPONDING = 0.05  # share of genes that respond in one context alone, beside those that respond in all


def draw_buffering(settings: SimulateSettings) -> Biology:
    """Buffering: two perturbations together do less than the sum of what they do alone.

    Singles: shared_pg + own_cpg. Doubles: u x the first + v x the second, with u^2 + v^2 below 1, in all contexts alike.

    Reference: the fit of Norman et al. 2019 (Science), in which a length below 1 is called buffering.
    """
    rng = generator(settings)
    specific = np.stack([draw_effects(settings, rng, OWN_RESPONDING) for _ in range(settings.contexts)])
    effects = draw_effects(settings, rng) + specific
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng, combine=buffer)


def buffer(one: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Log fold changes of a double."""
    length, angle = rng.uniform(SHORTEST, LONGEST), rng.uniform(np.pi / 8, 3 * np.pi / 8)
    return np.asarray(length * (np.cos(angle) * one + np.sin(angle) * other))
