"""A continuum: contexts along a gradient, as of differentiation, with neighbours alike and ends apart."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, fixed_effects, generator

OWN_SPREAD = 0.2
"""Standard deviation of a context's log basal levels around the gradient."""
GRADIENT = 0.5
"""Standard deviation of what the gradient does to a log basal level from its middle to an end."""


def draw(settings: SimulateSettings) -> Biology:
    """With x_c evenly spaced from 0 to 1, effect of p on g in c: cos(x_c pi/2) one_pg + sin(x_c pi/2) other_pg.

    Control cells show where a context lies: GRADIENT (2 x_c - 1) slope_g is added to the log basal levels.
    """
    rng = generator(settings)
    place = rng.permutation(np.linspace(0.0, 1.0, settings.contexts))
    angle = place[:, None, None] * np.pi / 2
    effects = np.cos(angle) * draw_effects(settings, rng) + np.sin(angle) * draw_effects(settings, rng)
    basal = draw_basal(settings, rng, OWN_SPREAD)
    basal += GRADIENT * (2 * place - 1)[:, None] * rng.normal(0.0, 1.0, settings.genes)
    return fixed_effects(settings, effects, basal, rng, facts={"place": place.tolist()})
