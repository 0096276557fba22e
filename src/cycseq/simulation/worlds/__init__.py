"""The law of every world, one file each; our own is `network`."""

from __future__ import annotations

from collections.abc import Callable

from cycseq.simulation import network
from cycseq.simulation.biology import Biology
from cycseq.simulation.settings import SimulateSettings, World
from cycseq.simulation.worlds import (
    amplitudes,
    buffering,
    clades,
    continuum,
    heavy_tails,
    low_rank,
    programs,
    signs,
    silent_genes,
    systematic,
)

LAWS: dict[World, Callable[[SimulateSettings], Biology]] = {
    "easy": network.draw,
    "context-specific": network.draw,
    "long-tail": network.draw,
    "unrelated": network.draw,
    "programs": programs.draw,
    "signs-hidden": signs.draw_hidden,
    "signs-visible": signs.draw_visible,
    "clades-hidden": clades.draw_hidden,
    "clades-visible": clades.draw_visible,
    "amplitudes": amplitudes.draw,
    "silent-genes": silent_genes.draw,
    "heavy-tails": heavy_tails.draw,
    "systematic": systematic.draw,
    "continuum": continuum.draw,
    "low-rank": low_rank.draw,
    "buffering": buffering.draw,
}
"""How the contexts and effects of each world are drawn."""
