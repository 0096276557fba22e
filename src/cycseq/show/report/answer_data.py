"""What the page of an answer draws from: the genes of every condition, in few bytes, and the measured conditions beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from cycseq.data.effects import Effects
from cycseq.errors import printable
from cycseq.knowledge.neighbours import neighbours
from cycseq.knowledge.stored import stored_sources
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import effects_of
from cycseq.run.answer.predict import Answer

MAX_BYTES = 3_600_000
"""Of the genes in the page: 300 conditions fit into one of 5 MB."""
BYTES_PER_GENE = 38
"""Measured on pages of several conditions."""
MIN_GENES = 100
"""Genes of each condition, at least; beyond so many conditions as then fit, those with the fewest sure genes are left out."""
MAX_SET_BYTES = 700_000
"""Of the gene sets in the page; those that come after are left out."""
MAX_SOURCES = 300
"""Rows of measured conditions."""
MAX_NEIGHBOURED = 60
"""Conditions whose neighbours are named."""


def conditions_shown(genes: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """The genes of every condition that the page has room for, the surest first and as many of each as there is room for."""
    parts = [((str(key[0]), str(key[1])), part) for key, part in genes.groupby(["context", "perturbation"], sort=False)]
    room = MAX_BYTES // BYTES_PER_GENE
    if len(parts) * MIN_GENES > room:
        parts = sorted(parts, key=lambda part: -int((part[1]["lfsr"] <= 0.05).sum()))[: room // MIN_GENES]
    return [(key, part.head(room // len(parts))) for key, part in parts]


def embed(shown: Sequence[tuple[tuple[str, str], pd.DataFrame]], gene_sets: Mapping[str, Sequence[str]]) -> Markup:
    """The genes as JSON that stands in a page: names once, numbers by condition, gene sets as far as there is room."""
    names = pd.Index(pd.concat([part["gene"] for _, part in shown]).unique())
    tables = [_columns(part, names) for _, part in shown]
    sets, room = {}, MAX_SET_BYTES
    for name, genes in gene_sets.items():
        members = names.get_indexer(pd.Index(genes))
        members = members[members >= 0]
        room -= len(name) + 6 * len(members)
        if len(members) and room > 0:
            sets[printable(name)] = members.tolist()
    text = json.dumps(
        {"genes": [printable(name) for name in names], "tables": tables, "sets": sets}, separators=(",", ":")
    )
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _columns(part: pd.DataFrame, names: pd.Index) -> list[Any]:
    """Gene, effect, lower, upper, probability of a rise and lfsr, of three digits each; what is unknown is not sure."""
    effect = part["effect"].to_numpy(dtype=np.float64)
    lower, upper = (np.where(part[side].notna(), part[side], effect) for side in ("lower", "upper"))
    up, lfsr = (part[name].fillna(0.5).to_numpy(dtype=np.float64) for name in ("probability_up", "lfsr"))
    numbers = [np.round(values, 3).tolist() for values in (effect, lower, upper, up)]
    return [names.get_indexer(pd.Index(part["gene"])).tolist(), *numbers, [float(f"{value:.1e}") for value in lfsr]]


def sources(answer: Answer) -> list[dict[Any, Any]]:
    """The measured conditions of the same perturbations, the most alike first: cells, and correlation of their effects with the prediction."""
    wanted = {c.perturbation for c, kind in answer.kinds.items() if kind is not None}
    same = [c for c in answer.split.train if c.perturbation in wanted]
    if not same:
        return []
    measured = _measured(answer, same)
    place = {c: row for row, c in enumerate(measured.conditions())}
    n_cells = measured.obs["n_cells"].to_numpy(dtype=np.float64)
    rows = []
    for (context, perturbation), part in answer.genes.groupby(["context", "perturbation"], sort=False):
        predicted = part.set_index("gene")["effect"].reindex(measured.genes).to_numpy(dtype=np.float64)
        for other in (c for c in same if c.perturbation == perturbation and c.context != context):
            real = measured.effect[place[other]]
            both = np.isfinite(predicted) & np.isfinite(real)
            flat = both.sum() < 3 or not (predicted[both].std() and real[both].std())
            correlation = np.nan if flat else float(np.corrcoef(predicted[both], real[both])[0, 1])
            rows.append(
                {
                    "predicted": f"{context}:{perturbation}",
                    "measured": str(other),
                    "cells": float(n_cells[place[other]]),
                    "correlation": correlation,
                }
            )
        if len(rows) > MAX_SOURCES:
            break
    table = pd.DataFrame(rows, columns=["predicted", "measured", "cells", "correlation"])
    return (
        table.sort_values(["predicted", "correlation"], ascending=[True, False], kind="stable")
        .head(MAX_SOURCES)
        .to_dict("records")
    )


def known_neighbours(answer: Answer) -> list[dict[Any, Any]]:
    """By the sources of knowledge that the model holds, the measured perturbations most alike to those predicted; none without."""
    known = stored_sources(answer.model.learned.arrays, answer.model.learned.facts)
    wanted = [c for c, kind in answer.kinds.items() if kind is not None][:MAX_NEIGHBOURED]
    if not known or not wanted:
        return []
    return neighbours(known, _measured(answer, answer.split.train), wanted).to_dict("records")


def _measured(answer: Answer, conditions: Sequence[Any]) -> Effects:
    """The measured effects of these conditions."""
    data = answer.data
    if isinstance(data, Effects):
        return data.subset(conditions)
    controls = [c for c in data.conditions() if c.is_control and c.context in {one.context for one in conditions}]
    return effects_of(as_log1p(data.subset([*conditions, *controls]))).perturbed()
