"""Which cells and genes are kept, and why the others are not."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.gene_names import note_perturbed_genes
from cycseq.data.usual_names import CONTROL
from cycseq.errors import DataError, count_of, unknown_name, was
from cycseq.matrix.arrays import CellMask, PerCell
from cycseq.preparation.normalise import cells_expressing, gene_moments
from cycseq.preparation.quality import Selection, check_cells
from cycseq.preparation.settings import PrepareSettings
from cycseq.preparation.variable_genes import variable_genes

MIN_CONTROLS = 2  # control cells that a context must have


def choose_cells(data: PerturbationData, sizes: PerCell | None, settings: PrepareSettings) -> Selection:
    """The cells of one input that are kept."""
    left_out = _named(data, settings.leave_out)
    combined = np.array([settings.singles_only and len(c.parts) > 1 for c in data.conditions()], dtype=bool)
    quality = check_cells(data.x, data.genes, sizes, settings)
    keep = quality.kept & ~(left_out | combined)[data.condition_codes]
    notes = list(quality.notes)
    for why, which in (("left out by name", left_out), ("combinations", combined & ~left_out)):
        if n := int(which[data.condition_codes].sum()):
            notes.append(f"{count_of(n, 'cell')} of {count_of(int(which.sum()), 'condition')} ({why}) {was(n)} dropped")
    if not keep.any() and not left_out.all():
        raise DataError(f"no cells are left of {', '.join(data.contexts)}: {'; '.join(notes)}. Loosen the limits.")
    return Selection(keep, tuple(notes))


def check_names(inputs: Sequence[PerturbationData], texts: Sequence[str]) -> None:
    """Raise `SettingsError` if a context or condition is named that no input has."""
    options = sorted({name for data in inputs for name in (*data.contexts, *map(str, data.conditions()))})
    for text in texts:
        if not any(_named(data, [text]).any() for data in inputs):
            raise unknown_name(text, "context or condition", options)


def _named(data: PerturbationData, texts: Sequence[str]) -> Bool[np.ndarray, "conditions"]:
    """Which conditions are meant by names of contexts (`NK`) and of conditions (`NK:stim`)."""
    contexts = {text for text in texts if text in data.contexts}
    single = {Condition.parse(text, data.contexts) for text in texts if ":" in text and text not in contexts}
    return np.array([c.context in contexts or c in single for c in data.conditions()], dtype=bool)


def check_contexts(data: PerturbationData, rows: CellMask) -> None:
    """Raise `DataError` if a context that keeps cells has no control cell, or only one."""
    obs = data.adata.obs[rows]
    n_controls = (obs["perturbation"] == CONTROL).groupby(obs["context"].astype(str)).sum()
    few = n_controls[n_controls < MIN_CONTROLS]
    if few.empty:
        return
    context, cure = few.index[0], f"--leave-out {shlex.quote(','.join(few.index))}"
    problem = "no control cells" if few.iloc[0] == 0 else "only one control cell"
    others = f"; {len(few)} contexts have too few" if len(few) > 1 else ""
    msg = (
        f"{problem} in context {context!r} ({int((obs['context'] == context).sum()):,} cells{others}): every context "
        f"needs at least {MIN_CONTROLS}, because a response is a difference to them. Add the control cells, or "
        f"use {cure}."
    )
    raise DataError(msg, option=cure)


def drop_small_conditions(data: PerturbationData, rows: CellMask, least: int) -> Selection:
    """Without the perturbed conditions that have too few cells among these rows."""
    n_cells = np.bincount(data.condition_codes[rows], minlength=len(data.conditions()))
    small = np.array([not c.is_control for c in data.conditions()], dtype=bool) & (n_cells > 0) & (n_cells < least)
    dropped = rows & small[data.condition_codes]
    if not small.any():
        return Selection(rows)
    n, cells = int(small.sum()), count_of(int(dropped.sum()), "cell")
    note = f"{count_of(n, 'condition')} with fewer than {least} cells ({cells}) {was(n)} dropped"
    return Selection(rows & ~dropped, (note,))


def choose_genes(data: PerturbationData, rows: CellMask, settings: PrepareSettings) -> Selection:
    """The genes to keep, chosen on cells that are not held out, and those that a condition perturbs."""
    parts = {part for i in np.unique(data.condition_codes[rows]) for part in data.conditions()[i].parts}
    perturbed = data.adata.var_names.isin(parts)
    note = note_perturbed_genes(parts, data.genes)
    notes = [note] if note else []
    keep = np.ones(len(data.genes), dtype=bool)
    held_out = _named(data, settings.hold_out) & np.array([not c.is_control for c in data.conditions()], dtype=bool)
    consulted = rows & ~held_out[data.condition_codes]
    if settings.min_cells:
        keep = (cells_expressing(data.x, consulted) >= settings.min_cells) | perturbed
        n = int((~keep).sum())
        notes.append(f"{count_of(n, 'gene')} in fewer than {settings.min_cells} cells {was(n)} dropped")
    if settings.genes != "all" and settings.genes < keep.sum():
        sizes = data.adata.obs["total_counts"].to_numpy(np.float64) if data.scale == "counts" else None
        moments = gene_moments(data.x, data.scale, sizes, consulted)
        candidates = np.flatnonzero(keep)
        variable = np.zeros(len(keep), dtype=bool)
        variable[candidates] = variable_genes(moments.mean[keep], moments.variance[keep], settings.genes)
        n_besides = int((perturbed & ~variable).sum())
        keep = variable | perturbed
        held_out = ", without the perturbed cells held out" if held_out.any() else ""
        notes.append(
            f"{int(variable.sum()):,} highly variable genes were chosen on {count_of(int(consulted.sum()), 'cell')}{held_out}; "
            f"{count_of(n_besides, 'perturbed gene was', 'perturbed genes were')} kept besides"
        )
    elif settings.genes != "all":
        notes.append(
            f"all {count_of(int(keep.sum()), 'gene was', 'genes were')} kept: no more than the {settings.genes:,} asked for"
        )
    return Selection(keep, tuple(notes))
