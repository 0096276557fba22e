"""An entry of the Virtual Cell Challenge 2026: `.vcc`, a tar of `meta.json` and `pred.h5ad.zst`, checked before it is written.

The rules are those of `vcc prep` (vcc-cli 0.3.0): whatever passes here passes there.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.dataset import PerturbationData
from cycseq.errors import DataError, FileError, count_of, join_names
from cycseq.formats.readers.base import as_read_error, read_csv, read_genes
from cycseq.io.files import atomic_write, check_output, check_space, require_file
from cycseq.io.hdf5 import write_h5ad
from cycseq.io.untrusted import read_json, wrong_kinds
from cycseq.matrix.arrays import InMemory, by_block, map_blocks

ENDINGS = (".vcc",)
WHAT = "one .vcc, an entry of the Virtual Cell Challenge 2026 (use --genes-file and --targets): counts, target_gene, context"
CELLS = 400  # of each target in each context, where the list of targets says no other number
MAX_TOTAL, MAX_STORED, MAX_CELLS = 1_000_000, 4_750_000_000, 400_000
"""Counts of a cell, values that are stored, and cells."""
HEADERS = {"gene_name", "gene", "gene_symbol", "gene_names", "genes"}
CONTROL_LABEL = "non-targeting"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Panel:
    """What an entry must hold."""

    genes: tuple[str, ...]  # in the order of the file's columns
    targets: dict[str, dict[str, int]]
    """For each context, how many cells each target needs; those of the context ``""`` hold for every context."""
    contexts: tuple[str, ...] = ()  # all of them; empty where nobody says
    panel_id: str | None = None

    def targets_in(self, context: str) -> dict[str, int]:
        """How many cells each target of a context needs."""
        return self.targets.get(context, self.targets.get("", {}))

    @classmethod
    def read(cls, genes_file: Path, targets: Path) -> Panel:
        """The challenge's `gene_names.csv` and `pert_counts.csv`, and its `manifest.json` where it lies beside them.

        Raises `FileError` if a file is missing or no such list, and `DataError` if a gene occurs twice, or no target is named.
        """
        names = [str(name).strip() for name in read_genes(require_file(genes_file))]
        genes = names[1:] if names and names[0].lower() in HEADERS else names
        if twice := pd.Index(genes)[pd.Index(genes).duplicated()].unique().tolist():
            raise DataError(f"{genes_file} names {join_names(twice)} twice: give the challenge's gene_names.csv.")
        with as_read_error(require_file(targets), "a list of targets"):
            frame = read_csv(targets, dtype=str)
        if not isinstance(frame.index, pd.RangeIndex):  # pandas would take the first field for the name of the row
            raise FileError(
                f"{targets} has lines with more fields than its header: give the challenge's pert_counts.csv."
            )
        if "target_gene" not in frame:
            msg = f"{targets} has no column target_gene, but {join_names(frame.columns)}: give the challenge's pert_counts.csv."
            raise FileError(msg)
        frame = frame[frame["target_gene"].notna() & (frame["target_gene"] != CONTROL_LABEL)]
        cells = _numbers_of_cells(frame["n_cells"], targets) if "n_cells" in frame else pd.Series(CELLS, frame.index)
        contexts = frame["context"] if "context" in frame else pd.Series("", frame.index)
        by_context = {
            str(context): dict(zip(part["target_gene"].str.strip(), cells[part.index], strict=True))
            for context, part in frame.groupby(contexts)
        }
        if not by_context:
            raise DataError(f"{targets} names no target: give the challenge's pert_counts.csv.")
        manifest = _manifest(genes_file, targets)
        panel_contexts = tuple(manifest.get("contexts", ())) or tuple(context for context in by_context if context)
        return cls(tuple(genes), by_context, panel_contexts, manifest.get("panel_id"))

    def fingerprint(self) -> str:
        """Of the list of targets, as `vcc prep` makes it."""
        names = sorted({name for targets in self.targets.values() for name in targets})
        return "sha256:" + hashlib.sha256("\n".join(names).encode()).hexdigest()


def write_entry(data: PerturbationData, panel: Panel, path: Path, *, overwrite: bool = False) -> tuple[str, ...]:
    """Write predicted counts as an entry, whole or not at all; stored counts are written block by block.

    Control cells are left out, as the challenge has its own. Returned are sentences on what a user should know. Raises `DataError` if
    the challenge would refuse the entry, and `FileError` if the file exists or cannot be written.
    """
    import zstandard

    check_output(path, overwrite=overwrite, endings=ENDINGS)
    notes = ["its control cells were left out: the challenge has its own"] if len(data.controls().conditions()) else []
    data = data.subset(c for c in data.conditions() if not c.is_control)
    _check_genes(data, panel)
    _check_conditions(data, panel)
    if data.genes != list(panel.genes):
        notes.append("genes were put into the order of the list")
        data = data.with_genes(panel.genes)
    stored = _check_values(data)
    check_space(path, 8 * stored)
    obs = data.adata.obs[["perturbation", "context"]].astype(str).rename(columns={"perturbation": "target_gene"})
    obs.index = pd.Index([str(i) for i in range(len(obs))])
    entry = ad.AnnData(map_blocks(data.x, sp.csr_matrix), obs=obs, var=pd.DataFrame(index=pd.Index(panel.genes)))
    meta = {
        "schema": 1,
        "nnz": stored,
        "n_obs": data.n_cells,
        "n_vars": len(panel.genes),
        "contexts": list(data.contexts),
        "perts_fingerprint": panel.fingerprint(),
        "written_by": f"cycseq {version('cycseq')}",
    } | ({"panel_id": panel.panel_id} if panel.panel_id else {})
    with atomic_write(path, overwrite=overwrite) as part:
        h5ad, packed, facts = (part.with_name(name) for name in ("pred.h5ad", "pred.h5ad.zst", "meta.json"))
        write_h5ad(entry, h5ad, compression=None)
        with h5ad.open("rb") as source, packed.open("wb") as target:
            zstandard.ZstdCompressor(level=3, threads=-1).copy_stream(source, target, size=h5ad.stat().st_size)
        h5ad.unlink()
        facts.write_text(json.dumps(meta, sort_keys=True), encoding="utf-8")
        with tarfile.open(part, "w") as tar:
            for member in (facts, packed):
                tar.add(member, arcname=member.name, filter=_nameless)
    return (*notes, f"{stored:,} counts are not 0, {stored / data.n_cells:,.0f} of a cell")


def _check_genes(data: PerturbationData, panel: Panel) -> None:
    missing, others = set(panel.genes) - set(data.genes), set(data.genes) - set(panel.genes)
    if missing or others:
        lacking = f"{len(missing):,} of its {len(panel.genes):,} are missing ({join_names(missing)})" if missing else ""
        more = f"{len(others):,} are not in it ({join_names(others)})" if others else ""
        msg = f"the genes are not those of the list: {'; '.join(filter(None, (lacking, more)))}. Predict exactly the listed genes."
        raise DataError(msg)


def _check_conditions(data: PerturbationData, panel: Panel) -> None:
    if data.scale != "counts":
        msg = f"the challenge takes counts, and these cells are {data.scale}: cycseq predict --as counts writes whole numbers."
        raise DataError(msg)
    contexts = set(data.contexts)
    if panel.contexts and contexts != set(panel.contexts):
        msg = f"the contexts are {join_names(contexts)}, but the entry must cover {join_names(panel.contexts)}: predict all of these and no others."
        raise DataError(msg)
    if data.n_cells > MAX_CELLS:
        msg = f"there are {data.n_cells:,} cells, and an entry has {MAX_CELLS:,} at most: give one prediction of each target."
        raise DataError(msg)
    sizes = dict(zip(data.conditions(), np.bincount(data.condition_codes).tolist(), strict=True))
    for context in sorted(contexts):
        targets = panel.targets_in(context)
        there = {c.perturbation: n for c, n in sizes.items() if c.context == context}
        missing, others = targets.keys() - there.keys(), there.keys() - targets.keys()
        if missing or others:
            cause = f"{len(others)} are not targets ({join_names(others)})"
            if missing:
                cause = f"{count_of(len(missing), 'target is', 'targets are')} missing ({join_names(missing)})"
            msg = f"context {context}: {cause}. Predict exactly the listed targets, by gene symbol, in every context."
            raise DataError(msg)
        if wrong := sorted(f"{name} has {there[name]} of {n}" for name, n in targets.items() if there[name] != n):
            msg = f"context {context}: {count_of(len(wrong), 'target has', 'targets have')} another number of cells than they must ({join_names(wrong)}): cycseq predict --cells {CELLS}."
            raise DataError(msg)


def _check_values(data: PerturbationData) -> int:
    """How many counts are not 0."""
    parts = [of_block for _, of_block in by_block(data.x, _totals)]
    totals, stored = np.concatenate([of_cells for of_cells, _ in parts]), sum(n for _, n in parts)
    if totals.max() > MAX_TOTAL:
        msg = f"a cell has {totals.max():,.0f} counts, and {MAX_TOTAL:,} are allowed: predict cells of the depth of real ones."
        raise DataError(msg)
    if stored > MAX_STORED:
        msg = f"{stored:,} counts are not 0, and {MAX_STORED:,} are allowed: predict cells as sparse as real ones."
        raise DataError(msg)
    empty = np.bincount(data.condition_codes, totals) == 0
    if empty.any():
        names = [str(condition) for condition, is_empty in zip(data.conditions(), empty, strict=True) if is_empty]
        raise DataError(f"all cells of {join_names(names)} are empty: the model did not predict them.")
    return stored


def _totals(x: InMemory) -> tuple[np.ndarray, int]:
    """Counts of every cell, and how many values are not 0."""
    stored = np.count_nonzero(x) if isinstance(x, np.ndarray) else x.nnz
    return np.asarray(x.sum(axis=1, dtype=np.float64)).ravel(), int(stored)


def _manifest(*beside: Path) -> dict[str, Any]:
    """The manifest beside one of these files; empty where there is none."""
    for path in (one.parent / MANIFEST for one in beside):
        if path.is_file():
            cure = "Give the challenge's manifest.json, or take it away."
            record = read_json(path, cure)
            kinds = {"contexts": (list, str), "panel_id": str | None}
            if wrong := wrong_kinds(record, {name: kind for name, kind in kinds.items() if name in record}):
                raise FileError(f"{wrong[0]} in {path} is not what the challenge writes there. {cure}")
            return record
    return {}


def _numbers_of_cells(column: pd.Series, path: Path) -> pd.Series:
    """How many cells each target needs; raises `FileError` where that is not a whole number above 0."""
    numbers = pd.to_numeric(column, errors="coerce")
    right = numbers.between(1, MAX_CELLS) & (numbers == numbers.round())
    if not right.all():
        msg = f"{path}: n_cells is {column[~right].iloc[0]!r} in a row, but must be a whole number above 0: give the challenge's pert_counts.csv."
        raise FileError(msg)
    return numbers.astype(int)


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without user or time: the same entry is the same file everywhere."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
