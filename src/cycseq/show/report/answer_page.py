"""The folder of an answer: the table of genes, predicted cells, and a page that shows both and what they rest on."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from cycseq.data.effects import Effects
from cycseq.errors import count_of, join_names
from cycseq.io.files import atomic_write, text_of_path
from cycseq.io.hdf5 import write_h5ad
from cycseq.models import describe
from cycseq.run.answer.check import SURE
from cycseq.run.answer.predict import Answer
from cycseq.run.answer.words import cannot_tell, how_well, kinds_in_words, rests_on, with_captured
from cycseq.run.record import environment
from cycseq.show import plots
from cycseq.show.interpretation.pathways import GeneSets
from cycseq.show.report.answer_data import conditions_shown, embed
from cycseq.show.report.answer_measured import measured_effects, near_perturbations, sources
from cycseq.show.report.figures import svg
from cycseq.show.report.page import render

MAX_IN_SHORT = 6  # conditions whose genes are named at the top of the page
STATIC_ROWS = 30  # of the table before a script draws it
GENES, CELLS, PAGE, RECORD = "genes.csv", "cells.h5ad", "answer.html", "answer.json"


def write_answer(
    answer: Answer,
    folder: Path | str,
    *,
    gene_sets: GeneSets | None = None,
    data_path: Path | None = None,
    command: str = "",
    overwrite: bool = False,
) -> Path:
    """Write ``genes.csv``, ``cells.h5ad`` (of data of cells), ``answer.html`` and ``answer.json`` into a folder, whole or not at all.

    Parameters
    ----------
    answer
        What `cycseq.predict` returned.
    folder
        Must not exist, unless `overwrite` is true and it holds an answer.
    gene_sets
        By which the page can be filtered (`cycseq.read_gmt`).
    data_path, command
        Noted, so that it can be repeated.
    overwrite
        Whether an earlier answer may be replaced.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FileError
        If the folder exists, or cannot be written.

    Examples
    --------
    >>> import cycseq
    >>> data = cycseq.read("cells.h5ad")
    >>> screen = data.subset(c for c in data.conditions() if c.context != "Line3" or c.is_control)
    >>> answer = cycseq.predict(screen, f"Line3:{data.perturbations[0]}", model="ContextAdditive", leave_out=1)
    >>> cycseq.write_answer(answer, "answer").name
    'answer.html'
    """
    folder = Path(folder)
    record = _record(answer, data_path, command)
    page = render("answer.html", answer_page(answer, record, gene_sets or {}))
    with atomic_write(folder, overwrite=overwrite) as part:
        part.mkdir()
        answer.genes.to_csv(part / GENES, index=False, float_format="%.5g")
        if answer.cells is not None:
            write_h5ad(answer.cells, part / CELLS)
        (part / PAGE).write_text(page, encoding="utf-8")
        (part / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return folder / PAGE


def answer_page(answer: Answer, record: dict[str, Any], gene_sets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Everything that the page says."""
    shown = conditions_shown(answer.genes)
    names = [f"{context}:{perturbation}" for (context, perturbation), _ in shown]
    first = shown[0][1]
    measured = measured_effects(answer)
    in_short = [_in_short(*key, part) for key, part in shown[:MAX_IN_SHORT]]
    return {
        "title": f"{names[0]}, predicted"
        if len(answer.kinds) == 1
        else f"{count_of(len(answer.kinds), 'predicted condition')}",
        "record": record,
        "in_short": in_short,
        "more": len(answer.kinds) - len(in_short),
        "kinds": kinds_in_words(answer),
        "headline": [sentence for check in answer.checks for sentence in how_well(check)[:2]],
        "unit": f"{answer.data.scale} scale" if isinstance(answer.data, Effects) else "log1p of counts per 10,000",
        "shown": _left_out(answer, shown),
        "names": names,
        "sets": [name for name, genes in gene_sets.items() if not set(genes).isdisjoint(first["gene"])],
        "rows": first.head(STATIC_ROWS).to_dict("records"),
        "top": svg(lambda ax: plots.top_genes(first, n=15, ax=ax), title=f"Surest genes of {names[0]}", height=3.4),
        "checks": [(how_well(check), with_captured(check.table).to_dict("records")) for check in answer.checks],
        "rests_on": rests_on(answer),
        "sources": sources(answer, measured),
        "neighbours": near_perturbations(answer, measured),
        "cannot_tell": cannot_tell(answer),
        "does": describe(answer.model.name),
        "embedded": embed(shown, gene_sets, measured),
        "versions": record["versions"],
    }


def _left_out(answer: Answer, shown: Sequence[tuple[tuple[str, str], pd.DataFrame]]) -> str:
    """What genes.csv has beyond the page."""
    n_rows = sum(len(part) for _, part in shown)
    if n_rows == len(answer.genes):
        return f"{GENES} has the same rows with standard deviations."
    conditions = (
        "" if len(shown) == len(answer.kinds) else f" of {len(shown):,} of {count_of(len(answer.kinds), 'condition')}"
    )
    return f"The page has room for {len(shown[0][1]):,} genes{conditions}, the surest first: {GENES} has all."


def _record(answer: Answer, data_path: Path | None, command: str) -> dict[str, Any]:
    data = answer.data
    return {
        "data": {
            "path": text_of_path(data_path) if data_path else None,
            "hash": answer.split.data_hash,
            "scale": data.scale,
        },
        "conditions": [[*condition, kind] for condition, kind in answer.kinds.items()],
        "model": answer.model.name,
        "settings": answer.model.settings(),
        "claim": answer.split.claim,
        "rests_on": rests_on(answer),
        "left_out": [
            {"kind": c.kind, "why_not": c.why_not, "conditions": json.loads(c.table.to_json(orient="records"))}
            for c in answer.checks
        ],
        "cannot_tell": cannot_tell(answer),
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **environment(),
    }


def _in_short(context: str, perturbation: str, genes: pd.DataFrame) -> str:
    """How many genes change, and the surest of them."""
    sure = genes[genes["lfsr"] <= SURE]
    up, down = (sure[sure["effect"] > 0], sure[sure["effect"] < 0])
    if sure.empty:
        return f"{context}:{perturbation}: no gene's direction is sure (lfsr at most {SURE})."
    parts = [
        f"{count_of(len(part), 'gene')} {word} ({join_names(list(part['gene'].head(8)), 8)})"
        for part, word in ((up, "up"), (down, "down"))
        if len(part)
    ]
    return f"{context}:{perturbation}: {', '.join(parts)}, each with an lfsr of at most {SURE}."
