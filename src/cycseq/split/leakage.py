"""Leakage: what a split's training part already knows of its test part."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.errors import count_of
from cycseq.split.base import Split
from cycseq.split.leak import PAIRS, Leak
from cycseq.split.problems import REFERENCE, describe_given_away, describe_missing_controls, given_away
from cycseq.split.shared_cells import shared_barcodes, shared_cells, shared_metacells
from cycseq.split.wells import shared_wells


def check_leakage(split: Split, data: Data) -> tuple[Leak, ...]:
    """All leaks of a split: an empty tuple if there is none.

    Looked for, between training, validation and test (and, of cells, the controls held back as reference): conditions and
    cells that are in two parts (by obs name, or by expression, equal to the last bit), barcodes that recur in a batch (`Leak.level` is ``"warning"`` where the
    profiles differ, as 10x barcodes recur across lanes by chance), metacells that share cells
    (``obsm["source_cells"]``), tested perturbations hidden in combinations, and missing controls of tested contexts;
    and variable genes that `prepare` chose with the tested cells (a ``"warning"``; not of ``random-cells``, where
    every condition is tested and trained on alike). Raises `SplitError` if the split was made from other data.
    """
    split.check_data(data)
    rows = split.rows_unchecked(data)
    if isinstance(data, Effects):
        shared = shared_cells(data.effect, data.adata.obs_names, rows, "conditions", "effects")
        return (*_shared_conditions(split), *shared, *_hidden_perturbations(split), *shared_wells(split, data))
    if split.kind == "random-cells":  # whose reference is a part of its test
        rows[REFERENCE] = rows[REFERENCE][:0]
    return (
        *_shared_conditions(split),
        *shared_cells(data.x, data.adata.obs_names, rows, "cells", "expression"),
        *shared_barcodes(data, rows),
        *shared_metacells(data, rows),
        *_hidden_perturbations(split),
        *_chosen_genes(split, data),
        *_missing_controls(split, data),
    )


def warnings_of(split: Split, data: Data) -> list[str]:
    """What must be said beside any score of a split of effects: what was measured together across contexts.

    Cells are looked at by `check_leakage`, on demand: it takes a pass over them.
    """
    return [str(leak) for leak in shared_wells(split, data)] if isinstance(data, Effects) else []


def condense_warnings(warnings: Sequence[Sequence[str]]) -> list[str]:
    """The first warning of many splits, and in how many of them the like is found."""
    with_any = [one for one in warnings if one]
    if not with_any:
        return []
    others = f" The same is found in {len(with_any)} of {len(warnings)} splits." if len(warnings) > 1 else ""
    return [with_any[0][0] + others, *with_any[0][1:]]


def _shared_conditions(split: Split) -> Iterable[Leak]:
    for first, second in () if split.cuts_conditions else PAIRS:
        if shared := sorted(set(split.in_part(first)) & set(split.in_part(second))):
            what = f"{count_of(len(shared), 'condition is', 'conditions are')} in {first} and in {second} (first: {shared[0]})"
            cure = "Let each condition be in one part: make the split again with cycseq split."
            yield Leak("shared conditions", what, len(shared), cure)


def _hidden_perturbations(split: Split) -> Iterable[Leak]:
    """Tested perturbations that training has seen inside of combinations."""
    training = (*split.train, *split.validation)
    hidden = given_away(split.kind, training, split.test, cuts=split.cuts_conditions, seen_parts=split.seen_parts)
    if hidden:
        yield Leak(
            "hidden perturbations",
            describe_given_away(hidden),
            len(hidden),
            "Leave those conditions out: make the split again with cycseq split.",
        )


def _chosen_genes(split: Split, data: PerturbationData) -> Iterable[Leak]:
    """Tested conditions that took part in the choice of variable genes."""
    prepared = data.provenance().get("prepare", {})
    genes = prepared.get("genes", "all")
    # With fewer genes than were asked for, all were kept and nothing was chosen.
    if split.kind == "random-cells" or genes == "all" or len(data.genes) < genes:
        return
    held_out = prepared.get("hold_out", ())
    single = {Condition.parse(text, data.contexts) for text in held_out if ":" in text and text not in data.contexts}
    consulted = sorted(c for c in split.test if c.context not in held_out and c not in single)
    if consulted:
        contexts_kept = {c.context for c in (*split.train, *split.validation, *split.left_out)}
        names = list(dict.fromkeys(str(c) if c.context in contexts_kept else c.context for c in consulted))
        more = f" and {len(names) - 10} more" if names[10:] else ""
        tested = f"{count_of(len(consulted), 'condition')} (first: {consulted[0]})"
        what = f"the variable genes were chosen with the tested cells of {tested}"
        cure = f"Prepare again with --hold-out {shlex.quote(','.join([*held_out, *names[:10]]))}{more}."
        yield Leak("chosen genes", what, len(consulted), cure, "warning")


def _missing_controls(split: Split, data: PerturbationData) -> Iterable[Leak]:
    if lacking := split.contexts_without_controls(data):
        yield Leak(
            "missing controls",
            describe_missing_controls(lacking),
            len(lacking),
            "Keep the control cells of every context in training.",
        )
