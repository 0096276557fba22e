"""Splits that hold out perturbations in every context: singles or combinations."""

from __future__ import annotations

from dataclasses import dataclass

from cycseq.data.dataset import Condition
from cycseq.data.either import Data
from cycseq.errors import SplitError, count_of, join_names
from cycseq.split.listed import tested_perturbations
from cycseq.split.plan import (
    Conditions,
    Plan,
    assign,
    assigned_plan,
    n_tested,
    n_validated,
    perturbations_of,
    perturbed_conditions,
    shuffle,
)
from cycseq.split.settings import SplitSettings

PartsOf = dict[str, tuple[str, ...]]
SEEN_PARTS = {
    2: "both parts are measured alone",
    1: "one part is measured alone, the other never",
    0: "no part is ever measured",
}
"""In a claim, by how many parts of the tested combinations are seen."""


@dataclass(frozen=True)
class HeldOut:
    """Combinations that are held out, and the parts that must be seen nowhere."""

    names: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


def unseen_perturbation(data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """Some single perturbations are tested in every context; combinations that contain them are left out."""
    conditions = perturbed_conditions(data)
    singles = shuffle({c.agent for c in conditions if len(c.parts) == 1}, settings.seed, "perturbation")
    if settings.test_perturbations is not None:
        listed = {Condition("", name).agent for name in tested_perturbations(settings.test_perturbations, conditions)}
        singles = [*sorted(listed), *(name for name in singles if name not in listed)]
    if len(singles) < 2:
        raise SplitError(
            f"there {'is 1 single perturbation' if singles else 'are no single perturbations'}: with all of them held "
            "out nothing could be learnt. Use --kind unseen-context, unseen-combination or random-cells."
        )
    n_test = min(n_tested(len(singles), settings), len(singles) - 1)
    if settings.test_perturbations is not None:
        n_test = len(listed)
    n_validation = max(0, min(n_validated(len(singles), settings), len(singles) - n_test - 1))
    tested = singles[:n_test]
    assignment = assign(conditions, perturbations_of(conditions, tested))
    if not assignment.rest:
        msg = f"all perturbations are named in {settings.test_perturbations}, so nothing is left for training: name fewer."
        raise SplitError(msg)
    validation = assign(assignment.rest, perturbations_of(assignment.rest, singles[n_test : n_test + n_validation]))
    claim = (
        f"A good score shows that the responses to {count_of(n_test, 'perturbation')} ({join_names(sorted(tested))}), which "
        f"training has seen in no context, alone or combined, can be predicted from {len(singles) - n_test} other ones and "
        "what is known of the perturbed genes. It says nothing of unseen contexts."
    )
    return (assigned_plan("unseen-perturbation", claim, assignment, validation),)


def unseen_combination(data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """Some combinations of two are tested in every context; as many of their parts are seen as was asked for."""
    conditions = perturbed_conditions(data)
    seen = settings.seen_parts
    doubles = {c.perturbation for c in conditions if len(c.parts) == 2}
    if not doubles:
        msg = "there are no combinations of two perturbations (written A+B), so none can be held out: use --kind unseen-perturbation or unseen-context."
        raise SplitError(msg)
    held = _hold_out(conditions, seen, n_tested(len(doubles), settings), settings.seed, purpose="test")
    assignment = assign(conditions, held.names, held.hidden)
    if not (assignment.held and assignment.rest):
        few = "fewer" if seen else "more"
        raise SplitError(
            f"none of {count_of(len(doubles), 'combination')} can be tested with {count_of(seen, 'part')} seen in training "
            f"as single perturbations and something left to learn from: choose {few} with --seen-parts."
        )
    needed = frozenset(part for name in held.names for part in Condition("", name).parts)
    n = n_validated(len(doubles), settings)
    validated = _hold_out(assignment.rest, seen, n, settings.seed, purpose="validation", needed=needed)
    validation = assign(assignment.rest, validated.names, validated.hidden)
    if not validation.rest:  # nothing would be left to learn from
        validation = assign(assignment.rest, ())
    claim = (
        f"A good score shows that the responses to {count_of(len(held.names), 'combination')} "
        f"({join_names(sorted(held.names))}), of which {SEEN_PARTS[seen]} in training, can be predicted from what training has "
        "seen. It says nothing of unseen contexts"
        + (", nor of combinations with parts never measured." if seen == 2 else ".")
    )
    return (assigned_plan(f"unseen-combination:seen-{seen}", claim, assignment, validation, seen_parts=seen),)


def _hold_out(
    conditions: Conditions, seen: int, n: int, seed: int, *, purpose: str, needed: frozenset[str] = frozenset()
) -> HeldOut:
    """About n combinations to hold out; parts that are needed elsewhere are not hidden."""
    contexts: dict[str, set[str]] = {}
    for condition in conditions:
        contexts.setdefault(condition.perturbation, set()).add(condition.context)
    doubles = {name: Condition("", name).parts for name in contexts if len(Condition("", name).parts) == 2}
    order = shuffle(doubles, seed, "combination", purpose)
    alone = {name: {p for p in parts if contexts[name] <= contexts.get(p, set())} for name, parts in doubles.items()}
    if seen == 2:
        return HeldOut(names=frozenset([name for name in order if len(alone[name]) == 2][:n]))
    if seen == 1:
        parts = {part for parts in doubles.values() for part in parts} - needed
        return _one_part_hidden(doubles, alone, shuffle(parts, seed, "part", purpose), n)
    return _both_parts_hidden(conditions, doubles, [name for name in order if not needed & set(doubles[name])], n)


def _one_part_hidden(doubles: PartsOf, alone: dict[str, set[str]], options: list[str], n: int) -> HeldOut:
    """Hide parts one by one until n combinations have one hidden part, their other part being measured alone."""
    best = HeldOut()
    hidden: set[str] = set()
    for option in options:
        if len(best.names) >= n:
            break
        hidden.add(option)
        one_hidden = {name: set(parts) - hidden for name, parts in doubles.items() if len(hidden & set(parts)) == 1}
        names = [name for name, others in one_hidden.items() if others <= alone[name]]
        if len(names) > len(best.names):
            best = HeldOut(frozenset(names), frozenset(hidden))
    return best


def _both_parts_hidden(conditions: Conditions, doubles: PartsOf, order: list[str], n: int) -> HeldOut:
    """Hide both parts of combinations one by one, as long as something is left to learn from."""
    best = HeldOut()
    for name in order:
        if len(best.names) >= n:
            break
        hidden = best.hidden | set(doubles[name])
        names = frozenset(other for other, parts in doubles.items() if hidden >= set(parts))
        if assign(conditions, names, hidden).rest:
            best = HeldOut(names, frozenset(hidden))
    return best
