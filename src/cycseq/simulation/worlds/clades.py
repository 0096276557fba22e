"""Clades: two kinds of contexts; a perturbation does one thing in one kind, and another in the other."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import MARKER, draw_basal, draw_effects, draw_markers, fixed_effects, generator

CLADES = 2


def draw_hidden(settings: SimulateSettings) -> Biology:
    """Effect of p on g in c: effect_pg of the clade of c, and control cells do not tell the clade."""
    return _draw(settings, marker=0.0)


def draw_visible(settings: SimulateSettings) -> Biology:
    """As hidden, and marker_g of the clade of c is added to the log basal levels."""
    return _draw(settings, marker=MARKER)


def _draw(settings: SimulateSettings, marker: float) -> Biology:
    rng = generator(settings)
    clade = rng.permutation(np.arange(settings.contexts) % CLADES)
    markers = draw_markers(settings, rng, marker, CLADES)
    basal = draw_basal(settings, rng) + markers[clade]
    effects = np.stack([draw_effects(settings, rng) for _ in range(CLADES)])[clade]
    return fixed_effects(settings, effects, basal, rng, facts={"clade": clade.astype(float).tolist()})
