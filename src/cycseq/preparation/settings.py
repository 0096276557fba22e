"""How counts become data to learn from: the options of `cycseq prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cycseq.errors import SettingsError, check_at_least

Response = Literal["log1p", "log_pseudobulk"]
"""What cells are summarized as: differences of means of log1p values, or of log pseudobulk profiles."""


@dataclass(frozen=True)
class PrepareSettings:
    """How counts become data to learn from."""

    genes: int | Literal["all"] = 2000
    """How many highly variable genes to keep, or `all`; perturbed genes are kept besides."""
    min_counts: int | None = None
    """Drop cells with fewer counts."""
    max_counts: int | None = None
    """Drop cells with more counts (two cells in one droplet)."""
    min_genes: int | None = None
    """Drop cells with fewer genes above zero."""
    max_mito: float | None = None
    """Drop cells whose share of mitochondrial counts (genes MT-...) is above this; 0.2 is 20 per cent."""
    min_cells: int | None = None
    """Drop genes that are above zero in fewer cells; perturbed genes stay."""
    min_cells_per_condition: int = 1
    """Drop perturbed conditions with fewer cells."""
    singles_only: bool = False
    """Drop combinations (A+B)."""
    leave_out: tuple[str, ...] = ()
    """Contexts (NK) or conditions (NK:stim) to leave out altogether."""
    hold_out: tuple[str, ...] = ()
    """Contexts or conditions whose perturbed cells take no part in the choice of genes, to be tested on later."""
    combat: bool = False
    """Shift batches onto each other with ComBat, fitted on control cells."""
    combat_spread: bool = False
    """With --combat, equalise the spread of the batches as well; this stretches responses."""
    metacells: bool = False
    """Average cells of a condition to metacells, as CycSeq does."""
    metacell_cells: int = 50
    """Cells in a metacell."""
    metacell_draws: int = 50
    """Metacells of each condition."""
    seed: int = 0
    """Fixes the draws of metacells."""


def check_settings(s: PrepareSettings) -> None:
    """Raise `SettingsError` if a number makes no sense or settings contradict each other."""
    check_at_least(0, min_counts=s.min_counts, min_genes=s.min_genes, min_cells=s.min_cells, seed=s.seed)
    check_at_least(1, genes=None if s.genes == "all" else s.genes, max_counts=s.max_counts)
    check_at_least(1, min_cells_per_condition=s.min_cells_per_condition)
    check_at_least(1, metacell_cells=s.metacell_cells, metacell_draws=s.metacell_draws)
    if s.max_mito is not None and not 0 <= s.max_mito <= 1:
        msg = f"--max-mito is a share from 0 to 1, but got {s.max_mito:g}: for 20 per cent use --max-mito 0.2."
        raise SettingsError(msg)
    if s.combat_spread and not s.combat:
        raise SettingsError("--combat-spread does nothing without --combat: use both, or neither.")
