"""What is left out to choose weights: the same as what will be asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from cycseq.data.condition import Condition
from cycseq.data.usual_names import parts_of
from cycseq.models.kriging.elsewhere import fill
from cycseq.models.kriging.kernels import kernels_of
from cycseq.models.kriging.kernels.base import Kernel
from cycseq.models.kriging.leave_out import Blocks, Fold, find_scale, learn_weights
from cycseq.models.kriging.noise import Sampling
from cycseq.models.kriging.table import Axis, Square, Table
from cycseq.split.settings import Kind

Task = Literal["pair", "context", "perturbation", "combination", "dose", "time"]
TASKS: tuple[Task, ...] = get_args(Task)
TASK_OF_SPLIT: Mapping[Kind, Task] = {
    "unseen-pair": "pair",
    "few-shot": "pair",
    "random-cells": "pair",
    "unseen-context": "context",
    "unseen-perturbation": "perturbation",
    "unseen-combination": "combination",
    "unseen-dose": "dose",
    "unseen-time": "time",
}
AXIS: Mapping[Task, Axis] = {"dose": "dose", "time": "time"}
"""What a task's conditions are told from, where that is not other contexts."""
BLIND: tuple[Task, ...] = ("perturbation", "combination")
"""Tasks whose perturbations were measured nowhere: no likeness is told by their responses."""
MAX_CONDITIONS = 400  # conditions from which weights are learned; of more, whole contexts and perturbations are drawn
MAX_CONTEXTS, MAX_FOLDS = 10, 6  # contexts among them, and contexts that are left out
MAX_OWN = 8  # settings up to which each has weights of its own
NOISE = "noise"
ANY = ""  # of a kernel's weights: that of settings without one of their own

Weights = dict[str, dict[str, float]]  # kernel -> setting (or `ANY`) -> weight, in units of the squared effect


def table_for(table: Table, task: Task) -> Table:
    """The table with the axis of a task."""
    return replace(table, axis=AXIS.get(task, "context"))


def kernels_for(table: Table, task: Task) -> list[Kernel]:
    """All kernels that may serve a task, and the noise of single conditions."""
    serving = [k for k in kernels_of(table) if not (k.told_by_responses and task in BLIND)]
    return [*serving, Kernel(NOISE, np.eye(len(table.conditions)), own=True)]


def learn_weights_for(table: Table, task: Task, sampling: Sampling | None) -> Weights | None:
    """The weights that best predict what a task leaves out; None where that cannot be left out.

    Parameters
    ----------
    table
        Measured conditions alone, with the axis of the task (`table_for`).
    task
        What is asked for.
    sampling
        Sampling variances; None where they are unknown.
    """
    blocks = blocks_of(table, task)
    if len(blocks) < 2:
        return None
    n = len(table.conditions)
    fixed = np.zeros((n, n)) if sampling is None else sampling.covariance(table.contexts)
    gram = (table.effect @ table.effect.T).astype(np.float64) / table.effect.shape[1]
    if task == "context":  # likeness is told anew without each context
        expanded = [_expanded(table, kernels_for(table.hide(block), task), own=False) for block in blocks]
        folds = [Fold(kernels, gram, fixed, [block]) for (_, kernels), block in zip(expanded, blocks, strict=True)]
        keys = expanded[0][0]
    else:
        keys, kernels = _expanded(table, kernels_for(table, task), own=len(table.settings) <= MAX_OWN)
        folds = [Fold(kernels, gram, fixed, blocks)]
    weights: Weights = {}
    for (name, setting), value in zip(keys, learn_weights(folds).tolist(), strict=True):
        weights.setdefault(name, {})[setting] = value
    for of_settings in weights.values():
        of_settings.setdefault(ANY, float(np.mean(list(of_settings.values()))))
    if sampling is None:
        return weights
    kernel, own_of = combine(table, task, weights)
    scale, more = find_scale(kernel + np.diag(own_of), gram, fixed)
    return {
        name: {setting: scale * weight + (more if name == NOISE else 0.0) for setting, weight in of_settings.items()}
        for name, of_settings in weights.items()
    }


def equal_weights(table: Table) -> Weights:
    """Where nothing can be left out: every kernel weighs as much as the noise."""
    unit = float(np.nanmean(np.square(table.effect)))
    names = [kernel.name for kernel in kernels_for(fill(table), "pair")]
    return {name: {ANY: unit / len(names)} for name in names}


def _expanded(
    table: Table, kernels: Sequence[Kernel], *, own: bool
) -> tuple[list[tuple[str, str]], Float[np.ndarray, "kernels conditions conditions"]]:
    """Kernels with a weight each: those that settings may weigh by themselves once for each setting."""
    keys, values = [], []
    for kernel in kernels:
        if not (kernel.own and own):
            keys.append((kernel.name, ANY))
            values.append(kernel.values)
            continue
        for i, setting in enumerate(table.settings):
            inside = (table.setting == i).astype(np.float64)
            keys.append((kernel.name, str(setting)))
            values.append(kernel.values * np.outer(inside, inside))
    return keys, np.stack(values)


