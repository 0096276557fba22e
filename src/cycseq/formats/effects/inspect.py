"""What a table of effects holds: conditions, scale, what is missing, and what was measured together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from cycseq.data.effects import WITH_MAGNITUDE, Effects
from cycseq.data.treatments import place_of_dose
from cycseq.data.wells import measured_together
from cycseq.formats.effects.read import read_effects
from cycseq.formats.settings import ReadSettings

SHOWN = 8
"""Names that are listed."""


def inspect_effects(path: Path, settings: ReadSettings | None = None) -> str:
    """A few lines on a table of effects; raises as `read_effects`."""
    effects = read_effects(path, settings)
    perturbed = effects.perturbed()
    conditions = perturbed.conditions()
    agents, contexts = Counter(c.agent for c in conditions), Counter(c.context for c in conditions)
    magnitude = (
        "" if effects.scale in WITH_MAGNITUDE else " (without magnitude: twice the value is not twice the effect)"
    )
    lines = [
        f"{path.name}: effects of {len(conditions):,} conditions x {len(effects.genes):,} genes, {effects.scale} values{magnitude}",
        f"  {_counted(contexts, 'context')}: {_listed([f'{name} ({n})' for name, n in sorted(contexts.items())])}",
        f"  {_counted(agents, 'perturbation')}: {_listed(sorted(agents))}",
        f"  {_overlap(perturbed)}",
    ]
    doses, times = (
        sorted({c.dose for c in conditions if c.dose}, key=_in_order),
        sorted({c.time for c in conditions if c.time is not None}),
    )
    if doses:
        lines.append(f"  {_counted(doses, 'dose')}: {_listed(doses)}")
    if times:
        lines.append(f"  {_counted(times, 'time')}: {_listed([f'{time:g} h' for time in times])}")
    lines.append(f"  {_missing(perturbed)}")
    lines.append(f"  {_errors(perturbed)}")
    means = effects.control_means()
    lines.append(
        f"  control means: {f'of {len(means)} contexts' if means else 'unknown (models that need mean expression do not apply)'}"
    )
    lines += [f"  {note}" for note in effects.notes]
    lines += [f"warning: {sentence}." for sentence in measured_together(effects)]
    return "\n".join(lines)


def _overlap(effects: Effects) -> str:
    """How many perturbations several contexts share: what transfer between contexts can be learned from."""
    contexts: dict[str, set[str]] = {}
    for c in effects.conditions():
        contexts.setdefault(c.perturbation, set()).add(c.context)
    several = sum(len(where) > 1 for where in contexts.values())
    complete = sum(len(where) == len(effects.contexts) for where in contexts.values())
    return f"measured in two contexts or more: {several:,} of {len(contexts):,}; in all: {complete:,}"


def _missing(effects: Effects) -> str:
    measured = effects.measured
    share = 1.0 - float(measured.mean())
    if share == 0.0:
        return "missing: nothing"
    everywhere = int(measured.all(axis=0).sum())
    return f"missing: {share:.1%} of the values; {everywhere:,} of {len(effects.genes):,} genes are measured in every condition"


def _errors(effects: Effects) -> str:
    se = effects.layer("se")
    n_with_errors = 0 if se is None else int(np.isfinite(se).any(axis=1).sum())
    if not n_with_errors:
        return "standard errors: unknown (metrics and intervals that need them rest on what a model learns)"
    return f"standard errors: of {n_with_errors:,} of {len(effects.conditions()):,} conditions"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _counted(names: Collection[object], thing: str) -> str:
    return f"{len(names):,} {thing}{'' if len(names) == 1 else 's'}"


def _in_order(dose: str) -> tuple[str, float, str]:
    return *(place_of_dose(dose) or ("", 0.0)), dose
