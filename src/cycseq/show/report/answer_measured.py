"""The measured conditions beside the predicted ones, as the page of an answer shows them."""

from typing import Any

import numpy as np
import pandas as pd

from cycseq.data.effects import Effects
from cycseq.knowledge.neighbours import neighbours, neighbours_by_response
from cycseq.knowledge.stored import stored_sources
from cycseq.preparation.prepare import as_log1p
from cycseq.preparation.pseudobulk import effects_of
from cycseq.run.answer.predict import Answer

MAX_SOURCES = 300  # rows of measured conditions
MAX_NEIGHBOURED = 60  # conditions whose neighbours are named


def measured_effects(answer: Answer) -> Effects:
    """The effects of every condition that the model was fitted on."""
    data = answer.data
    if isinstance(data, Effects):
        return data.subset(answer.split.train)
    contexts = {c.context for c in answer.split.train}
    controls = [c for c in data.conditions() if c.is_control and c.context in contexts]
    return effects_of(as_log1p(data.subset([*answer.split.train, *controls]))).perturbed()


def sources(answer: Answer, measured: Effects) -> list[dict[Any, Any]]:
    """The measured conditions of the same perturbations, the most alike first: cells, and correlation of their effects with the prediction."""
    conditions = measured.conditions()
    n_cells = measured.obs["n_cells"].to_numpy(dtype=np.float64)
    rows = []
    for (context, perturbation), part in answer.genes.groupby(["context", "perturbation"], sort=False):
        predicted = part.set_index("gene")["effect"].reindex(measured.genes).to_numpy(dtype=np.float64)
        for row, other in enumerate(conditions):
            if other.perturbation == perturbation and other.context != context:
                rows.append(
                    {
                        "predicted": f"{context}:{perturbation}",
                        "measured": other.context,
                        "cells": float(n_cells[row]),
                        "correlation": _correlation(predicted, measured.effect[row]),
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


def _correlation(predicted: np.ndarray, real: np.ndarray) -> float:
    """Pearson's, over the genes of both; NaN where one of them does not vary."""
    both = np.isfinite(predicted) & np.isfinite(real)
    flat = both.sum() < 3 or not (predicted[both].std() and real[both].std())
    return float("nan") if flat else float(np.corrcoef(predicted[both], real[both])[0, 1])


def near_perturbations(answer: Answer, measured: Effects) -> list[dict[Any, Any]]:
    """The measured perturbations most alike to those predicted: by their responses in other contexts, and by what the model knows."""
    predicted = [c for c, kind in answer.kinds.items() if kind is not None][:MAX_NEIGHBOURED]
    sources = stored_sources(answer.model.learned.arrays, answer.model.learned.facts)
    tables = [
        neighbours_by_response(measured, predicted),
        *([neighbours(sources, measured, predicted)] if sources else []),
    ]
    return pd.concat([table for table in tables if len(table)] or tables[:1]).to_dict("records")
