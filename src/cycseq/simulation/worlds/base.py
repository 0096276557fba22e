"""What foreign worlds have in common: basal levels, perturbed genes, and contexts with fixed effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from jaxtyping import Float, Int

from cycseq.simulation.biology import STATES, Biology, Levels, States
from cycseq.simulation.settings import SimulateSettings

BASAL_SPREAD, OWN_SPREAD = 2.1, 0.5  # standard deviations of log basal levels: over genes, and of a context around them
STATE_SPREAD, IN_A_STATE = 0.3, 0.3
"""What a dimension of the cell state does to a gene's log level, and the share of genes that follow it."""
RESPONDING = 0.2  # share of genes that respond to a perturbation, where a world does not say otherwise
RESPONSE = 1.0  # standard deviation of their log fold changes
MARKERS, MARKER = 0.1, 1.5
"""Share of genes whose basal level tells kinds of contexts apart where these are visible, and by how much (standard deviation)."""
LEFT_OF_TARGET = 0.3  # a perturbed gene's own level, as a share of what it was

Effects = Float[np.ndarray, "contexts perturbations genes"]
Basal = Float[np.ndarray, "contexts genes"]
Combine = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class FixedEffects:
    """A context in which a perturbation multiplies the level of each gene by a factor of its own."""

    basal: Float[np.ndarray, "genes"]
    loadings: Float[np.ndarray, "states genes"]
    effects: Float[np.ndarray, "perturbations genes"]  # log fold changes

    def log_levels(self, states: States, perturbation: Int[np.ndarray, "cells"], offset: Levels) -> Levels:
        """The sum of basal level, state, offset and effect."""
        levels: Levels = (states @ self.loadings).astype(np.float32)
        levels += self.basal
        levels += offset
        is_perturbed = perturbation >= 0
        levels[is_perturbed] += self.effects[perturbation[is_perturbed]]
        return levels


def generator(settings: SimulateSettings) -> np.random.Generator:
    """Random numbers of a world; another world draws others from the same seed."""
    return np.random.default_rng([settings.seed, crc32(settings.world.encode())])


def draw_basal(settings: SimulateSettings, rng: np.random.Generator, own_spread: float = OWN_SPREAD) -> Basal:
    """Log levels of control cells: shared by all contexts, and each context's own part."""
    common = BASAL_SPREAD * np.minimum(rng.normal(0.0, 1.0, settings.genes), 2.8)
    return np.asarray(common + rng.normal(0.0, own_spread, (settings.contexts, settings.genes)))


def draw_effects(
    settings: SimulateSettings, rng: np.random.Generator, responding: float = RESPONDING, spread: float = RESPONSE
) -> Float[np.ndarray, "perturbations genes"]:
    """Log fold changes of single perturbations: normal on a share of the genes, nothing on the others."""
    shape = (settings.perturbations, settings.genes)
    return np.asarray(rng.normal(0.0, spread, shape) * (rng.random(shape) < responding))


def draw_markers(
    settings: SimulateSettings, rng: np.random.Generator, spread: float, kinds: int = 1
) -> Float[np.ndarray, "kinds genes"]:
    """What tells kinds of contexts by their log basal levels: the same genes for every kind."""
    return np.asarray(rng.normal(0.0, spread, (kinds, settings.genes)) * (rng.random(settings.genes) < MARKERS))


def draw_loadings(settings: SimulateSettings, rng: np.random.Generator) -> Float[np.ndarray, "states genes"]:
    """What the cell state does to log levels, in all contexts."""
    shape = (STATES, settings.genes)
    return np.asarray(rng.normal(0.0, STATE_SPREAD, shape) * (rng.random(shape) < IN_A_STATE), dtype=np.float32)


def draw_targets(
    settings: SimulateSettings, basal: Basal, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Perturbed genes, from the half with the higher levels, and which two of them make each double."""
    expressed = np.argsort(-basal.min(axis=0), kind="stable")[: max(settings.genes // 2, settings.perturbations)]
    targets = np.sort(rng.choice(expressed, settings.perturbations, replace=False))
    first, second = np.triu_indices(settings.perturbations, 1)
    doubles = np.sort(rng.choice(len(first), int(settings.doubles or 0), replace=False))
    return targets, [(int(first[i]), int(second[i])) for i in doubles]


def add(one: np.ndarray, other: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Log fold changes of a double: the sum of its parts'."""
    return np.asarray(one + other)


def fixed_effects(
    settings: SimulateSettings,
    effects: Effects,
    basal: Basal,
    rng: np.random.Generator,
    *,
    combine: Combine = add,
    facts: dict[str, list[float]] | None = None,
) -> Biology:
    """A world of contexts with fixed effects.

    Effects are log fold changes of the single perturbations, all scaled by the setting `effect`; that of the perturbed gene itself
    is replaced, as it is knocked down. `basal` holds log levels of control cells, and `rng` draws targets, doubles and loadings;
    `combine` makes the log fold changes of doubles from those of their two parts (contexts x genes).
    """
    targets, doubles = draw_targets(settings, basal, rng)
    singles = settings.effect * effects
    singles[:, np.arange(len(targets)), targets] = np.log(LEFT_OF_TARGET)
    combined = [combine(singles[:, i], singles[:, j], rng) for i, j in doubles]
    for double, (i, j) in zip(combined, doubles, strict=True):
        double[:, targets[[i, j]]] = np.log(LEFT_OF_TARGET)
    all_effects = np.concatenate([singles, *[double[:, None] for double in combined]], axis=1)
    loadings = draw_loadings(settings, rng)
    return Biology(
        contexts=[
            FixedEffects(level.astype(np.float32), loadings, effect.astype(np.float32))
            for level, effect in zip(basal, all_effects, strict=True)
        ],
        targets=[(int(t),) for t in targets] + [(int(targets[i]), int(targets[j])) for i, j in doubles],
        facts=facts or {},
    )
