"""Splits that hold out a dose or a time of perturbations whose other doses or times are seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cycseq.data.condition import Condition
from cycseq.data.either import Data
from cycseq.data.treatments import place_of_dose
from cycseq.errors import SettingsError, SplitError, count_of, join_names
from cycseq.split.listed import tested_perturbations
from cycseq.split.plan import Plan, perturbed_conditions
from cycseq.split.settings import SplitSettings

Place = tuple[str, float]  # what is measured and a number: doses of one quantity can be ordered


@dataclass(frozen=True)
class Axis:
    """Dose or time: its name, and where a condition stands on it; None where that has no order."""

    name: str
    place: Callable[[Condition], Place | None]


def unseen_dose(data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """The conditions of one dose are tested; other doses of the same perturbations stay."""
    conditions = perturbed_conditions(data)
    doses = sorted({c.dose for c in conditions if c.dose is not None})
    if not doses:
        msg = "the data name no doses, so none can be held out: name the column they are in, or choose another --kind."
        raise SplitError(msg)
    if settings.dose is None:
        msg = f"--kind unseen-dose needs the dose that is tested: use --dose, one of {join_names(doses)}."
        raise SettingsError(msg)
    dose = settings.dose.replace(" ", "").casefold()
    test = [c for c in conditions if c.dose is not None and c.dose.casefold() == dose]
    if not test:
        raise SplitError(f"no perturbation has the dose {settings.dose!r}: the data have {join_names(doses)}.")
    return (_plan(conditions, test, settings, f"unseen-dose:{test[0].dose}", DOSE),)


def unseen_time(data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """The conditions of one time are tested; other times of the same perturbations stay."""
    conditions = perturbed_conditions(data)
    hours = [f"{time:g}" for time in sorted({c.time for c in conditions if c.time is not None})]
    if not hours:
        msg = "the data name no times, so none can be held out: name the column they are in, or choose another --kind."
        raise SplitError(msg)
    if settings.time is None:
        msg = f"--kind unseen-time needs the time that is tested, in hours: use --time, one of {join_names(hours)}."
        raise SettingsError(msg)
    test = [c for c in conditions if c.time == settings.time]
    if not test:
        raise SplitError(f"nothing was measured at {settings.time:g} h: the data have {join_names(hours)} h.")
    return (_plan(conditions, test, settings, f"unseen-time:{settings.time:g}h", TIME),)


def _plan(
    conditions: Sequence[Condition], held: Sequence[Condition], settings: SplitSettings, name: str, axis: Axis
) -> Plan:
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
    also = (
        f", and from {count_of(len(others), 'other perturbation')} at this {what}"
        if others
        else f"; nothing else is seen at this {what}"
    )
    claim = (
        f"A good score shows that the responses to {count_of(len(agents), 'perturbation')} ({join_names(agents)}) at the {what} "
        f"{name.partition(':')[2]} can be predicted from their other {what}s{also}. It says nothing of perturbations that were never "
        f"measured, nor of other unseen {what}s."
    )
    claim += _extrapolation(held, train, axis)
    if left_out:
        names = join_names(sorted({c.agent for c in left_out}))
        claim += f" Left out as nothing else of them is seen: {names}."
    return Plan(name=name, claim=claim, train=train, validation=(), test=tuple(held), left_out=left_out)


def _extrapolation(test: Sequence[Condition], train: Sequence[Condition], axis: Axis) -> str:
    """What a reader must know where training has only smaller, or only larger, doses or times of a tested condition."""
    what, place = axis.name, axis.place
    places_seen: dict[tuple[str, str], set[Place | None]] = {}
    for condition in train:
        places_seen.setdefault((condition.context, condition.agent), set()).add(place(condition))
    counts = dict.fromkeys(("below", "above", "unknown", "none"), 0)
    for condition in test:
        places, own_place = places_seen.get((condition.context, condition.agent), set()), place(condition)
        comparable = [
            other[1] for other in places if other is not None and own_place is not None and other[0] == own_place[0]
        ]
        if not places - {own_place}:
            counts["none"] += 1
        elif own_place is None or not comparable:
            counts["unknown"] += 1
        elif all(number < own_place[1] for number in comparable):
            counts["below"] += 1
        elif all(number > own_place[1] for number in comparable):
            counts["above"] += 1
    words = {
        "below": f"this is extrapolation: all {what}s in training are lower",
        "above": f"this is extrapolation: all {what}s in training are higher",
        "unknown": f"it cannot be told whether the {what}s in training lie on both sides, as their names have no order",
        "none": f"training has no other {what} in their context",
    }
    total = len(test)
    return "".join(
        f" For {n:,} of {count_of(total, 'tested condition')} {words[key]}." for key, n in counts.items() if n
    )


def _place_of_dose(condition: Condition) -> Place | None:
    return place_of_dose(condition.dose)


def _place_of_time(condition: Condition) -> Place | None:
    return None if condition.time is None else ("h", condition.time)


DOSE, TIME = Axis("dose", _place_of_dose), Axis("time", _place_of_time)
