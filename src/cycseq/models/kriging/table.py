"""What a kernel sees: all conditions, measured and asked for, with the responses that were measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from cycseq.data.condition import Condition
from cycseq.data.effect_means import mean_of_measured
from cycseq.knowledge.source import Source
from cycseq.matrix.arrays import Profile

Axis = Literal["context", "dose", "time"]
"""Along which a condition is predicted from others: what was measured in other contexts, at other doses, or at other times."""
FEWEST = 3  # conditions of a setting from which on they have a mean of their own

Values = Float[np.ndarray, "conditions genes"]
Square = Float[np.ndarray, "conditions conditions"]
Setting = tuple[str, str | None, float | None]  # context, dose and time


@dataclass(frozen=True)
class Table:
    """Conditions with what was measured of them.

    Parameters
    ----------
    conditions
    effect
        Conditions x genes; 0 where `seen` is false.
    seen
        Whether a condition was measured. The others are those that are predicted.
    axis
        What a condition is told from: measurements that share its place on this axis say nothing of its perturbation's
        likeness to others, so that a prediction never rests on what it predicts.
    profiles
        Mean control profile (log1p) of every context of which it is known.
    sources
        Knowledge of perturbations.
    falls
        By context, what a rise of all counts by one unit of log fold change does to each gene (`ResponseScale.falls`).
    """

    conditions: tuple[Condition, ...]
    effect: Values
    seen: Bool[np.ndarray, "conditions"]
    axis: Axis = "context"
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    falls: Mapping[str, Profile] = field(default_factory=dict)

    @cached_property
    def contexts(self) -> Int[np.ndarray, "conditions"]:
        """The context of every condition, as a code."""
        return codes([c.context for c in self.conditions])

    @cached_property
    def agents(self) -> Int[np.ndarray, "conditions"]:
        """The perturbation of every condition without dose and time, as a code."""
        return codes([c.agent for c in self.conditions])

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """The distinct contexts with dose and time, in order of appearance."""
        return tuple(dict.fromkeys(setting_of(c) for c in self.conditions))

    @cached_property
    def setting(self) -> Int[np.ndarray, "conditions"]:
        """The place of every condition's setting in `settings`."""
        place = {setting: i for i, setting in enumerate(self.settings)}
        return np.array([place[setting_of(c)] for c in self.conditions], dtype=np.int64)

    @cached_property
    def place(self) -> Int[np.ndarray, "settings"]:
        """Where every setting stands on the axis, as a code: its context, dose or time."""
        at = {"context": 0, "dose": 1, "time": 2}[self.axis]
        return codes([str(setting[at]) for setting in self.settings])

    @cached_property
    def common(self) -> Float[np.ndarray, "settings genes"]:
        """The mean response in every setting; of its context, or of all, where fewer than three were measured."""
        overall = mean_of_measured(self.effect[self.seen]) if self.seen.any() else np.zeros(self.effect.shape[1])
        means = np.empty((len(self.settings), self.effect.shape[1]))
        for i in range(len(self.settings)):
            inside = self.setting == i
            context = self.contexts == self.contexts[np.argmax(inside)]
            enough = [rows for rows in (inside & self.seen, context & self.seen) if rows.sum() >= FEWEST]
            means[i] = self.effect[enough[0]].mean(axis=0) if enough else overall
        return means

    @cached_property
    def specific(self) -> Values:
        """Measured responses less the mean response of their setting; 0 where nothing was measured."""
        residual = self.effect - self.common[self.setting].astype(self.effect.dtype)
        residual[~self.seen] = 0.0
        return np.asarray(residual)

    @cached_property
    def products(self) -> Square:
        """Mean products of specific responses over genes; 0 where nothing was measured."""
        products, rows = np.zeros((len(self.seen), len(self.seen))), np.flatnonzero(self.seen)
        specific = self.specific[rows]
        products[np.ix_(rows, rows)] = (specific @ specific.T).astype(np.float64) / self.effect.shape[1]
        return products

    def like(self, first: Sequence[object] | np.ndarray) -> Square:
        """1 where two conditions have the same value, else 0."""
        values = np.asarray(first)
        return np.asarray(values[:, None] == values[None], dtype=np.float64)

    def falls_of(self, rows: Int[np.ndarray, "rows"]) -> Values:
        """Those of some conditions: genes answer to a fall in share by how much they are expressed; all alike where that is unknown."""
        contexts = [self.conditions[row].context for row in rows]
        if not set(contexts) <= set(self.falls):
            return np.ones((len(rows), self.effect.shape[1]), dtype=np.float32)
        return np.stack([self.falls[context] for context in contexts]).astype(np.float32)

    def with_targets(self, conditions: Sequence[Condition]) -> Self:
        """The same measurements, and conditions to predict below them; one that was measured occurs twice."""
        effect = np.concatenate([self.effect, np.zeros((len(conditions), self.effect.shape[1]), self.effect.dtype)])
        seen = np.concatenate([self.seen, np.zeros(len(conditions), dtype=bool)])
        return replace(self, conditions=(*self.conditions, *conditions), effect=effect, seen=seen)

    def hide(self, rows: Int[np.ndarray, "hidden"]) -> Self:
        """The same conditions, as if these had not been measured."""
        seen, effect = self.seen.copy(), self.effect.copy()
        seen[rows], effect[rows] = False, 0.0
        return replace(self, effect=effect, seen=seen)

    def take(self, rows: Int[np.ndarray, "taken"]) -> Self:
        """Some of the conditions."""
        conditions = tuple(self.conditions[i] for i in rows)
        return replace(self, conditions=conditions, effect=self.effect[rows], seen=self.seen[rows])


def setting_of(condition: Condition) -> Setting:
    """Context, dose and time of a condition."""
    return condition.context, condition.dose, condition.time


def codes(names: Sequence[str]) -> Int[np.ndarray, "names"]:
    """Numbers for names, in order of appearance."""
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([place[name] for name in names], dtype=np.int64)
