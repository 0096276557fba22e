"""Cost against cells, genes and conditions: seconds of every stage at growing sizes, and the slopes of their logarithms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from speed_stages.measure import Form, run_once

BASE = {"cells": 4_000, "genes": 1_000, "conditions": 40}
"""What the two sizes that do not grow are."""
GROWING = {
    "cells": [2_000, 8_000, 24_000],
    "genes": [500, 2_000, 6_000],
    "conditions": [10, 40, 160],
}
QUICK_GROWING = {"cells": [200, 400], "genes": [40, 80], "conditions": [4, 8]}
QUICK_BASE = {"cells": 200, "genes": 40, "conditions": 4}
STAGES = {
    "prepare": "prepare",
    "responses": "pseudobulk responses",
    "kriging": "fit ConditionKriging",
    "baselines": "fit PerturbedMean, ContextAdditive, Ridge",
    "vae": "VAE, one epoch",
    "predict": "predict every condition, 100 cells each",
    "evaluate": "evaluate, all metrics",
}


@dataclass(frozen=True)
class Cost:
    """What one stage took at one size."""

    stage: str
    axis: str
    size: int
    cpu_s: float


def costs(*, quick: bool) -> list[Cost]:
    """Every stage along every axis; one process for each."""
    base, growing = (QUICK_BASE, QUICK_GROWING) if quick else (BASE, GROWING)
    found = []
    for axis, sizes in growing.items():
        for stage, words in STAGES.items():
            form = Form(stage, "cost", "sizes", {"stage": stage, "axis": axis, "grown": sizes, "base": base})
            said = run_once(form).said
            found += [Cost(words, axis, size, said[str(size)]) for size in sizes]
    return found


def slopes(found: list[Cost]) -> dict[tuple[str, str], float]:
    """Of log seconds on log size, between the last two sizes, where the fixed part counts least; 1 is linear."""
    of: dict[tuple[str, str], list[Cost]] = {}
    for one in found:
        of.setdefault((one.stage, one.axis), []).append(one)
    return {key: math.log(b.cpu_s / a.cpu_s) / math.log(b.size / a.size) for key, (*_, a, b) in of.items()}


def sizes(stage: str, axis: str, grown: list[int], base: dict[str, int]) -> Callable[[], dict[str, float]]:
    """Processor seconds of one stage at each size."""
    import time

    def taken(work: Callable[[], object]) -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    def work() -> dict[str, float]:
        WORK[stage](world(**{**base, axis: grown[0]}))()  # imports do not count
        return {str(size): taken(WORK[stage](world(**{**base, axis: size}))) for size in grown}

    return work


def world(cells: int, genes: int, conditions: int) -> Any:
    """Sparse counts, a fifth above zero; four contexts, a quarter of the cells controls."""
    import anndata as ad
    import numpy as np
    import pandas as pd
    import scipy.sparse as sp

    from cycseq import PerturbationData

    rng = np.random.default_rng(0)
    rate = rng.gamma(0.4, 0.8, genes)
    blocks = []
    for start in range(0, cells, 4_000):
        depth = rng.lognormal(0.0, 0.3, (min(4_000, cells - start), 1))
        blocks.append(sp.csr_matrix(rng.poisson(rate * depth), dtype=np.float32))
    x = sp.vstack(blocks, format="csr")
    x[:, 0] = 1.0
    place = np.arange(cells)
    perturbation = np.where(place % 4 == 0, 0, 1 + (place // 16) % (conditions // 4 or 1))
    names = np.array(["control", *(f"P{i}" for i in range(conditions))])
    obs = pd.DataFrame(
        {"context": [f"L{i % 4}" for i in place // 4], "perturbation": names[perturbation], "batch": "0"},
        index=[f"c{i}" for i in place],
    ).astype("category")
    return PerturbationData.from_anndata(ad.AnnData(x, obs, pd.DataFrame(index=[f"g{i}" for i in range(genes)])))


def _log1p(counts: Any) -> Any:
    from cycseq import PrepareSettings, prepare

    return prepare([counts], PrepareSettings(genes="all"))


def _prepare(counts: Any) -> Callable[[], object]:
    from cycseq import PrepareSettings, prepare

    return lambda: prepare([counts], PrepareSettings(genes=counts.adata.n_vars // 2))


def _responses(counts: Any) -> Callable[[], object]:
    from cycseq.data.pseudobulk import responses

    data = _log1p(counts)
    return lambda: responses(data)


def _fit(*names: str, settings: dict[str, Any] | None = None) -> Callable[[Any], Callable[[], object]]:
    def of(counts: Any) -> Callable[[], object]:
        import cycseq

        data = _log1p(counts)
        return lambda: [cycseq.build_model(name, settings or {}).fit(data) for name in names]

    return of


def _predict(counts: Any) -> Callable[[], object]:
    import cycseq

    data = _log1p(counts)
    model = cycseq.build_model("ContextAdditive", {}).fit(data)
    asked = [condition for condition in data.conditions() if not condition.is_control]
    return lambda: model.predict(data.controls(), asked, n_cells=100)


def _evaluate(counts: Any) -> Callable[[], object]:
    import cycseq

    data = _log1p(counts)
    asked = [condition for condition in data.conditions() if not condition.is_control]
    predicted = cycseq.build_model("ContextAdditive", {}).fit(data).predict(data.controls(), asked, n_cells=100)
    return lambda: cycseq.evaluate(predicted, data)


WORK: dict[str, Callable[[Any], Callable[[], object]]] = {
    "prepare": _prepare,
    "responses": _responses,
    "kriging": _fit("ConditionKriging"),
    "baselines": _fit("PerturbedMean", "ContextAdditive", "Ridge"),
    "vae": _fit("VAE", settings={"num_epochs": 1, "held_out": 0.01}),
    "predict": _predict,
    "evaluate": _evaluate,
}
