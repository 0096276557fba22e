"""The law of every world; our own is `network`."""

from __future__ import annotations

from collections.abc import Callable

from cycseq.simulation import network
from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings, World
from cycseq.simulation.worlds import contexts, perturbations, programs

LAWS: dict[World, Callable[[SimulateSettings], Biology]] = {
    "easy": network.draw,
    "context-specific": network.draw,
    "long-tail": network.draw,
    "unrelated": network.draw,
    "programs": programs.draw,
    "signs-hidden": contexts.draw_hidden_signs,
    "signs-visible": contexts.draw_visible_signs,
    "clades-hidden": contexts.draw_hidden_clades,
    "clades-visible": contexts.draw_visible_clades,
    "amplitudes": contexts.draw_amplitudes,
    "silent-genes": contexts.draw_silent_genes,
    "heavy-tails": perturbations.draw_heavy_tails,
    "systematic": perturbations.draw_systematic,
    "continuum": contexts.draw_continuum,
    "low-rank": contexts.draw_low_rank,
    "buffering": perturbations.draw_buffering,
}
"""How the contexts and effects of each world are drawn."""
