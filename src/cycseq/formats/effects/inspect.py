"""What a table of effects holds: conditions, scale, what is missing, and what was measured together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from cycseq.data.effects import WITH_MAGNITUDE
from cycseq.data.treatments import place_of_dose
from cycseq.data.wells import measured_together
from cycseq.errors import count_of, join_names
from cycseq.formats.effects.read import read_effects
from cycseq.formats.settings import ReadSettings


def inspect_effects(path: Path, settings: ReadSettings | None = None) -> str:
    """A few lines on a table of effects; raises as `read_effects`."""
    effects = read_effects(path, settings)
    perturbed = effects.perturbed()
    conditions = perturbed.conditions()
    agents, contexts = Counter(c.agent for c in conditions), Counter(c.context for c in conditions)
    unlike = "" if effects.scale in WITH_MAGNITUDE else " (without magnitude: twice the value is not twice the effect)"
    n_contexts = Counter(c.perturbation for c in conditions)
    several, complete = (sum(n >= least for n in n_contexts.values()) for least in (2, len(contexts)))
    lines = [
        f"{path.name}: effects of {count_of(len(conditions), 'condition')} x {len(effects.genes):,} genes, {effects.scale} values{unlike}",
        f"  {count_of(len(contexts), 'context')}: {join_names(f'{name} ({n})' for name, n in sorted(contexts.items()))}",
        f"  {count_of(len(agents), 'perturbation')}: {join_names(sorted(agents))}",
        f"  measured in two contexts or more: {several:,} of {len(n_contexts):,}; in all: {complete:,}",
    ]
    if doses := sorted({c.dose for c in conditions if c.dose}, key=lambda d: (*(place_of_dose(d) or ("", 0.0)), d)):
        lines.append(f"  {count_of(len(doses), 'dose')}: {join_names(doses)}")
    if times := sorted({c.time for c in conditions if c.time is not None}):
        lines.append(f"  {count_of(len(times), 'time')}: {join_names(f'{time:g} h' for time in times)}")
    measured, se, everywhere = perturbed.measured, perturbed.layer("se"), 0
    if share := 1.0 - float(measured.mean()):
        everywhere = int(measured.all(axis=0).sum())
        extent = f"{everywhere:,} of {len(effects.genes):,} genes are measured in every condition"
        lines.append(f"  missing: {share:.1%} of the values; {extent}")
    else:
        lines.append("  missing: nothing")
    if n_with_errors := 0 if se is None else int(np.isfinite(se).any(axis=1).sum()):
        lines.append(f"  standard errors: of {n_with_errors:,} of {count_of(len(conditions), 'condition')}")
    else:
        lines.append("  standard errors: unknown (metrics and intervals that need them rest on what a model learns)")
    means = effects.control_means()
    of = f"of {count_of(len(means), 'context')}" if means else "unknown (models that need mean expression do not apply)"
    lines.append(f"  control means: {of}")
    lines += [f"  {note}" for note in effects.notes]
    lines += [f"warning: {sentence}." for sentence in measured_together(effects)]
    return "\n".join(lines)
