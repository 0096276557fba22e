"""Silent genes: a gene that a context does not express cannot answer there; effects multiply what is there."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, fixed_effects, generator

CAN_BE_SILENT, SILENT = 0.5, 0.4
"""Share of genes that are silent somewhere, and the probability that such a gene is silent in a context."""
OWN_SPREAD = 1.2
"""Levels of the other genes differ between contexts too, so that the same fold change is not the same difference."""


def draw(settings: SimulateSettings) -> Biology:
    """Level of g in c under p: exp(basal_cg + effect_pg), or 0 where g is silent in c; no gene is silent everywhere."""
    rng = generator(settings)
    silent = rng.random((settings.contexts, settings.genes)) < SILENT
    silent &= rng.random(settings.genes) < CAN_BE_SILENT
    silent[rng.integers(settings.contexts, size=settings.genes), np.arange(settings.genes)] = False
    basal = np.where(silent, -np.inf, draw_basal(settings, rng, OWN_SPREAD))
    effects = np.repeat(draw_effects(settings, rng)[None], settings.contexts, axis=0)
    return fixed_effects(
        settings, effects, basal, rng, facts={"silent_genes": silent.sum(axis=1).astype(float).tolist()}
    )
