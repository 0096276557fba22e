"""Worlds in which contexts answer differently: by amplitude, sign, clade, place on a gradient, silent genes or gain of programs."""

from __future__ import annotations

import numpy as np

from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import draw_basal, draw_effects, draw_markers, fixed_effects, generator

WEAKEST, STRONGEST = 0.25, 2.0


def draw_amplitudes(settings: SimulateSettings) -> Biology:
    """Amplitudes: every context answers alike, but one strongly and another weakly.

    Effect of p on g in c: amplitude_c x effect_pg; amplitudes are evenly spaced in logs, and controls do not tell them.
    """
    rng = generator(settings)
    amplitude = rng.permutation(np.geomspace(WEAKEST, STRONGEST, settings.contexts))
    effects = amplitude[:, None, None] * draw_effects(settings, rng)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng, facts={"amplitude": amplitude.tolist()})


def draw_signs(settings: SimulateSettings, *, marker: float) -> Biology:
    """Sign flips: half of the contexts answer every perturbation with the opposite sign.

    Effect of p on g in c: sign_c x effect_pg. Control cells tell the sign by sign_c x marker_g in their log basal levels, if
    `marker`, the standard deviation of marker_g, is not 0.
    """
    rng = generator(settings)
    sign = rng.permutation(np.where(np.arange(settings.contexts) % 2 == 0, 1.0, -1.0))
    markers = draw_markers(settings, rng, marker)
    basal = draw_basal(settings, rng) + sign[:, None] * markers
    effects = sign[:, None, None] * draw_effects(settings, rng)
    return fixed_effects(settings, effects, basal, rng, facts={"sign": sign.tolist()})


CLADES = 2


def draw_clades(settings: SimulateSettings, *, marker: float) -> Biology:
    """Clades: two kinds of contexts; a perturbation does one thing in one kind, and another in the other.

    Effect of p on g in c: effect_pg of the clade of c. Control cells tell the clade by marker_g of the clade in their log basal
    levels, if `marker`, the standard deviation of marker_g, is not 0.
    """
    rng = generator(settings)
    clade = rng.permutation(np.arange(settings.contexts) % CLADES)
    markers = draw_markers(settings, rng, marker, CLADES)
    basal = draw_basal(settings, rng) + markers[clade]
    effects = np.stack([draw_effects(settings, rng) for _ in range(CLADES)])[clade]
    return fixed_effects(settings, effects, basal, rng, facts={"clade": clade.astype(float).tolist()})


CONTINUUM_SPREAD = 0.2  # standard deviation of a context's log basal levels around the gradient
GRADIENT = 0.5  # standard deviation of what the gradient does to a log basal level from its middle to an end


def draw_continuum(settings: SimulateSettings) -> Biology:
    """A continuum: contexts along a gradient, as of differentiation, with neighbours alike and ends apart.

    With x_c evenly spaced from 0 to 1, effect of p on g in c: cos(x_c pi/2) one_pg + sin(x_c pi/2) other_pg.

    Control cells show where a context lies: GRADIENT (2 x_c - 1) slope_g is added to the log basal levels.
    """
    rng = generator(settings)
    place = rng.permutation(np.linspace(0.0, 1.0, settings.contexts))
    angle = place[:, None, None] * np.pi / 2
    effects = np.cos(angle) * draw_effects(settings, rng) + np.sin(angle) * draw_effects(settings, rng)
    basal = draw_basal(settings, rng, CONTINUUM_SPREAD)
    basal += GRADIENT * (2 * place - 1)[:, None] * rng.normal(0.0, 1.0, settings.genes)
    return fixed_effects(settings, effects, basal, rng, facts={"place": place.tolist()})


CAN_BE_SILENT, SILENT = 0.5, 0.4
"""Share of genes that are silent somewhere, and the probability that such a gene is silent in a context."""
SILENT_WORLD_SPREAD = 1.2
"""Levels of the other genes differ between contexts too, so that the same fold change is not the same difference."""


def draw_silent_genes(settings: SimulateSettings) -> Biology:
    """Silent genes: a gene that a context does not express cannot answer there; effects multiply what is there.

    Level of g in c under p: exp(basal_cg + effect_pg), or 0 where g is silent in c; no gene is silent everywhere.
    """
    rng = generator(settings)
    silent = rng.random((settings.contexts, settings.genes)) < SILENT
    silent &= rng.random(settings.genes) < CAN_BE_SILENT
    silent[rng.integers(settings.contexts, size=settings.genes), np.arange(settings.genes)] = False
    basal = np.where(silent, -np.inf, draw_basal(settings, rng, SILENT_WORLD_SPREAD))
    effects = np.repeat(draw_effects(settings, rng)[None], settings.contexts, axis=0)
    facts = {"silent_genes": silent.sum(axis=1).astype(float).tolist()}
    return fixed_effects(settings, effects, basal, rng, facts=facts)


RANK = 4
IN_A_PROGRAM = 0.3  # share of genes in a program
PROGRAM_RESPONSE = 0.35  # standard deviation of the log fold change of such a gene when a program is moved by one unit
GAIN_SPREAD = 0.5  # standard deviation of the log of a context's gain of a program


def draw_low_rank(settings: SimulateSettings) -> Biology:
    """Low rank: a few programs make all responses; contexts differ in how strongly each program answers.

    Effect of p on g in c: sum over four programs k of push_pk x gain_ck x weight_kg.
    """
    rng = generator(settings)
    push = rng.normal(0.0, 1.0, (settings.perturbations, RANK))
    gain = rng.lognormal(0.0, GAIN_SPREAD, (settings.contexts, RANK))
    in_program = rng.random((RANK, settings.genes)) < IN_A_PROGRAM
    weight = rng.normal(0.0, PROGRAM_RESPONSE, (RANK, settings.genes)) * in_program
    effects = np.einsum("pk,ck,kg->cpg", push, gain, weight, optimize=True)
    return fixed_effects(settings, effects, draw_basal(settings, rng), rng)
