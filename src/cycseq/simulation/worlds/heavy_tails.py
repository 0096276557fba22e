"""Heavy tails: most perturbations do next to nothing, a few do very much, and so with genes."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, fixed_effects, generator

DEGREES = 2.0
"""Of freedom: Student's t has no variance."""
SCALE, LARGEST = 0.06, 4.0
"""Scale of log fold changes, and what none exceeds."""
STRENGTH_SPREAD = 1.0
"""Standard deviation of the log of a perturbation's strength."""
OWN_SHARE = 0.5
"""How far a context's own part goes, beside the shared part at 1."""


def draw(settings: SimulateSettings) -> Biology:
    """Effect of p on g in c: strength_p x (shared_pg + own_cpg / 2), both Student's t with two degrees of freedom."""
    rng = generator(settings)
    strength = rng.lognormal(0.0, STRENGTH_SPREAD, (settings.perturbations, 1))
    shared = rng.standard_t(DEGREES, (settings.perturbations, settings.genes))
    own = rng.standard_t(DEGREES, (settings.contexts, settings.perturbations, settings.genes))
    effects = np.clip(SCALE * strength * (shared + OWN_SHARE * own), -LARGEST, LARGEST)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng)
