"""What is simulated: sizes, biology and noise, and the worlds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from cycseq.errors import SettingsError, check_at_least, unknown_name

Counts = Literal["negative-binomial", "poisson-lognormal", "bursting"]
World = Literal[
    "easy", "context-specific", "long-tail", "unrelated",
    "programs", "signs-hidden", "signs-visible", "clades-hidden", "clades-visible", "amplitudes", "silent-genes",
    "heavy-tails", "systematic", "continuum", "low-rank", "buffering",
]  # fmt: skip
WORLDS: dict[World, dict[str, float | Counts]] = {
    "easy": {"shared": 0.95},
    "context-specific": {"shared": 0.5},
    "long-tail": {"shared": 0.75, "long_tail_contexts": 1},
    "unrelated": {"shared": 0.0},
    "programs": {"counts": "bursting"},
    "signs-hidden": {"counts": "poisson-lognormal"},
    "signs-visible": {"counts": "poisson-lognormal"},
    "clades-hidden": {"counts": "bursting"},
    "clades-visible": {"counts": "bursting"},
    "amplitudes": {"counts": "poisson-lognormal"},
    "silent-genes": {"counts": "bursting"},
    "heavy-tails": {"counts": "poisson-lognormal"},
    "systematic": {"counts": "poisson-lognormal"},
    "continuum": {"counts": "bursting"},
    "low-rank": {"counts": "negative-binomial"},
    "buffering": {"counts": "poisson-lognormal", "doubles": 12},
}
"""The settings that each world stands for. Those with `shared` follow our own law, a gene regulatory network; each of the
others is a law of its own (`worlds`)."""
USUAL: dict[str, float | Counts] = {"long_tail_contexts": 0, "doubles": 0, "counts": "negative-binomial"}
"""Settings where a world does not set them."""
OF_NETWORKS = ("shared", "interaction", "overexpression", "common")  # settings that make sense for our own law alone
CONTROLS_PER_CONDITION = 10  # a context has so many control cells for each cell of one of its perturbed conditions
MIN_CELLS = 2


@dataclass
class SimulateSettings:
    """Sizes, biology and noise of simulated data."""

    contexts: int = 6
    """Cell lines, named Line1, Line2, ..."""
    perturbations: int = 40
    """Single perturbations; each is a transcription factor of the network, and bears its gene's name."""
    cells: int = 12_000
    """Cells of all contexts together, controls among them."""
    genes: int = 2_000
    """Genes, named G0001, G0002, ..."""
    seed: int = 0
    """Fixes everything random. The network and the true responses do not depend on the number of cells."""
    world: World = "context-specific"
    """The law of the responses; sets `shared`, `long_tail_contexts`, `doubles` and `counts`, unless they are given."""
    shared: float | None = None
    """Share of the network's edges that any two contexts have in common: 1 the same, 0 unrelated lines."""
    doubles: int | None = None
    """Combinations of two of the perturbations; none, unless the world is about them."""
    interaction: float = 0.5
    """How far doubles are from additive beyond the network's saturation: standard deviation of a log fold change, on
    a fifth of the genes that either part regulates; 0 leaves saturation alone."""
    overexpression: float = 0.25
    """Share of the perturbations that are over-expression (8-fold); the others are knock-outs (a tenth is left)."""
    effect: float = 1.0
    """Strength of regulation: 0 is no response but the perturbed gene's own."""
    common: float = 0.25
    """Strength of the response that all perturbations of a context have in common."""
    batches: int = 2
    """Batches; every context has cells of every condition in each."""
    long_tail_contexts: int | None = None
    """How many of the contexts, the last ones, have few cells."""
    long_tail_cells: int = 20
    """Cells of each perturbed condition in a long-tail context."""
    library_size: float = 2_000.0
    """Median counts of a cell, before dropout."""
    library_spread: float = 0.4
    """Standard deviation of the log of the counts of a cell."""
    counts: Counts | None = None
    """Law of the counts: negative binomial, or another of the same mean and variance."""
    dispersion: float = 0.25
    """Variance of a count is mean + dispersion x mean^2."""
    dropout: float = 0.0
    """Share of counts that are lost, set to zero beyond the law of counts."""

    def resolved(self) -> SimulateSettings:
        """The settings with those of the world filled in; raises `SettingsError` if a value makes no sense, or cells are too few."""
        if self.world not in WORLDS:
            raise unknown_name(self.world, "world", WORLDS)
        settings = replace(self)
        for name, value in {**USUAL, **WORLDS[self.world]}.items():
            if getattr(self, name) is None:
                setattr(settings, name, value)
        if self.doubles is None:
            settings.doubles = min(int(settings.doubles or 0), settings.pairs)
        _check(settings)
        return settings

    @property
    def pairs(self) -> int:
        """How many pairs of single perturbations there are: the largest number of doubles."""
        return self.perturbations * (self.perturbations - 1) // 2

    @property
    def perturbed(self) -> int:
        """Perturbed conditions of a context, singles and doubles."""
        return self.perturbations + int(self.doubles or 0)

    def max_bytes(self) -> float:
        """What the counts and their pairs take in memory at most: a cell has no more genes above zero than counts."""
        return 2.0 * 8.0 * self.cells * min(self.genes, self.library_size)

    def cells_of(self) -> tuple[tuple[int, int], ...]:
        """For every context, its control cells and the cells of each of its perturbed conditions."""
        n_long = int(self.long_tail_contexts or 0)
        n_full, n_conditions = self.contexts - n_long, self.perturbed
        few = (CONTROLS_PER_CONDITION * self.long_tail_cells, self.long_tail_cells)
        remaining = self.cells - n_long * (few[0] + n_conditions * few[1])
        if n_full == 0:
            return (few,) * n_long
        share, extra = divmod(max(remaining, 0), n_full)
        each = share // (n_conditions + CONTROLS_PER_CONDITION)
        full = [(share - n_conditions * each + (i < extra), each) for i in range(n_full)]
        return (*full, *[few] * n_long)


