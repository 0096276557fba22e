"""Amplitudes: every context answers alike, but one strongly and another weakly."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, fixed_effects, generator

WEAKEST, STRONGEST = 0.25, 2.0


def draw(settings: SimulateSettings) -> Biology:
    """Effect of p on g in c: amplitude_c x effect_pg; amplitudes are evenly spaced in logs, and controls do not tell them."""
    rng = generator(settings)
    amplitude = rng.permutation(np.geomspace(WEAKEST, STRONGEST, settings.contexts))
    effects = amplitude[:, None, None] * draw_effects(settings, rng)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng, facts={"amplitude": amplitude.tolist()})
