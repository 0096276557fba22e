"""What is tested, as a file names it: one condition or perturbation a line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cycseq.data.condition import Condition
from cycseq.data.usual_names import canonical_perturbation
from cycseq.errors import FileError, SplitError, unknown_name
from cycseq.io.files import existing_file


def tested_conditions(path: Path, conditions: Collection[Condition]) -> tuple[Condition, ...]:
    """The conditions that a file names, ``CONTEXT:PERTURBATION`` a line.

    A perturbation without dose and time stands for all doses and times that were measured of it in the context.

    Raises
    ------
    FileError
        If the file is missing, no text, or names nothing.
    SplitError
        If a context or perturbation is not in the data; the nearest name is given.
    """
    contexts = sorted({c.context for c in conditions})
    tested: dict[Condition, None] = {}
    for line in _lines(path):
        named = Condition.parse(line, contexts)
        if named.context not in contexts:
            raise unknown_name(named.context, f"context (named in {path})", contexts, SplitError)
        inside = [c for c in conditions if c.context == named.context]
        tested |= dict.fromkeys(c for c in inside if c.perturbation in _named(path, named.perturbation, inside))
    return tuple(sorted(tested))


def tested_perturbations(path: Path, conditions: Collection[Condition]) -> set[str]:
    """The perturbations that a file names, one a line, with all their doses and times where a line says none.

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
        lines = existing_file(path).read_text(encoding="utf-8-sig").splitlines()
    except ValueError as err:
        msg = f"{path} is no text: write one name a line."
        raise FileError(msg) from err
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        msg = f"{path} names nothing: write one name a line."
        raise FileError(msg)
    return names
