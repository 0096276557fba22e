"""`Condition`: a context with a perturbation, and with its dose and time where the data have several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Self

from cycseq.data.usual_names import CONTROL, canonical_perturbation, parts_of
from cycseq.errors import DataError

_TIME = re.compile(r"(\d+(?:\.\d+)?)h")


class Condition(NamedTuple):
    """A context with a perturbation.

    Examples
    --------
    >>> import cycseq
    >>> condition = cycseq.Condition.parse("K562:KLF1+BAK1")
    >>> condition.perturbation, condition.parts, condition.is_control
    ('BAK1+KLF1', ('BAK1', 'KLF1'), False)
    """

    context: str
    perturbation: str
    """``"control"``, ``"KLF1"``, ``"BAK1+KLF1"`` (parts sorted, joined by ``+``), or with a dose, a time or both:
    ``"trametinib@100nM@24h"`` (see `treatment_name`)."""

    @property
    def agent(self) -> str:
        """The perturbation without dose and time."""
        return split_treatment(self.perturbation)[0]

    @property
    def dose(self) -> str | None:
        """The dose with its unit (``"100nM"``), or the name of a level (``"Middle"``); None where none is named."""
        return split_treatment(self.perturbation)[1]

    @property
    def time(self) -> float | None:
        """Hours since the perturbation; None where none is named."""
        return split_treatment(self.perturbation)[2]

    @property
    def is_control(self) -> bool:
        """Whether nothing was done to the cells."""
        return self.perturbation == CONTROL

    @property
    def parts(self) -> tuple[str, ...]:
        """The single perturbations that it is made of; none for control."""
        return () if self.is_control else parts_of(self.agent)

    def __str__(self) -> str:
        return f"{self.context}:{self.perturbation}"

    @classmethod
    def parse(cls, text: str, contexts: Iterable[str] = ()) -> Self:
        """``"NK:stim"`` -> ``Condition("NK", "stim")``; parts of a combination may come in any order.

        Names may hold colons: the longest of ``contexts`` that the text begins with is the context. Where none does,
        all before the last colon is.
        """
        prefix = max((name for name in contexts if text.startswith(f"{name}:")), key=len, default="")
        context, colon, perturbation = (prefix, ":", text[len(prefix) + 1 :]) if prefix else text.rpartition(":")
        if not (context and colon and perturbation):
            raise DataError(f"{text!r} is not a condition: expected CONTEXT:PERTURBATION, for example NK:stim.")
        return cls(context, canonical_perturbation(perturbation, ()))


def as_condition(condition: Condition | str, contexts: Iterable[str] = ()) -> Condition:
    """A condition, or the one that a text names (`Condition.parse`).

    Examples
    --------
    >>> as_condition("NK:stim")
    Condition(context='NK', perturbation='stim')
    """
    return condition if isinstance(condition, Condition) else Condition.parse(condition, contexts)


def treatment_name(agent: str, dose: str | None = None, time: float | None = None) -> str:
    """The name of a perturbation with its dose and its time, as `Condition.perturbation` holds it.

    A dose is a number with its unit or the name of a level; a time is in hours.

    Examples
    --------
    >>> treatment_name("trametinib", "100nM", 24.0)
    'trametinib@100nM@24h'
    """
    return "@".join([agent, *([dose] if dose else []), *([] if time is None else [f"{time:g}h"])])


def split_treatment(perturbation: str) -> tuple[str, str | None, float | None]:
    """Agent, dose and time (hours) of a perturbation; the inverse of `treatment_name`.

    Examples
    --------
    >>> split_treatment("trametinib@100nM@24h")
    ('trametinib', '100nM', 24.0)
    >>> split_treatment("KLF1")
    ('KLF1', None, None)
    """
    if "@" not in perturbation:
        return perturbation, None, None
    agent, *rest = perturbation.split("@")
    timed = _TIME.fullmatch(rest[-1])
    time = float(timed[1]) if timed else None
    return agent, "@".join(rest[:-1] if timed else rest) or None, time
