"""Leakage: what a split's training part already knows of its test part."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from jaxtyping import UInt64

from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.effects import Effects
from cycseq.data.either import Data
from cycseq.matrix.arrays import Codes, InMemory, Matrix, per_cell, take
from cycseq.split.base import REFERENCE, Split
from cycseq.split.wells import shared_wells

BARCODE = re.compile(r"[ACGTN]{12,}")
MIN_VALUES = 20
"""Cells with fewer values other than zero may agree by chance."""
SAME_PROFILE = 0.98
"""Cosine of the profiles of two cells with one barcode, from which on they are taken for the same cell."""
BLOCK = 20_000
PAIRS = (("train", "test"), ("validation", "test"), ("train", "validation"))
PAIRS_OF_CELLS = (*PAIRS, ("train", REFERENCE))


@dataclass(frozen=True)
class Leak:
    """One way in which a part of a split knows of another."""

    kind: str
    """``"shared conditions"``, ``"shared cells"``, ``"shared barcodes"``, ``"shared metacells"``,
    ``"hidden perturbations"``, ``"shared wells"``, ``"chosen genes"`` or ``"missing controls"``."""
    what: str
    """What was found, with an example."""
    n: int
    """How many cells, or conditions, or contexts."""
    cure: str
    level: Literal["leak", "warning"] = "leak"
    """A warning may be chance."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}. {self.cure}"


def check_leakage(split: Split, data: Data) -> tuple[Leak, ...]:
    """All leaks of a split: an empty tuple if there is none.

    Looked for, between training, validation and test (and, of cells, the controls held back as reference): conditions and
    cells that are in two parts (by obs name, or by expression, equal to the last bit), barcodes that recur in a batch (`Leak.level` is ``"warning"`` where the
    profiles differ, as 10x barcodes recur across lanes by chance), metacells that share cells
    (``obsm["source_cells"]``), tested perturbations hidden in combinations, and missing controls of tested contexts;
    and variable genes that `prepare` chose with the tested cells (a ``"warning"``; not of ``random-cells``, where
    every condition is tested and trained on alike).

    Parameters
    ----------
    split
        The split.
    data
        The data that it was made from.

    Raises
    ------
    SplitError
        If the split was made from other data.
    """
    split.check_data(data)
    rows = split.rows_unchecked(data)
    if isinstance(data, Effects):
        shared = _shared_cells(data.effect, data.adata.obs_names, rows, "conditions", "effects")
        return (*_shared_conditions(split), *shared, *_hidden_perturbations(split), *_shared_wells(split, data))
    if split.kind == "random-cells":  # whose reference is a part of its test
        rows[REFERENCE] = rows[REFERENCE][:0]
    return (
        *_shared_conditions(split),
        *_shared_cells(data.x, data.adata.obs_names, rows, "cells", "expression"),
        *_shared_barcodes(data, rows),
        *_shared_metacells(data, rows),
        *_hidden_perturbations(split),
        *_chosen_genes(split, data),
        *_missing_controls(split, data, rows["train"]),
    )


def warnings_of(split: Split, data: Data) -> list[str]:
    """What must be said beside any score of a split of effects: what was measured together across contexts.

    Cells are looked at by `check_leakage`, on demand: it takes a pass over them.
    """
    return [str(leak) for leak in _shared_wells(split, data)] if isinstance(data, Effects) else []


def condense_warnings(warnings: Sequence[Sequence[str]]) -> list[str]:
    """The first warning of many splits, and in how many of them the like is found."""
    with_any = [one for one in warnings if one]
    if not with_any:
        return []
    others = f" The same is found in {len(with_any)} of {len(warnings)} splits." if len(warnings) > 1 else ""
    return [with_any[0][0] + others, *with_any[0][1:]]


def row_hashes(x: Matrix) -> UInt64[np.ndarray, "cells"]:
    """A 64-bit hash of the values of every cell; 0 where fewer than `MIN_VALUES` differ from zero.

    Every value's bits are mixed with a random number of its gene, and the results are summed modulo 2^64: sums of
    whole numbers do not depend on their order, so dense and sparse rows agree.
    """
    return per_cell(x, _row_hashes)


