"""The gene regulatory network of every context, and its steady state under perturbation."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from cycseq.simulation.biology import STATES, Biology, Levels, States
from cycseq.simulation.settings import SimulateSettings

BASAL_SPREAD, OWN_SPREAD = 2.1, 0.5  # standard deviations of log basal levels: over genes, and of a context around them
STATE_SPREAD = 0.3
REGULATORS = 5.0  # regulators of a gene, on average
REGULATION = 3.0  # standard deviation of an edge's weight
STEEPEST = 0.6
"""How far the network passes on a change of a regulator at most; below 1, so that the steady state exists."""
ITERATIONS = 12
LEFT_OF_KNOCK_OUT, FOLD_OF_OVEREXPRESSION = 0.1, 8.0
COMMON_GENES = 0.05
INTERACTING = 0.2


@dataclass(frozen=True)
class Network:
    """One context's network. Regulators are the first genes in `regulators`; levels are logs."""

    basal: Float[np.ndarray, "genes"]  # log level of every gene in an average control cell
    regulators: Int[np.ndarray, "regulators"]  # which genes are transcription factors
    half: Float[np.ndarray, "regulators"]  # log level at which a regulator has half of its effect
    weights: sp.csr_array
    """genes x regulators: change of a gene's log level when a regulator goes from none to full effect."""
    loadings: Float[np.ndarray, "states genes"]  # what a cell's state does to its log levels
    common: Float[np.ndarray, "genes"]  # log fold change that every perturbation causes, before its own amplitude
    interactions: Float[np.ndarray, "doubles genes"]  # log fold change of every double beyond its parts
    own: Float[np.ndarray, "perturbations regulators"]
    """What every perturbation, singles then doubles, does to the log levels of regulators."""
    amplitude: Float[np.ndarray, "perturbations"]  # how strongly each perturbation causes the common response

    def log_levels(self, states: States, perturbation: Int[np.ndarray, "cells"], offset: Levels) -> Levels:
        """Log levels of every gene in the steady state of every cell.

        With x the level of a regulator and h(x) = x / (x + half) its saturating effect,
        log x_g = basal_g + state_g + offset_g + own_g + sum_t w_gt (h(x_t) - h(basal_t)) + common_g + interaction_g,
        solved by repeated substitution, a contraction as h'(log x) <= 1/4 and the weights are bounded. Arguments as of `ContextLaw`.
        """
        fixed = (self.basal + states @ self.loadings).astype(np.float32)
        fixed += offset
        is_perturbed = perturbation >= 0
        which = perturbation[is_perturbed]
        fixed[is_perturbed] += self.amplitude[which, None] * self.common
        n_singles = len(self.own) - len(self.interactions)
        is_double = np.flatnonzero(perturbation >= n_singles)
        fixed[is_double] += self.interactions[perturbation[is_double] - n_singles]
        fixed[np.ix_(is_perturbed, self.regulators)] += self.own[which]
        among = self.weights[self.regulators]
        at_rest = _effect(self.basal[self.regulators], self.half)
        start = fixed[:, self.regulators]
        level = start
        for _ in range(ITERATIONS):
            level = start + _driven(among, _effect(level, self.half) - at_rest)
        fixed += _driven(self.weights, _effect(level, self.half) - at_rest)
        return np.asarray(fixed)


def draw(settings: SimulateSettings) -> Biology:
    """A world of networks, and what its perturbations do to transcription factors."""
    networks = draw_networks(settings)
    effects, regulators = networks[0].own, networks[0].regulators
    perturbed_as = np.full(settings.genes, "", dtype=object)
    singles = effects[: settings.perturbations].sum(axis=0)
    perturbed_as[regulators[singles > 0]] = "over-expression"
    perturbed_as[regulators[singles < 0]] = "knock-out"
    return Biology(
        contexts=networks,
        targets=[tuple(regulators[np.flatnonzero(row)].tolist()) for row in effects],
        var={"regulator": np.isin(np.arange(settings.genes), regulators), "perturbed_as": perturbed_as},
    )


