"""Sign flips: half of the contexts answer every perturbation with the opposite sign."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, fixed_effects, generator

MARKERS, MARKER = 0.1, 1.5
"""Share of genes whose basal level tells the sign where it is visible, and by how much (standard deviation)."""


def draw_hidden(settings: SimulateSettings) -> Biology:
    """Effect of p on g in c: sign_c x effect_pg, and control cells do not tell the sign."""
    return _draw(settings, marker=0.0)


def draw_visible(settings: SimulateSettings) -> Biology:
    """As hidden, and sign_c x marker_g is added to the log basal levels."""
    return _draw(settings, marker=MARKER)


def _draw(settings: SimulateSettings, marker: float) -> Biology:
    rng = generator(settings)
    sign = rng.permutation(np.where(np.arange(settings.contexts) % 2 == 0, 1.0, -1.0))
    markers = rng.normal(0.0, marker, settings.genes) * (rng.random(settings.genes) < MARKERS)
    basal = draw_basal(settings, rng) + sign[:, None] * markers
    effects = sign[:, None, None] * draw_effects(settings, rng)
    return fixed_effects(settings, effects, basal, rng, facts={"sign": sign.tolist()})