def _row_hashes(x: InMemory) -> UInt64[np.ndarray, "cells"]:
    genes = np.random.default_rng(0).integers(0, 2**64 - 1, int(x.shape[1]), dtype=np.uint64)
    genes |= np.uint64(1)
    hashes = np.zeros(x.shape[0], dtype=np.uint64)
    for start in range(0, x.shape[0], BLOCK):
        block = sp.csr_array(x[start : start + BLOCK])
        mixed = block.data.view(np.uint32).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        mixed *= genes[block.indices]
        ends = np.zeros(len(mixed) + 1, dtype=np.uint64)
        np.cumsum(mixed, out=ends[1:])
        sums = ends[block.indptr[1:]] - ends[block.indptr[:-1]]
        hashes[start : start + BLOCK] = np.where(np.diff(block.indptr) >= MIN_VALUES, sums, 0)
    return hashes


def barcodes(names: pd.Index) -> pd.Series:
    """The barcode in each cell's name, without prefixes and suffixes (``-1``, ``_ctrl``, a file's name); NaN for none."""
    return pd.Series(names, dtype=str).str.extract(f"({BARCODE.pattern})", expand=False)


def _shared_conditions(split: Split) -> Iterable[Leak]:
    cut = split.cuts_conditions
    for first, second in PAIRS:
        shared = sorted(set(split.in_part(first)) & set(split.in_part(second)))
        if shared and not cut:
            yield Leak(
                "shared conditions",
                f"{len(shared)} conditions are in {first} and in {second} (first: {shared[0]})",
                len(shared),
                "Let each condition be in one part: make the split again with cycseq split.",
            )


def _shared_cells(x: Matrix, names: pd.Index, rows: dict[str, Codes], things: str, values: str) -> Iterable[Leak]:
    hashes = row_hashes(x)
    for first, second in PAIRS_OF_CELLS:
        n = len(np.intersect1d(rows[first], rows[second]))
        if n:
            yield Leak(
                "shared cells",
                f"{n:,} {things} are in {first} and in {second}",
                n,
                "Make the split again with cycseq split.",
            )
        rows_first, rows_second = np.setdiff1d(rows[first], rows[second]), np.setdiff1d(rows[second], rows[first])
        same = rows_second[np.isin(hashes[rows_second], hashes[rows_first]) & (hashes[rows_second] != 0)]
        if len(same):
            twin = rows_first[np.flatnonzero(hashes[rows_first] == hashes[same[0]])[0]]
            yield Leak(
                "shared cells",
                f"{len(same):,} {things} of {second} have exactly the {values} of one of {first} "
                f"(first: {names[same[0]]} and {names[twin]})",
                len(same),
                f"Remove the duplicated {things} from the data.",
            )


def _shared_barcodes(data: PerturbationData, rows: dict[str, Codes]) -> Iterable[Leak]:
    code = barcodes(data.adata.obs_names)
    table = pd.DataFrame({"row": np.arange(data.n_cells), "barcode": code, "batch": data.adata.obs["batch"].to_numpy()})
    for first, second in PAIRS_OF_CELLS:
        in_first, in_second = (table.iloc[rows[part]].dropna(subset="barcode") for part in (first, second))
        pairs = in_first.merge(in_second, on=["barcode", "batch"], suffixes=("", "_other"))
        pairs = pairs[pairs["row"] != pairs["row_other"]]
        if pairs.empty:
            continue
        alike = _cosines(data.x, pairs["row"].to_numpy(), pairs["row_other"].to_numpy()) >= SAME_PROFILE
        for level, matches in (("leak", pairs[alike]), ("warning", pairs[~alike])):
            if len(matches):
                yield _barcode_leak(level, matches, first, second)  # type: ignore[arg-type]


def _barcode_leak(level: Literal["leak", "warning"], pairs: pd.DataFrame, first: str, second: str) -> Leak:
    n = int(pairs["row_other"].nunique())
    same = (
        "and nearly the same profile: they are one cell"
        if level == "leak"
        else "but another profile, as it happens by chance across lanes"
    )
    return Leak(
        "shared barcodes",
        f"{n:,} cells of {second} share barcode and batch with a cell of {first} (first: {pairs['barcode'].iloc[0]}), {same}",
        n,
        "Remove the duplicated cells from the data."
        if level == "leak"
        else "Name lanes as batches (--batch-key), or look at these cells.",
        level,
    )


def _cosines(x: Matrix, first: Codes, second: Codes) -> np.ndarray:
    one, two = (sp.csr_array(take(x, part)).astype(np.float64) for part in (first, second))
    products = [np.asarray(a.multiply(b).sum(axis=1)).ravel() for a, b in ((one, two), (one, one), (two, two))]
    return np.asarray(products[0] / np.maximum(np.sqrt(products[1] * products[2]), 1e-12))


