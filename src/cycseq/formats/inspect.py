"""What a file holds, what is missing, and what to type to fix it: on one screen."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cycseq.data.absent_genes import note_absent_genes
from cycseq.data.dataset import Condition, PerturbationData
from cycseq.data.gene_names import check_genes_are_no_cells, note_dates, note_perturbed_genes
from cycseq.data.labels import CellLabels
from cycseq.data.mark import mark_of
from cycseq.data.scale import summarize_values
from cycseq.data.spellings import note_genes_alike
from cycseq.data.usual_names import CONTROL
from cycseq.data.validate import AS_WRITTEN, check_size, duplicated, float32, gene_symbols, labels_of, scale_of
from cycseq.errors import DataError, count_of
from cycseq.formats.load import default_context, load
from cycseq.formats.readers.base import FileContents
from cycseq.formats.settings import ReadSettings
from cycseq.formats.treated_cells import find_treatments, name_treatments, without_pooled
from cycseq.formats.treatments import Treatments
from cycseq.matrix.arrays import by_block
from cycseq.preparation.selection import check_contexts

SHOWN_CONTEXTS, SHOWN_PROBLEMS, SHOWN_NOTES = 10, 5, 10
FEW = 10  # a condition with fewer cells has a mean that is mostly noise


@dataclass(frozen=True)
class Problem:
    """Something that `cycseq prepare` would refuse."""

    message: str
    command: str  # what to type to fix it; empty where the file itself must change


@dataclass(frozen=True)
class Inspection:
    """What was found in a file."""

    path: Path
    headline: str  # format, cells x genes, sparse or dense, memory
    found: tuple[str, ...]  # scale and labels, and how they were chosen
    contexts: pd.DataFrame
    """One row per context: cells, control cells, perturbations; empty where the labels are unknown."""
    summary: tuple[str, ...]  # perturbations, cells per condition, perturbed genes among the genes, what is scarce
    problems: tuple[Problem, ...]
    command: str  # the next command, with every option that fixes a problem

    @property
    def ready(self) -> bool:
        """Whether `cycseq prepare` would take the file as it is."""
        return not self.problems

    def text(self) -> str:
        """Plain text of at most 40 lines."""
        lines = [f"{self.path.name or self.path}: {self.headline}", *(f"  {note}" for note in self.found[:SHOWN_NOTES])]
        lines += [f"  {line}" for line in self.summary]
        if len(self.contexts):
            shown = self.contexts.head(SHOWN_CONTEXTS)
            width = max(len("context"), *(len(str(name)) for name in shown.index))
            lines += [f"  {'context':<{width}} {'cells':>9} {'control':>9} {'perturbations':>14}"]
            lines += [f"  {name:<{width}} {row[0]:>9,} {row[1]:>9,} {row[2]:>14,}"
                      for name, row in zip(shown.index, shown.to_numpy(), strict=True)]  # fmt: skip
            hidden = len(self.contexts) - len(shown)
            lines += [f"  ... and {hidden} contexts more"] if hidden else []
        for problem in self.problems[:SHOWN_PROBLEMS]:
            lines += [f"problem: {problem.message}", *([f"    type: {problem.command}"] if problem.command else [])]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"... and {len(self.problems) - SHOWN_PROBLEMS} problems more")
        if self.ready:
            lines.append(f"ready: type {self.command}")
        elif len(self.problems) > 1 and all(problem.command for problem in self.problems):
            lines.append(f"not ready; all at once: {self.command}")
        else:
            lines.append("not ready")
        return "\n".join(lines)


def inspect_file(path: Path | str, settings: ReadSettings | None = None) -> Inspection:
    """Describe a file; what is wrong with its data is described as well, not raised.

    Parameters
    ----------
    path
        Anything that `cycseq.read` reads.
    settings
        What is not to be found by itself.

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.

    Examples
    --------
    >>> import cycseq
    >>> cycseq.inspect_file("counts.h5ad").ready
    True
    """
    path, settings = Path(path), settings or ReadSettings()
    try:
        loaded = load(path, settings)
        check_size(loaded.adata)
    except DataError as err:
        problem = _problem(path, settings, err)
        headline = "cannot be laid out as cells x genes"
        return Inspection(path, headline, (), pd.DataFrame(), (), (problem,), problem.command)
    errors: list[DataError] = []
    notes, summary, contexts = _describe(path, loaded, settings, errors)
    options = [err.option for err in errors if err.option]
    next_command = f"cycseq benchmark --data {shlex.quote(str(path))} --out out/ (it is prepared already)"
    prepared = AS_WRITTEN in notes and mark_of(loaded.adata).get("scale") == "log1p"
    return Inspection(
        path=path,
        headline=_headline(loaded),
        found=(*loaded.notes, *notes),
        contexts=contexts,
        summary=tuple(summary),
        problems=tuple(_problem(path, settings, err) for err in errors),
        command=next_command if prepared and not errors else _command(path, settings, options),
    )


def _describe(
    path: Path, loaded: FileContents, settings: ReadSettings, errors: list[DataError]
) -> tuple[list[str], list[str], pd.DataFrame]:
    """Sentences on labels and scale, on conditions, and the table of contexts; what is wrong is added to `errors`."""
    treatments: Treatments | None = None
    if settings.doses == "separate":
        loaded, settings, treatments = find_treatments(loaded, settings)
    adata, keys = loaded.adata, settings.keys()
    notes: list[str] = []

    def attempt(check: Callable[[], Any]) -> Any:
        try:
            return check()
        except DataError as err:
            errors.append(err)
            return None

    labels = partial(labels_of, adata, keys, default_context=settings.context_name or default_context(path))
    x = float32(adata.X)
    values = summarize_values(x)
    scale = attempt(lambda: scale_of(adata, x, values, keys, user_scale=settings.scale, layers=loaded.layers))
    if scale is not None:
        notes.append(f"scale: {scale.scale} ({scale.reason})")
        if scale.scale == "scaled":
            msg = "the values are scaled (standardised genes), which cannot be undone: give counts or log1p values."
            errors.append(DataError(msg))
    cell_labels = attempt(partial(labels, drop_unlabelled=True))
    if cell_labels is None:
        contexts = pd.DataFrame()
        summary = [f"obs columns: {', '.join(map(str, adata.obs.columns[:12])) or 'none'}"]
    else:
        if not settings.drop_unlabelled:
            attempt(partial(labels, drop_unlabelled=False))
        notes += cell_labels.notes
        if treatments is not None:
            notes = [*without_pooled(notes), *treatments.notes]
            obs = name_treatments(cell_labels.obs, treatments, range(len(cell_labels.obs)))
            cell_labels = dataclasses.replace(cell_labels, obs=obs)
        contexts, summary = _conditions(adata, cell_labels, attempt)
        if scale is not None and scale.scale != "scaled":
            summary += note_absent_genes(x, cell_labels.obs, ("context", "batch"))
    empty = adata.obs_names[values.empty]
    if len(empty) and (scale is None or scale.scale != "scaled") and not settings.drop_empty:
        msg = f"{count_of(len(empty), 'cell is', 'cells are')} empty (all values 0; first: {empty[0]})."
        errors.append(DataError(msg, option="--drop-empty true"))
    if not settings.make_unique:
        attempt(lambda: duplicated(adata.obs_names, "cells"))
        attempt(lambda: duplicated(adata.var_names, "genes"))
    return notes, summary, contexts


def _conditions(
    adata: ad.AnnData, cell_labels: CellLabels, attempt: Callable[[Callable[[], Any]], Any]
) -> tuple[pd.DataFrame, list[str]]:
    """Contexts, perturbations and cells of each, and what is scarce among them."""
    labels = cell_labels.obs[cell_labels.labelled]
    unvalued = ad.AnnData(obs=labels, var=pd.DataFrame(index=ad.utils.make_index_unique(gene_symbols(adata.var)[0])))
    data = PerturbationData(adata=unvalued, scale="counts")
    attempt(lambda: check_contexts(data, np.ones(data.n_cells, dtype=bool)))
    is_control = labels["perturbation"] == CONTROL
    grouped = labels.assign(control=is_control).groupby("context", sort=False, observed=True)
    contexts = pd.DataFrame({"cells": grouped.size(), "control": grouped["control"].sum()})
    perturbed = labels[~is_control].groupby("context", observed=True)["perturbation"].nunique()
    contexts["perturbations"] = perturbed.reindex(contexts.index).fillna(0).astype(int)
    contexts = contexts.sort_values("cells", ascending=False)

    sizes = np.bincount(data.condition_codes, minlength=len(data.conditions()))
    sizes = np.array([n for n, c in zip(sizes, data.conditions(), strict=True) if not c.is_control], dtype=int)
    parts = [Condition("", name).parts for name in data.perturbations]
    n_single = sum(len(names) == 1 for names in parts)
    lines = [
        f"contexts: {len(contexts)}; perturbed conditions: {sizes.size}; perturbations: {len(data.perturbations)} "
        f"({n_single} single, {len(parts) - n_single} combined)"
    ]
    if sizes.size:
        few = int((sizes < FEW).sum())
        scarce = f"; {few} have fewer than {FEW}" if few else ""
        low, median, high = np.percentile(sizes, [0, 50, 100])
        lines.append(f"cells per condition: {low:,.0f} min, {median:,.0f} median, {high:,.0f} max{scarce}")
        targets = sorted({part for names in parts for part in names})
        if n_measured := int(data.adata.var_names.isin(targets).sum()):
            lines.append(f"perturbed genes among the genes: {n_measured} of {len(targets)}")
        if note := note_perturbed_genes(targets, data.genes):
            lines.append(note)
    lines += filter(None, (note_dates(data.genes), note_genes_alike(data.genes)))
    attempt(lambda: check_genes_are_no_cells(data.genes))
    if len(contexts) == 1:
        lines.append("one context: transfer to an unseen context cannot be tested; unseen perturbations can")
    return contexts, lines


def _headline(loaded: FileContents) -> str:
    parts = [extent for _, extent in by_block(loaded.adata.X, _extent)]
    stored, n_bytes = np.sum([part[:2] for part in parts], axis=0)
    kind, (n_cells, n_genes) = parts[0][2], loaded.adata.shape
    return (
        f"{loaded.format}, {n_cells:,} cells x {n_genes:,} genes, {kind} ({100 * stored / (n_cells * n_genes):.1f} % "
        f"non-zero), {n_bytes / 2**20:,.1f} MiB in memory"
    )


def _extent(x: Any) -> tuple[int, int, str]:
    """Values that are not zero, bytes in memory, and whether it is sparse or dense."""
    if sp.issparse(x):
        return x.nnz, x.data.nbytes + x.indices.nbytes + x.indptr.nbytes, "sparse"
    return int(np.count_nonzero(x)), x.nbytes, "dense"


def _problem(path: Path, settings: ReadSettings, err: DataError) -> Problem:
    return Problem(str(err), _command(path, settings, [err.option]) if err.option else "")


def _command(path: Path, settings: ReadSettings, options: list[str]) -> str:
    """`cycseq prepare` with what was said and what fixes."""
    options_given = [
        f"--{field.name.replace('_', '-')} {shlex.quote(_typed(value))}"
        for field in dataclasses.fields(settings)
        if (value := getattr(settings, field.name)) != field.default
    ]
    fixed = {option.split()[0] for option in options}
    words = [*(option for option in options_given if option.split()[0] not in fixed), *dict.fromkeys(options)]
    out = f"{default_context(path)}_prepared.h5ad"
    return " ".join(["cycseq prepare", shlex.quote(str(path)), *words, "--out", shlex.quote(out)])


def _typed(value: Any) -> str:
    """A setting as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | Path) else ",".join(map(str, value))
