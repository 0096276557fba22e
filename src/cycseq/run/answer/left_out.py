"""Measured conditions left out in turn: how well predictions of this kind did."""

from collections.abc import Sequence
from dataclasses import replace

from cycseq.data.condition import Condition
from cycseq.data.either import Data
from cycseq.errors import SplitError
from cycseq.run.answer.conditions import kind_of
from cycseq.split.base import Split
from cycseq.split.controls import hold_back_controls
from cycseq.split.make import make_splits
from cycseq.split.plan import Plan, assign, perturbed_conditions
from cycseq.split.settings import Kind, SplitSettings

THIRDS = 3
CLAIM = "A good score shows how predictions of this kind do in the contexts left out."


def leave_out(data: Data, predicted: Sequence[Condition], kind: Kind, most: int) -> tuple[Split, ...]:
    """At most so many splits that leave measured conditions out of which the asked ones are a further case.

    An unseen context leaves out whole contexts in turn, an unseen pair the asked perturbations in one context after
    another; both test those of the asked perturbations that are measured there. Where the asked perturbations of a pair are
    measured in one context only, others are left out in the asked contexts, a third of them at a time. An unseen dose or time leaves out the asked
    doses and times of other perturbations. Other kinds are split as `make_splits` does. Raises `SplitError` if too little is
    measured to leave anything out.
    """
    if kind in ("unseen-dose", "unseen-time"):
        return _treatments_in_turn(data, predicted, kind, most)
    if kind in ("unseen-context", "unseen-pair"):
        return _contexts_in_turn(data, predicted, kind, most)
    settings = [SplitSettings(kind=kind, validation=0.0, seed=seed) for seed in range(most)]
    return tuple(split for one in settings for split in make_splits(data, one))


def _treatments_in_turn(data: Data, predicted: Sequence[Condition], kind: Kind, most: int) -> tuple[Split, ...]:
    """The asked doses and times of measured perturbations, a third of the perturbations at a time."""
    conditions = perturbed_conditions(data)
    treatments = {(c.dose, c.time) for c in predicted}
    alike = [c for c in conditions if (c.dose, c.time) in treatments]
    candidates = [
        c for c in alike if kind_of(c, [one for one in conditions if one.perturbation != c.perturbation]) == kind
    ]
    return _in_thirds(data, candidates, kind, most) or _levels_in_turn(data, kind, most)


def _in_thirds(data: Data, candidates: Sequence[Condition], kind: Kind, most: int) -> tuple[Split, ...]:
    """A third of the perturbations of these conditions at a time; none where they are fewer than three."""
    agents = sorted({c.agent for c in candidates})
    plans = []
    for turn in range(min(most, THIRDS) if len(agents) >= THIRDS else 0):
        group = set(agents[turn::THIRDS])
        test = tuple(c for c in candidates if c.agent in group)
        rest = tuple(c for c in perturbed_conditions(data) if c not in set(test))
        plans.append(Plan(f"{kind}:{turn + 1}", CLAIM, rest, (), test, ()))
    return tuple(_make_splits(data, kind, plans))


def _make_splits(data: Data, kind: Kind, plans: Sequence[Plan]) -> list[Split]:
    """The planned splits, half of the control cells of tested contexts held back."""
    held_back = [hold_back_controls(data, plan, SplitSettings(kind=kind)) for plan in plans]
    data_hash = data.fingerprint() if plans else ""
    return [Split(kind=kind, seed=0, data_hash=data_hash, **vars(plan)) for plan in held_back]


def _levels_in_turn(data: Data, kind: Kind, most: int) -> tuple[Split, ...]:
    """One measured dose or time after another, of all perturbations."""
    conditions = perturbed_conditions(data)
    axis = kind.removeprefix("unseen-")
    levels = sorted({level for c in conditions if (level := getattr(c, axis)) is not None})
    settings = [SplitSettings(kind=kind, validation=0.0, **{axis: level}) for level in levels]
    if not settings:
        raise SplitError(f"no {axis} was measured that could be left out.")
    return tuple(split for one in settings[:most] for split in make_splits(data, one))


def _contexts_in_turn(data: Data, predicted: Sequence[Condition], kind: Kind, most: int) -> tuple[Split, ...]:
    conditions = perturbed_conditions(data)
    names = {c.perturbation for c in predicted}
    plans = []
    for context in dict.fromkeys(c.context for c in conditions):
        inside = [c for c in conditions if c.context == context]
        others = [c for c in conditions if c.context != context]
        elsewhere = {c.perturbation for c in others}
        parted = assign(inside, [c.perturbation for c in inside if c.perturbation in names & elsewhere])
        alone = kind == "unseen-context"
        left_out, rest = ((*parted.touched, *parted.rest), ()) if alone else (parted.touched, parted.rest)
        if not parted.held or not (alone or rest):
            continue
        plans.append(Plan(f"{kind}:{context}", CLAIM, (*others, *rest), (), parted.held, left_out))
    if not plans and kind == "unseen-pair":
        here = {c.context for c in predicted}
        candidates = [
            c for c in conditions if c.context in here and kind_of(c, [o for o in conditions if o != c]) == kind
        ]
        if thirds := _in_thirds(data, candidates, kind, most):
            return thirds
    if not plans:
        what = "another context" if kind == "unseen-context" else "another context beside further perturbations"
        msg = f"no asked perturbation is measured in {what} that could be left out while a third still shows it."
        raise SplitError(msg)
    largest = sorted(plans, key=lambda plan: (-len(plan.test), plan.name))[:most]
    return tuple(replace(split, claim=CLAIM) for split in _make_splits(data, kind, largest))