def draw_networks(settings: SimulateSettings) -> tuple[Network, ...]:
    """A network for every context; any two of them have the share `shared` of their edges in common.

    A context takes each edge from the common network with the probability sqrt(shared), and draws it anew otherwise.
    """
    rng = np.random.default_rng([settings.seed, 1])
    n_regulators = max(settings.genes // 10, settings.perturbations)
    regulators = np.sort(rng.choice(settings.genes, n_regulators, replace=False))
    perturbed = np.sort(rng.choice(n_regulators, settings.perturbations, replace=False))
    effects = _own_effects(settings, perturbed, n_regulators, rng)
    basal = BASAL_SPREAD * np.minimum(rng.normal(0.0, 1.0, settings.genes), 2.8)
    basal[regulators] = np.abs(rng.normal(0.5, 1.0, n_regulators))
    popularity = rng.lognormal(0.0, 1.0, n_regulators)
    popularity[perturbed] *= 8.0
    amplitude = rng.lognormal(0.0, 0.4, len(effects))
    shared_parts = _draw_parts(settings, popularity, np.random.default_rng([settings.seed, 2]))
    in_doubles = (effects[settings.perturbations :] != 0).astype(np.float32)
    networks = []
    for context in range(settings.contexts):
        rng = np.random.default_rng([settings.seed, 3, context])
        parts = _mixed(shared_parts, _draw_parts(settings, popularity, rng), float(settings.shared or 0.0) ** 0.5, rng)
        weights = _bounded(parts, settings.effect, regulators, n_regulators)
        regulated = np.asarray((abs(weights) @ in_doubles.T).T) > 0  # the genes that either part of a double regulates
        networks.append(
            Network(
                basal=basal + rng.normal(0.0, OWN_SPREAD, settings.genes),
                regulators=regulators,
                half=basal[regulators],
                weights=weights,
                loadings=(parts.loadings * STATE_SPREAD).astype(np.float32),
                common=(settings.common * parts.common).astype(np.float32),
                interactions=(settings.interaction * parts.interactions * regulated).astype(np.float32),
                own=effects,
                amplitude=amplitude.astype(np.float32),
            )
        )
    return tuple(networks)


@dataclass(frozen=True)
class _Parts:
    """What a context can share: edges (gene, slot -> regulator and weight) and programmes."""

    regulator: Int[np.ndarray, "genes slots"]
    weight: Float[np.ndarray, "genes slots"]
    loadings: Float[np.ndarray, "states genes"]
    common: Float[np.ndarray, "genes"]
    interactions: Float[np.ndarray, "doubles genes"]


def _draw_parts(settings: SimulateSettings, popularity: np.ndarray, rng: np.random.Generator) -> _Parts:
    genes, slots, doubles = settings.genes, 12, (int(settings.doubles or 0), settings.genes)
    regulator = rng.choice(len(popularity), (genes, slots), p=popularity / popularity.sum())
    has_edge = np.arange(slots) < rng.poisson(REGULATORS, genes)[:, None]
    return _Parts(
        regulator=regulator,
        weight=rng.normal(0.0, REGULATION, (genes, slots)) * has_edge,
        loadings=rng.normal(0.0, 1.0, (STATES, genes)) * (rng.random((STATES, genes)) < 0.3),
        common=rng.normal(0.0, 1.0, genes) * (rng.random(genes) < COMMON_GENES),
        interactions=rng.normal(0.0, 1.0, doubles) * (rng.random(doubles) < INTERACTING),
    )


def _mixed(one: _Parts, other: _Parts, probability: float, rng: np.random.Generator) -> _Parts:
    """Every edge, and every gene's part in the programmes, from the first with this probability."""
    edge = rng.random(one.weight.shape) < probability
    gene = rng.random(one.common.shape) < probability
    mask = {"regulator": edge, "weight": edge}
    both = ((part.name, getattr(one, part.name), getattr(other, part.name)) for part in fields(_Parts))
    return _Parts(**{name: np.where(mask.get(name, gene), first, second) for name, first, second in both})


def _bounded(parts: _Parts, effect: float, regulators: np.ndarray, n_regulators: int) -> sp.csr_array:
    """The weights; those of edges among regulators are made small enough for a steady state."""
    genes, slots = parts.weight.shape
    rows = np.repeat(np.arange(genes), slots)
    weight = parts.weight * effect
    total = np.abs(weight[regulators]).sum(axis=1, keepdims=True)
    weight[regulators] *= np.minimum(1.0, STEEPEST * 4 / np.maximum(total, 1e-9))
    places = (rows, parts.regulator.ravel())
    weights = sp.csr_array((weight.ravel().astype(np.float32), places), shape=(genes, n_regulators))
    weights.sum_duplicates()
    weights.eliminate_zeros()
    return weights


def _own_effects(
    settings: SimulateSettings, perturbed: np.ndarray, n_regulators: int, rng: np.random.Generator
) -> Float[np.ndarray, "perturbations regulators"]:
    """Knock-outs and over-expressions, then the sums of both parts of the doubles."""
    n = settings.perturbations
    over = rng.permutation(n) < round(settings.overexpression * n)
    singles = np.zeros((n, n_regulators), dtype=np.float32)
    singles[np.arange(n), perturbed] = np.where(over, np.log(FOLD_OF_OVEREXPRESSION), np.log(LEFT_OF_KNOCK_OUT))
    first, second = np.triu_indices(n, 1)
    doubles = np.sort(rng.choice(len(first), int(settings.doubles or 0), replace=False))
    return np.concatenate([singles, singles[first[doubles]] + singles[second[doubles]]])


def _effect(log_level: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(half - log_level)), dtype=np.float32)


def _driven(weights: sp.csr_array, change: np.ndarray) -> np.ndarray:
    return np.asarray((weights @ np.ascontiguousarray(change.T)).T)
