"""Programs with saturation: what a perturbation can still do depends on how active its programs are already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cycseq.simulation.biology import STATES, Biology, Levels, States
from cycseq.simulation.settings import SimulateSettings
from cycseq.simulation.worlds.base import LEFT_OF_TARGET, draw_basal, draw_targets, generator

PROGRAMS = 8
PUSHED = 2  # programs that a perturbation pushes
PUSH = 1.5  # standard deviation of a push, in units in which the activity of a program saturates between -1 and 1
ACTIVITY = 1.0  # standard deviation over contexts of a program's activity in control cells, before saturation
STATE = 0.3  # what a dimension of the cell state adds to activities
IN_A_PROGRAM, WEIGHT = 0.15, 1.0  # share of genes in a program, and the standard deviation of their weights in it
OWN_SPREAD = 0.2  # standard deviation of a context's log basal levels beyond its programs


@dataclass(frozen=True)
class SaturatingPrograms:
    """A context with programs of its own activity."""

    basal: Float[np.ndarray, "genes"]
    activity: Float[np.ndarray, "programs"]
    state: Float[np.ndarray, "states programs"]
    weights: Float[np.ndarray, "programs genes"]
    push: Float[np.ndarray, "perturbations programs"]
    own: Float[np.ndarray, "perturbations genes"]  # what a perturbation does to the perturbed genes themselves

    def log_levels(self, states: States, perturbation: Int[np.ndarray, "cells"], offset: Levels) -> Levels:
        """The sum of basal level, offset, own effect and tanh(activity + state + push) x weights."""
        is_perturbed = perturbation >= 0
        activity = (self.activity + states @ self.state).astype(np.float32)
        activity[is_perturbed] += self.push[perturbation[is_perturbed]]
        levels = np.asarray(np.tanh(activity) @ self.weights)
        levels += self.basal
        levels += offset
        levels[is_perturbed] += self.own[perturbation[is_perturbed]]
        return levels


def draw(settings: SimulateSettings) -> Biology:
    """Log level of g: basal_cg + sum over programs k of weight_kg tanh(activity_ck + state_k + push_pk)."""
    rng = generator(settings)
    basal = draw_basal(settings, rng, OWN_SPREAD)
    targets, doubles = draw_targets(settings, basal, rng)
    n = settings.perturbations
    pushed = rng.random((n, PROGRAMS)).argsort(axis=1) < PUSHED
    push = rng.normal(0.0, PUSH, (n, PROGRAMS)) * pushed
    own = np.zeros((n, settings.genes))
    own[np.arange(n), targets] = np.log(LEFT_OF_TARGET)
    pairs = np.array(doubles, dtype=int).reshape(-1, 2)
    push_all, own_all = (np.concatenate([each, each[pairs].sum(axis=1)]).astype(np.float32) for each in (push, own))
    in_program = rng.random((PROGRAMS, settings.genes)) < IN_A_PROGRAM
    weights = settings.effect * rng.normal(0.0, WEIGHT, (PROGRAMS, settings.genes)) * in_program
    activity = rng.normal(0.0, ACTIVITY, (settings.contexts, PROGRAMS))
    state = rng.normal(0.0, STATE, (STATES, PROGRAMS)).astype(np.float32)
    return Biology(
        contexts=[
            SaturatingPrograms(level.astype(np.float32), active, state, weights.astype(np.float32), push_all, own_all)
            for level, active in zip(basal, activity.astype(np.float32), strict=True)
        ],
        targets=[(int(t),) for t in targets] + [(int(targets[i]), int(targets[j])) for i, j in doubles],
    )