def _check(s: SimulateSettings) -> None:
    """Raise `SettingsError` for a value that makes no sense, alone or beside the others."""
    given = [f.name for f in fields(s) if f.name in OF_NETWORKS and getattr(s, f.name) != f.default]
    if given and "shared" not in WORLDS[s.world]:
        needless = [f"--{name.replace('_', '-')}" for name in given]
        network_worlds = ", ".join(name for name, of_world in WORLDS.items() if "shared" in of_world)
        msg = f"World {s.world} has no gene regulatory network, as {network_worlds} have: leave out {', '.join(needless)}."
        raise SettingsError(msg)
    check_at_least(1, contexts=s.contexts, perturbations=s.perturbations, cells=s.cells, batches=s.batches)
    check_at_least(10, genes=s.genes)
    check_at_least(0, seed=s.seed, doubles=s.doubles, long_tail_contexts=s.long_tail_contexts)
    check_at_least(0, interaction=s.interaction, common=s.common)
    check_at_least(MIN_CELLS, long_tail_cells=s.long_tail_cells)
    check_at_least(100, library_size=s.library_size)
    check_at_least(0, most=1, shared=s.shared, overexpression=s.overexpression)
    check_at_least(0, most=0.9, dropout=s.dropout)
    check_at_least(0, most=2, library_spread=s.library_spread)
    check_at_least(0, most=10, dispersion=s.dispersion, effect=s.effect)
    if 2 * s.perturbations > s.genes:
        raise SettingsError(
            f"{s.perturbations} perturbations of {s.genes} genes: at most half of the genes can be perturbed. "
            f"Use --perturbations {s.genes // 2} or less, or more --genes."
        )
    if int(s.doubles or 0) > s.pairs:
        msg = f"{s.perturbations} perturbations make {s.pairs} pairs, fewer than {s.doubles}: use fewer --doubles."
        raise SettingsError(msg)
    if int(s.long_tail_contexts or 0) > s.contexts:
        msg = f"{s.long_tail_contexts} of {s.contexts} contexts cannot be long tails: use fewer --long-tail-contexts."
        raise SettingsError(msg)
    if min(n for _, n in s.cells_of()) < MIN_CELLS:
        units = s.perturbed + CONTROLS_PER_CONDITION
        n_long = int(s.long_tail_contexts or 0)
        needed = units * ((s.contexts - n_long) * MIN_CELLS + n_long * s.long_tail_cells)
        msg = (
            f"{s.cells:,} cells are too few for {s.contexts} contexts x {s.perturbed} conditions and "
            f"their controls: use --cells {needed:,} or more (at least {MIN_CELLS} a condition), or fewer conditions."
        ).replace(f"{needed:,}", str(needed))
        raise SettingsError(msg)
