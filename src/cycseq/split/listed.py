"""Tested conditions that a file lists, one per line, and the split of listed pairs of a perturbation and a context."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from pathlib import Path

from cycseq.data.condition import Condition
from cycseq.data.either import Data
from cycseq.data.usual_names import canonical_perturbation
from cycseq.errors import FileError, SettingsError, SplitError, count_of, join_names, unknown_name
from cycseq.io.files import require_file
from cycseq.split.plan import Conditions, Plan, assign, n_validated, note_left_out, perturbed_conditions, shuffle
from cycseq.split.settings import SplitSettings


def tested_conditions(path: Path, conditions: Collection[Condition]) -> Conditions:
    """The conditions that a file names, ``CONTEXT:PERTURBATION`` a line.

    A perturbation without dose and time stands for all doses and times that were measured of it in the context. Raises
    `FileError` if the file is missing, no text, or names nothing, and `SplitError` if a context or perturbation is not in the
    data; the nearest name is given.
    """
    contexts = sorted({c.context for c in conditions})
    tested: dict[Condition, None] = {}
    for line in _lines(path):
        condition = Condition.parse(line, contexts)
        if condition.context not in contexts:
            raise unknown_name(condition.context, f"context (named in {path})", contexts, SplitError)
        inside = [c for c in conditions if c.context == condition.context]
        tested |= dict.fromkeys(c for c in inside if c.perturbation in _named(path, condition.perturbation, inside))
    return tuple(sorted(tested))


def tested_perturbations(path: Path, conditions: Collection[Condition]) -> set[str]:
    """The perturbations that a file names, one per line, with all their doses and times where a line says none.

    Raises as `tested_conditions`.
    """
    return {name for line in _lines(path) for name in _named(path, canonical_perturbation(line, ()), conditions)}


def _named(path: Path, name: str, conditions: Collection[Condition]) -> set[str]:
    """A perturbation by its full name, or all doses and times of an agent."""
    if any(c.perturbation == name for c in conditions):
        return {name}
    of_agent = {c.perturbation for c in conditions if c.agent == name}
    if not of_agent:
        raise unknown_name(name, f"perturbation (named in {path})", sorted({c.agent for c in conditions}), SplitError)
    return of_agent


def _lines(path: Path) -> list[str]:
    try:
        lines = require_file(path).read_text(encoding="utf-8-sig").splitlines()
    except ValueError as err:
        raise FileError(f"{path} is not text: write one name per line.") from err
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise FileError(f"{path} names nothing: write one name per line.")
    return names


def listed_pairs(data: Data, settings: SplitSettings) -> tuple[Plan, ...]:
    """The conditions that a file names are tested; everything else stays, save combinations that give them away."""
    path = settings.test_conditions
    if path is None or settings.context is not None:
        raise SettingsError("--test-conditions names the tested conditions of all contexts: leave out --context.")
    conditions = perturbed_conditions(data)
    tested = tested_conditions(path, conditions)
    test = set(tested)
    by_context = [list(inside) for _, inside in groupby(conditions, key=lambda c: c.context)]  # they are sorted
    assignments = [assign(inside, [c.perturbation for c in inside if c in test]) for inside in by_context]
    rest = [condition for assignment in assignments for condition in assignment.rest]
    touched = [condition for assignment in assignments for condition in assignment.touched]
    if not rest:
        raise SplitError(f"{path} names every condition, so nothing is left for training: name fewer.")
    contexts = {c.context for c in test}
    options = shuffle((str(c) for c in rest if c.context in contexts), settings.seed, "pair", path.stem)
    validated = set(options[: min(n_validated(len(options), settings), len(options) - 1)] if len(options) > 1 else [])
    plan = Plan(
        name=f"unseen-pair:{path.stem}",
        claim=_claim(tested, rest) + note_left_out(map(str, touched)),
        train=tuple(c for c in rest if str(c) not in validated),
        validation=tuple(c for c in rest if str(c) in validated),
        test=tested,
        left_out=tuple(touched),
    )
    return (plan,)


def _claim(test: Collection[Condition], rest: Collection[Condition]) -> str:
    """What a good score shows, and what makes the tested pairs harder or easier than that."""
    contexts = sorted({c.context for c in test})
    nowhere = sorted({c.agent for c in test} - {c.agent for c in rest})
    other_doses = {(c.context, c.agent) for c in test} & {(c.context, c.agent) for c in rest}
    claim = (
        f"A good score shows that the responses to {count_of(len(test), 'pair')} of a perturbation and a context "
        f"({join_names(contexts)}) can be predicted from the contexts' responses to other perturbations and the perturbations' in other "
        "contexts. It says nothing of a context without any perturbed cells, nor of perturbations measured nowhere."
    )
    if nowhere:
        claim += f" {count_of(len(nowhere), 'tested perturbation')} ({join_names(nowhere)}) are measured in no other context, and need a model that knows unseen perturbations."
    if other_doses:
        claim += f" Of {count_of(len(other_doses), 'tested pair')}, training has other doses or times."
    return claim
