"""The law of every world; our own is `network`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cycseq.simulation import network
from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import WORLDS, SimulateSettings, World
from cycseq.simulation.worlds import contexts, perturbations, programs
from cycseq.simulation.worlds.base import MARKER

LAWS: dict[World, Callable[[SimulateSettings], Biology]] = {
    **{name: network.draw for name, settings in WORLDS.items() if "shared" in settings},
    "programs": programs.draw,
    "signs-hidden": partial(contexts.draw_signs, marker=0.0),
    "signs-visible": partial(contexts.draw_signs, marker=MARKER),
    "clades-hidden": partial(contexts.draw_clades, marker=0.0),
    "clades-visible": partial(contexts.draw_clades, marker=MARKER),
    "amplitudes": contexts.draw_amplitudes,
    "silent-genes": contexts.draw_silent_genes,
    "heavy-tails": perturbations.draw_heavy_tails,
    "systematic": perturbations.draw_systematic,
    "continuum": contexts.draw_continuum,
    "low-rank": contexts.draw_low_rank,
    "buffering": perturbations.draw_buffering,
}
"""How the contexts and effects of each world are drawn."""
