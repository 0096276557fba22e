"""`Condition`: a context with a perturbation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

from cycseq.data.usual_names import CONTROL, canonical_perturbation
from cycseq.errors import DataError


class Condition(NamedTuple):
    """A context with a perturbation."""

    context: str
    perturbation: str
    """``"control"``, ``"KLF1"`` or ``"BAK1+KLF1"`` (parts sorted, joined by ``+``)."""

    @property
    def is_control(self) -> bool:
        """Whether nothing was done to the cells."""
        return self.perturbation == CONTROL

    @property
    def parts(self) -> tuple[str, ...]:
        """The single perturbations that it is made of; none for control. ``"IFN+"`` is one: its name has an empty part."""
        parts = tuple(self.perturbation.split("+"))
        return () if self.is_control else parts if all(parts) else (self.perturbation,)

    def __str__(self) -> str:
        return f"{self.context}:{self.perturbation}"

    @classmethod
    def parse(cls, text: str, contexts: Iterable[str] = ()) -> Self:
        """``"NK:stim"`` -> ``Condition("NK", "stim")``; parts of a combination may come in any order.

        Names may hold colons: the longest of ``contexts`` that the text begins with is the context. Where none does,
        all before the last colon is.
        """
        known = max((name for name in contexts if text.startswith(f"{name}:")), key=len, default="")
        context, colon, perturbation = (known, ":", text[len(known) + 1 :]) if known else text.rpartition(":")
        if not (context and colon and perturbation):
            msg = f"{text!r} is no condition: expected CONTEXT:PERTURBATION, for example NK:stim."
            raise DataError(msg)
        return cls(context, canonical_perturbation(perturbation, ()))
