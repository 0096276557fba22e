"""A split before it knows the hash of its data, and the draws that all kinds share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from cycseq.data.dataset import Condition
from cycseq.data.either import Data
from cycseq.errors import SplitError, join_names
from cycseq.split.settings import SplitSettings

Conditions: TypeAlias = tuple[Condition, ...]


@dataclass(frozen=True)
class Plan:
    """What goes where, and what that shows; the fields are those of `Split`."""

    name: str
    claim: str
    train: Conditions
    validation: Conditions
    test: Conditions
    left_out: Conditions = ()
    cells: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen_parts: int | None = None


@dataclass(frozen=True)
class Assignment:
    """Conditions by what the holding out of some perturbations means for them."""

    held: Conditions  # conditions that are held out
    touched: Conditions  # combinations that contain what is held out, and so would give it away
    rest: Conditions


def assigned_plan(
    name: str,
    claim: str,
    test: Assignment,
    validation: Assignment,
    *,
    where: str = "of all parts, ",
    others: Conditions = (),
    seen_parts: int | None = None,
) -> Plan:
    """The plan that tests what one assignment holds out and validates on what another does; the claim says what is left out."""
    return Plan(
        name=name,
        claim=claim + note_left_out((c.perturbation for c in test.touched), where),
        train=(*others, *validation.rest),
        validation=validation.held + validation.touched,
        test=test.held,
        left_out=test.touched,
        seen_parts=seen_parts,
    )


def note_left_out(names: Iterable[str], where: str = "") -> str:
    """A sentence for a claim; empty where nothing is left out."""
    distinct = sorted(set(names))
    return f" Left out {where}as they contain what is tested: {join_names(distinct)}." if distinct else ""


def perturbed_conditions(data: Data) -> Conditions:
    """All conditions without controls, sorted; raises `SplitError` if there are none."""
    conditions = tuple(sorted(c for c in data.conditions() if not c.is_control))
    if not conditions:
        msg = "there are no perturbed cells, only controls: nothing can be held out. Give data with perturbations."
        raise SplitError(msg)
    return conditions


def perturbations_of(conditions: Iterable[Condition], agents: Collection[str]) -> list[str]:
    """The perturbations of these agents, with all their doses and times."""
    names = set(agents)
    return list(dict.fromkeys(c.perturbation for c in conditions if c.agent in names))


def assign(conditions: Iterable[Condition], held: Collection[str], hidden: Collection[str] = ()) -> Assignment:
    """Part conditions where perturbations are held out, and single perturbations are to be seen nowhere.

    `held` are names of perturbations, `hidden` parts that no condition of the rest may contain.
    """
    names, unseen = set(held), set(hidden)
    parts_held = [set(Condition("", name).parts) for name in names]
    groups: dict[str, list[Condition]] = {"held": [], "touched": [], "rest": []}
    for condition in conditions:
        parts = set(condition.parts)
        touches = bool(unseen & parts) or (len(parts) > 1 and any(one < parts for one in parts_held))
        groups["held" if condition.perturbation in names else "touched" if touches else "rest"].append(condition)
    return Assignment(tuple(groups["held"]), tuple(groups["touched"]), tuple(groups["rest"]))


def shuffle(options: Iterable[str], seed: int, *words: str) -> list[str]:
    """The options in a random order that depends on the seed and on what is drawn, never on the order of cells."""
    ordered = np.array(sorted(options), dtype=object)
    order = np.random.default_rng([seed, *"/".join(words).encode()]).permutation(len(ordered))
    return list(ordered[order])


def share(n: int, fraction: float) -> int:
    """A share of n, rounded, but at least 1 if the share is above 0."""
    return max(1, round(n * fraction)) if fraction > 0 and n else 0


def n_tested(n: int, settings: SplitSettings) -> int:
    """How many of n perturbations or conditions are tested."""
    return share(n, 0.2 if settings.fraction is None else settings.fraction)


def n_validated(n: int, settings: SplitSettings) -> int:
    """How many of n perturbations or conditions are kept for validation."""
    return share(n, 0.1 if settings.validation is None else settings.validation)
