"""Sign flips: half of the contexts answer every perturbation with the opposite sign."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import MARKER, draw_basal, draw_effects, draw_markers, fixed_effects, generator


def draw_hidden(settings: SimulateSettings) -> Biology:
    """Effect of p on g in c: sign_c x effect_pg, and control cells do not tell the sign."""
    return _draw(settings, marker=0.0)


def draw_visible(settings: SimulateSettings) -> Biology:
    """As hidden, and sign_c x marker_g is added to the log basal levels."""
    return _draw(settings, marker=MARKER)


def _draw(settings: SimulateSettings, marker: float) -> Biology:
    rng = generator(settings)
    sign = rng.permutation(np.where(np.arange(settings.contexts) % 2 == 0, 1.0, -1.0))
    markers = draw_markers(settings, rng, marker)
    basal = draw_basal(settings, rng) + sign[:, None] * markers
    effects = sign[:, None, None] * draw_effects(settings, rng)
    return fixed_effects(settings, effects, basal, rng, facts={"sign": sign.tolist()})
