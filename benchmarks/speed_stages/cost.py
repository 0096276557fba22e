"""Cost against cells, genes and conditions: seconds of every stage at growing sizes, and the slopes of their logarithms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from speed_stages.measure import Form, run_once

BASE = {"cells": 4_000, "genes": 500, "conditions": 40}
"""What the two sizes that do not grow are."""
GROWING = {"cells": [1_000, 4_000, 16_000], "genes": [300, 1_000, 3_000], "conditions": [10, 40, 160]}
QUICK_BASE = {"cells": 200, "genes": 40, "conditions": 4}
QUICK_GROWING = {"cells": [200, 400], "genes": [40, 80], "conditions": [4, 8]}
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
    """Every stage along every axis; one process for each axis."""
    base, growing = (QUICK_BASE, QUICK_GROWING) if quick else (BASE, GROWING)
    found = []
    for axis, sizes in growing.items():
        said = run_once(Form(axis, "cost", "sizes", {"axis": axis, "grown": sizes, "base": base})).said
        found += [Cost(words, axis, size, said[str(size)][stage]) for stage, words in STAGES.items() for size in sizes]
    return found


def slopes(found: list[Cost]) -> dict[tuple[str, str], float]:
    """Of log seconds on log size, between the last two sizes, where the fixed part counts least; 1 is linear."""
    of: dict[tuple[str, str], list[Cost]] = {}
    for one in found:
        of.setdefault((one.stage, one.axis), []).append(one)
    return {key: math.log(b.cpu_s / a.cpu_s) / math.log(b.size / a.size) for key, (*_, a, b) in of.items()}


def sizes(axis: str, grown: list[int], base: dict[str, int]) -> Callable[[], dict[str, dict[str, float]]]:
    """Processor seconds of every stage at each size."""
    import time

    def taken(work: Callable[[], object]) -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    def at(**size: int) -> dict[str, float]:
        counts = world(**size)
        data = _log1p(counts)
        return {stage: taken(make(counts, data)) for stage, make in WORK.items()}

    def work() -> dict[str, dict[str, float]]:
        at(**QUICK_BASE)  # imports do not count
        return {str(size): at(**{**base, axis: size}) for size in grown}

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


def _prepare(counts: Any, _data: Any) -> Callable[[], object]:
    from cycseq import PrepareSettings, prepare

    return lambda: prepare([counts], PrepareSettings(genes=counts.adata.n_vars // 2))


def _responses(_counts: Any, data: Any) -> Callable[[], object]:
    from cycseq.preparation.pseudobulk import responses

    return lambda: responses(data)


def _fit(*names: str, settings: dict[str, Any] | None = None) -> Callable[[Any, Any], Callable[[], object]]:
    def of(_counts: Any, data: Any) -> Callable[[], object]:
        import cycseq

        return lambda: [cycseq.build_model(name, settings or {}).fit(data) for name in names]

    return of


def _predicted(data: Any) -> Callable[[], Any]:
    import cycseq

    model = cycseq.build_model("ContextAdditive", {}).fit(data)
    asked = [condition for condition in data.conditions() if not condition.is_control]
    return lambda: model.predict(data.controls(), asked, n_cells=100)


def _predict(_counts: Any, data: Any) -> Callable[[], object]:
    return _predicted(data)


def _evaluate(_counts: Any, data: Any) -> Callable[[], object]:
    import cycseq

    predicted = _predicted(data)()
    return lambda: cycseq.evaluate(predicted, data)


WORK: dict[str, Callable[[Any, Any], Callable[[], object]]] = {
    "prepare": _prepare,
    "responses": _responses,
    "kriging": _fit("ConditionKriging"),
    "baselines": _fit("PerturbedMean", "ContextAdditive", "Ridge"),
    "vae": _fit("VAE", settings={"num_epochs": 1, "held_out": 0.01}),
    "predict": _predict,
    "evaluate": _evaluate,
}
