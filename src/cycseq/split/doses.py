"""Splits that hold out a dose or a time of perturbations whose other doses or times are seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cycseq.data.condition import Condition
from cycseq.data.either import Data
from cycseq.data.treatments import place_of_dose
from cycseq.errors import SettingsError, SplitError, count_of, join_names
from cycseq.split.listed import tested_perturbations
from cycseq.split.plan import Conditions, Plan, perturbed_conditions
from cycseq.split.settings import SplitSettings

Place = tuple[str, float]  # what is measured and a number: doses of one quantity can be ordered


@dataclass(frozen=True)
class Axis:
    """Dose or time."""

    name: str
    level: Callable[[Condition], Any]  # what a condition has of it; None for nothing
    place: Callable[[Condition], Place | None]  # where a condition stands on it; None where that has no order
    unit: str
    absent: str  # what to say of a level that no condition has; the level and those of the data are put in


AXES = (
    Axis("dose", lambda c: c.dose, lambda c: place_of_dose(c.dose), "", "no perturbation has the dose {!r}: the data have {}."),
    Axis("time", lambda c: c.time, lambda c: None if c.time is None else ("h", c.time), "h", "nothing was measured at {:g} h: the data have {} h."),
)  # fmt: skip


def _folded(level: Any) -> Any:
    return level.replace(" ", "").casefold() if isinstance(level, str) else level


def unseen_level(axis: Axis, data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """The conditions of one dose, or one time, are tested; other doses or times of the same perturbations stay."""
    conditions, what = perturbed_conditions(data), axis.name
    levels = sorted({axis.level(c) for c in conditions} - {None})
    if not levels:
        raise SplitError(
            f"the data name no {what}s, so none can be held out: name the column they are in, or choose another --kind."
        )
    level, shown = getattr(settings, what), join_names(f"{one:g}" if axis.unit else one for one in levels)
    if level is None:
        in_unit = ", in hours" if axis.unit else ""
        msg = f"--kind unseen-{what} needs the {what} that is tested{in_unit}: use --{what}, one of {shown}."
        raise SettingsError(msg)
    test = [c for c in conditions if _folded(axis.level(c)) == _folded(level)]
    if not test:
        raise SplitError(axis.absent.format(level, shown))
    tested = f"{level:g}h" if axis.unit else test[0].dose
    return (_plan(conditions, test, settings, f"unseen-{what}:{tested}", axis),)


def _plan(conditions: Conditions, held: Sequence[Condition], settings: SplitSettings, name: str, axis: Axis) -> Plan:
    what, place = axis.name, axis.place
    if settings.test_perturbations is not None:
        listed = tested_perturbations(settings.test_perturbations, conditions)
        agents_listed = {Condition("", one).agent for one in listed}
        held = [c for c in held if c.agent in agents_listed]
        if not held:
            msg = f"none of the perturbations of {settings.test_perturbations} was measured at the tested {what}: name others."
            raise SplitError(msg)
    tested = set(held)
    train = tuple(c for c in conditions if c not in tested)
    if not train:
        raise SplitError(f"every condition has the tested {what}, so nothing is left for training: choose another.")
    seen_agents = {c.agent for c in train}
    left_out = tuple(c for c in held if c.agent not in seen_agents)
    held = [c for c in held if c.agent in seen_agents]
    if not held:
        msg = f"no perturbation with the tested {what} has another {what} that is seen: use --kind unseen-perturbation."
        raise SplitError(msg)
    agents = sorted({c.agent for c in held})
    others = {c.agent for c in train if place(c) == place(held[0])}
    also = f", and from {count_of(len(others), 'other perturbation')} at this {what}"
    also = also if others else f"; nothing else is seen at this {what}"
    claim = (
        f"A good score shows that the responses to {count_of(len(agents), 'perturbation')} ({join_names(agents)}) at the {what} "
        f"{name.partition(':')[2]} can be predicted from their other {what}s{also}. It says nothing of perturbations that were never "
        f"measured, nor of other unseen {what}s."
    )
    claim += _extrapolation(held, train, axis)
    if left_out:
        claim += f" Left out as nothing else of them is seen: {join_names(sorted({c.agent for c in left_out}))}."
    return Plan(name=name, claim=claim, train=train, validation=(), test=tuple(held), left_out=left_out)


def _extrapolation(test: Sequence[Condition], train: Sequence[Condition], axis: Axis) -> str:
    """What a reader must know where training has only smaller, or only larger, doses or times of a tested condition."""
    what, place = axis.name, axis.place
    places_seen: dict[tuple[str, str], set[Place | None]] = {}
    for condition in train:
        places_seen.setdefault((condition.context, condition.agent), set()).add(place(condition))
    words = {
        "below": f"this is extrapolation: all {what}s in training are lower",
        "above": f"this is extrapolation: all {what}s in training are higher",
        "unknown": f"it cannot be told whether the {what}s in training lie on both sides, as their names have no order",
        "none": f"training has no other {what} in their context",
    }
    counts = dict.fromkeys(words, 0)
    for condition in test:
        places, here = places_seen.get((condition.context, condition.agent), set()), place(condition)
        others = [other[1] for other in places if other is not None and here is not None and other[0] == here[0]]
        if not places - {here}:
            counts["none"] += 1
        elif here is None or not others:
            counts["unknown"] += 1
        elif max(others) < here[1]:
            counts["below"] += 1
        elif min(others) > here[1]:
            counts["above"] += 1
    total = count_of(len(test), "tested condition")
    return "".join(f" For {n:,} of {total} {words[key]}." for key, n in counts.items() if n)
