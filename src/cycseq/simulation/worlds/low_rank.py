"""Low rank: a few programs make all responses; contexts differ in how strongly each program answers."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, fixed_effects, generator

RANK = 4
IN_A_PROGRAM = 0.3
"""Share of genes in a program."""
RESPONSE = 0.35
"""Standard deviation of the log fold change of such a gene when a program is moved by one unit."""
GAIN_SPREAD = 0.5
"""Standard deviation of the log of a context's gain of a program."""


def draw(settings: SimulateSettings) -> Biology:
    """Effect of p on g in c: sum over four programs k of push_pk x gain_ck x weight_kg."""
    rng = generator(settings)
    push = rng.normal(0.0, 1.0, (settings.perturbations, RANK))
    gain = rng.lognormal(0.0, GAIN_SPREAD, (settings.contexts, RANK))
    in_program = rng.random((RANK, settings.genes)) < IN_A_PROGRAM
    weight = rng.normal(0.0, RESPONSE, (RANK, settings.genes)) * in_program
    effects = np.einsum("pk,ck,kg->cpg", push, gain, weight, optimize=True)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng)
