"""Simulating an experiment beside a plain draw of as many counts, and a Python loop over cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from speed_stages.limits import Limits
from speed_stages.measure import Form, Row, at_best, in_turn, rows

FULL = {"cells": 12_000, "genes": 2_000, "perturbations": 40, "rounds": 2}
QUICK = {"cells": 600, "genes": 60, "perturbations": 4, "rounds": 1}


def stage(limits: Limits, size: dict[str, int]) -> tuple[list[Row], dict[str, Any]]:
    """Lines of the table; ours also draws the true pairs of all control cells and computes the true responses."""
    arguments = {name: size[name] for name in ("cells", "genes", "perturbations")}
    forms = [
        Form("cycseq", "simulate", "ours", arguments),
        Form("NumPy, the counts alone", "simulate", "plain", arguments),
        Form("a Python loop over cells, the counts alone", "simulate", "loop", arguments),
    ]
    what = f"{size['cells']:,} cells x {size['genes']:,} genes, {size['perturbations']} perturbations"
    kinds = dict(zip([form.name for form in forms], ("ours", "naive", "naive"), strict=True))
    lines = rows("simulate", what, in_turn(forms, size["rounds"]), kinds)
    written = 4 * size["cells"] * size["genes"]
    lines.append(at_best("simulate", what, lines[0], "dense cells written once", written / limits.copy))
    return lines, {}


def ours(cells: int, genes: int, perturbations: int) -> Callable[[], object]:
    from cycseq.simulation.generate import simulate
    from cycseq.simulation.settings import SimulateSettings

    return lambda: simulate(SimulateSettings(cells=cells, genes=genes, perturbations=perturbations, seed=1))


def plain(cells: int, genes: int, perturbations: int) -> Callable[[], object]:
    import numpy as np
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    rate = _rates(rng, genes, perturbations)
    label = rng.integers(perturbations, size=cells)

    def work() -> None:
        blocks = []
        for start in range(0, cells, 2_000):
            mean = rate[label[start : start + 2_000]]
            blocks.append(sp.csr_matrix(rng.poisson(mean * rng.gamma(4.0, 0.25, mean.shape)), dtype=np.float32))
        sp.vstack(blocks, format="csr")

    return work


def loop(cells: int, genes: int, perturbations: int) -> Callable[[], object]:
    import numpy as np
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    rate = _rates(rng, genes, perturbations)

    def work() -> None:
        drawn = []
        for cell in range(cells):
            mean = rate[cell % perturbations]
            drawn.append(sp.csr_matrix(rng.poisson(mean * rng.gamma(4.0, 0.25, genes))[None], dtype=np.float32))
        sp.vstack(drawn, format="csr")

    return work


def _rates(rng: Any, genes: int, perturbations: int) -> Any:
    """Mean counts: 2,000 a cell."""
    import numpy as np

    rate = np.exp(rng.normal(0.0, 1.5, (perturbations, genes)))
    return 2_000 * rate / rate.sum(axis=1, keepdims=True)
