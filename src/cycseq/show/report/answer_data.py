"""What the page of an answer draws from, in few bytes: the genes of every predicted condition, and what was measured of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from cycseq.data.condition import Condition, treatment_name
from cycseq.data.effects import Effects
from cycseq.data.treatments import place_of_dose
from cycseq.errors import printable

MAX_BYTES = 3_500_000  # of the genes in the page: 300 conditions fit into one of 5 MB
BYTES_PER_GENE = 38  # measured on pages of several conditions
MIN_GENES = 100
"""Genes of each condition, at least; beyond so many conditions as then fit, those with the fewest sure genes are left out."""
MAX_SET_BYTES = 500_000  # of the gene sets in the page; those that come after are left out
MAX_MEASURED_BYTES = 500_000
"""Of the measured effects in the page: of many conditions, only those of the surest genes have room."""
BYTES_PER_EFFECT = 4
MAX_BESIDE = 40  # measured conditions beside each predicted one, those of its own context first


def conditions_shown(genes: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    """The genes of every condition that the page has room for, the surest first and as many of each as there is room for."""
    parts = [((str(key[0]), str(key[1])), part) for key, part in genes.groupby(["context", "perturbation"], sort=False)]
    room = MAX_BYTES // BYTES_PER_GENE
    if len(parts) * MIN_GENES > room:
        parts = sorted(parts, key=lambda part: -int((part[1]["lfsr"] <= 0.05).sum()))[: room // MIN_GENES]
    return [(key, part.head(room // len(parts))) for key, part in parts]


def embed(
    shown: Sequence[tuple[tuple[str, str], pd.DataFrame]],
    gene_sets: Mapping[str, Sequence[str]],
    measured: Effects | None = None,
) -> Markup:
    """What the page draws, as JSON that stands in it: names once, numbers by condition, as far as there is room.

    Parameters
    ----------
    shown
        The genes of every condition, as `conditions_shown` gives them.
    gene_sets
        By which the genes can be filtered.
    measured
        Measured effects of the same perturbations, at any dose and time, to be drawn beside the predicted ones.
    """
    names = pd.Index(pd.concat([part["gene"] for _, part in shown]).unique())
    conditions = [Condition(*key) for key, _ in shown]
    data = {
        "genes": [printable(name) for name in names],
        "tables": [_columns(part, names) for _, part in shown],
        "conditions": [_label(condition) for condition in conditions],
        "measured": [[] for _ in shown] if measured is None else _measured(conditions, shown, measured),
        "sets": _sets(gene_sets, names),
    }
    text = json.dumps(data, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _sets(gene_sets: Mapping[str, Sequence[str]], names: pd.Index) -> dict[str, list[int]]:
    """The places of their genes, of sets that have some."""
    sets, room = {}, MAX_SET_BYTES
    for name, genes in gene_sets.items():
        members = names.get_indexer(pd.Index(genes))
        members = members[members >= 0]
        room -= len(name) + 6 * len(members)
        if len(members) and room > 0:
            sets[printable(name)] = members.tolist()
    return sets


def _label(condition: Condition) -> list[Any]:
    """Context; what was done; the logarithm of its dose, None without; the agent at this time."""
    place = place_of_dose(condition.dose)
    series = treatment_name(condition.agent, None, condition.time)
    return [printable(condition.context), printable(condition.perturbation), place and place[1], printable(series)]


def _measured(
    conditions: Sequence[Condition], shown: Sequence[tuple[tuple[str, str], pd.DataFrame]], measured: Effects
) -> list[list[Any]]:
    """For each condition, the measured ones of the same agent: their labels, and effects of its surest genes in hundredths."""
    of_agent: dict[str, list[tuple[int, Condition]]] = {}
    for row, condition in enumerate(measured.conditions()):
        of_agent.setdefault(condition.agent, []).append((row, condition))
    beside = [
        sorted(of_agent.get(one.agent, ()), key=lambda other: other[1].context != one.context)[:MAX_BESIDE]
        for one in conditions
    ]
    n_genes = MAX_MEASURED_BYTES // BYTES_PER_EFFECT // max(sum(map(len, beside)), 1)
    columns = pd.Index(measured.genes)
    rows_of_conditions = []
    for others, (_, part) in zip(beside, shown, strict=True):
        places = columns.get_indexer(pd.Index(part["gene"].head(n_genes)))
        hundredths = np.round(100.0 * measured.effect[[row for row, _ in others]][:, places].astype(np.float64))
        values = [[int(v) if np.isfinite(v) else None for v in row] for row in hundredths]
        rows_of_conditions.append([[*_label(one), row] for (_, one), row in zip(others, values, strict=True)])
    return rows_of_conditions


def _columns(part: pd.DataFrame, names: pd.Index) -> list[Any]:
    """Gene, effect, lower, upper, probability of a rise and lfsr, of three digits each; what is unknown is not sure."""
    effect = part["effect"].to_numpy(dtype=np.float64)
    lower, upper = (np.where(part[side].notna(), part[side], effect) for side in ("lower", "upper"))
    up, lfsr = (part[name].fillna(0.5).to_numpy(dtype=np.float64) for name in ("probability_up", "lfsr"))
    numbers = [np.round(values, 3).tolist() for values in (effect, lower, upper, up)]
    return [names.get_indexer(pd.Index(part["gene"])).tolist(), *numbers, [float(f"{value:.1e}") for value in lfsr]]