def _shared_metacells(data: PerturbationData, rows: dict[str, Codes]) -> Iterable[Leak]:
    sources: Any = data.adata.obsm.get("source_cells")
    if sources is None:
        return
    sources = sp.csr_array(sources)
    used = {part: np.unique(sources[rows[part]].indices) for part in rows}
    for first, second in PAIRS_OF_CELLS:
        n = len(np.intersect1d(used[first], used[second]))
        if n:
            yield Leak(
                "shared metacells",
                f"metacells of {first} and of {second} were made from the same {n:,} cells",
                n,
                "Split the single cells first and make metacells within each part.",
            )


def _shared_wells(split: Split, effects: Effects) -> Iterable[Leak]:
    for shared in shared_wells(split, effects):
        yield Leak(
            "shared wells",
            f"{shared.n:,} of {len(split.test):,} tested conditions were measured in the same {shared.column} as their perturbation in a "
            f"training context (first: {shared.tested} and {shared.other}, {shared.column} {shared.label!r}), so that likeness may be "
            f"the {shared.column}'s and no biology",
            shared.n,
            f"A good score supports no claim of transfer: test contexts that were measured in another {shared.column}.",
            "warning",
        )


def _hidden_perturbations(split: Split) -> Iterable[Leak]:
    """Tested perturbations that training has seen inside of combinations."""
    learnt = (*split.train, *split.validation)
    if split.kind == "unseen-combination":
        seen_parts = {part for c in learnt for part in c.parts}
        allowed = 2 if split.seen_parts is None else split.seen_parts
        hidden = [
            c
            for c in split.test
            if len(seen_parts & set(c.parts)) > allowed or any(set(c.parts) <= set(o.parts) for o in learnt)
        ]
    elif split.kind == "unseen-perturbation":
        hidden = [c for c in split.test if any(set(c.parts) <= set(other.parts) for other in learnt)]
    elif split.kind in {"unseen-pair", "unseen-context", "few-shot"} and not split.cuts_conditions:
        hidden = [c for c in split.test if any(_contains(other, c) for other in learnt)]
    else:
        hidden = []
    if hidden:
        yield Leak(
            "hidden perturbations",
            f"{len(hidden)} tested conditions are given away by training or validation conditions that contain them "
            f"(first: {min(hidden)})",
            len(hidden),
            "Leave those conditions out: make the split again with cycseq split.",
        )


def _contains(other: Condition, tested: Condition) -> bool:
    return other.context == tested.context and set(tested.parts) <= set(other.parts)


def _chosen_genes(split: Split, data: PerturbationData) -> Iterable[Leak]:
    """Tested conditions that took part in the choice of variable genes."""
    prepared = data.provenance().get("prepare", {})
    genes = prepared.get("genes", "all")
    # With fewer genes than were asked for, all were kept and nothing was chosen.
    if split.kind == "random-cells" or genes == "all" or len(data.genes) < genes:
        return
    held_out = prepared.get("hold_out", ())
    held_conditions = {
        Condition.parse(text, data.contexts) for text in held_out if ":" in text and text not in data.contexts
    }
    consulted = sorted(c for c in split.test if c.context not in held_out and c not in held_conditions)
    if consulted:
        contexts_kept = {c.context for c in (*split.train, *split.validation, *split.left_out)}
        names = list(dict.fromkeys(str(c) if c.context in contexts_kept else c.context for c in consulted))
        names_given = shlex.quote(",".join([*held_out, *names[:10]])) + (
            f" and {len(names) - 10} more" if names[10:] else ""
        )
        yield Leak(
            "chosen genes",
            f"the variable genes were chosen with the tested cells of {len(consulted)} conditions (first: {consulted[0]})",
            len(consulted),
            f"Prepare again with --hold-out {names_given}.",
            "warning",
        )


def _missing_controls(split: Split, data: PerturbationData, train: Codes) -> Iterable[Leak]:
    obs = data.adata.obs.iloc[train]
    have = set(obs["context"][obs["perturbation"] == "control"].unique())
    lacking = sorted({c.context for c in split.test} - have)
    if lacking:
        yield Leak(
            "missing controls",
            f"training has no control cells of {', '.join(lacking)}, where responses are tested",
            len(lacking),
            "Keep the control cells of every context in training.",
        )