def combine(table: Table, task: Task, weights: Weights) -> tuple[Square, Float[np.ndarray, "conditions"]]:
    """The weighted sum of kernels over the conditions of a table with the axis of the task, and the noise of each."""
    total = np.zeros((len(table.conditions), len(table.conditions)))
    noise = np.zeros(len(total))
    for kernel in kernels_for(table, task):
        of_settings = weights.get(kernel.name)
        if of_settings is None:
            continue
        of_setting = np.array([of_settings.get(str(setting), of_settings[ANY]) for setting in table.settings])
        if kernel.name == NOISE:
            noise = of_setting[table.setting]
        elif kernel.own:
            root = np.sqrt(of_setting)[table.setting]
            total += kernel.values * np.outer(root, root)
        elif of_settings[ANY] > 0:
            total += of_settings[ANY] * kernel.values
    return total, noise


def blocks_of(table: Table, task: Task) -> Blocks:
    """The rows that are left out together, for each thing that a task leaves out and that can be told from the rest."""
    conditions = table.conditions
    if task == "context":
        contexts = [np.flatnonzero(table.contexts == code) for code in np.unique(table.contexts)]
        elsewhere = [block for block in contexts if len(block) < len(conditions)]
        step = max(1, len(elsewhere) // MAX_FOLDS)
        return elsewhere[::step][:MAX_FOLDS]
    if task == "perturbation":
        names = sorted({part for c in conditions for part in c.parts})
        has = [np.array([i for i, c in enumerate(conditions) if name in c.parts]) for name in names]
        return _disjoint(has)
    if task == "combination":
        agents = {c.agent for c in conditions if len(parts_of(c.agent)) > 1}
        return [np.array([i for i, c in enumerate(conditions) if c.agent == agent]) for agent in sorted(agents)]
    at: Mapping[str, Callable[[Condition], object]] = {
        "pair": lambda _: None,
        "dose": lambda c: c.dose,
        "time": lambda c: c.time,
    }
    place = at[task]
    groups: dict[tuple[object, ...], list[int]] = {}
    of_agent: dict[str, set[object]] = {}
    for i, c in enumerate(conditions):
        groups.setdefault((c.context, c.agent, place(c)), []).append(i)
        of_agent.setdefault(c.agent, set()).add(c.context if task == "pair" else place(c))
    return [np.array(rows) for key, rows in groups.items() if len(of_agent[str(key[1])]) > 1]


def _disjoint(blocks: Sequence[Int[np.ndarray, "rows"]]) -> Blocks:
    """Blocks without the rows that an earlier one had: a combination is left out once."""
    taken: set[int] = set()
    disjoint = []
    for block in blocks:
        left = [int(i) for i in block if int(i) not in taken]
        taken.update(left)
        if left:
            disjoint.append(np.array(left))
    return disjoint


def draw_conditions(table: Table, *, seed: int) -> Int[np.ndarray, "rows"]:
    """At most so many conditions: of few contexts, and whole perturbations of these."""
    rows, rng = np.arange(len(table.conditions)), np.random.default_rng(seed)
    if len(rows) <= MAX_CONDITIONS:
        return rows
    contexts = rng.permutation(np.unique(table.contexts))[:MAX_CONTEXTS]
    inside = np.isin(table.contexts, contexts)
    kept = np.zeros(len(rows), dtype=bool)
    for agent in rng.permutation(np.unique(table.agents[inside])):
        more = kept | (inside & (table.agents == agent))
        if more.sum() > MAX_CONDITIONS:
            break
        kept = more
    return rows[kept]


class Measured:
    """What was measured, looked up by name: which task predicting a condition is, and what of it is known.

    Parameters
    ----------
    conditions
        The training conditions.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = set(conditions)
        self._contexts = {c.context for c in conditions}
        self._parts = {part for c in conditions for part in c.parts}
        self._times: dict[str, dict[str, set[float | None]]] = {}
        for c in conditions:
            self._times.setdefault(c.agent, {}).setdefault(c.context, set()).add(c.time)

    def lacking(self, condition: Condition) -> list[str]:
        """Parts of a perturbation that were measured neither alone nor in another one; none of one that was measured as it is."""
        return [] if condition.agent in self._times else [part for part in condition.parts if part not in self._parts]

    def task_of(self, condition: Condition) -> Task:
        """What predicting a condition asks for."""
        contexts = self._times.get(condition.agent)
        if contexts is None:
            return "combination" if len(condition.parts) > 1 and not self.lacking(condition) else "perturbation"
        if condition.context not in self._contexts:
            return "context"
        if condition.context in contexts and condition not in self._conditions:
            return "dose" if condition.time in contexts[condition.context] else "time"
        return "pair"
