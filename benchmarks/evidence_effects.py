"""Effects in the evidence: `ConditionKriging` without each of its kernels, the figures that were asked for, and what was measured together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from cycseq.benchmarking.effects import model_result, reference_of_effects
from cycseq.data.effects import Effects
from cycseq.io.files import write_text
from cycseq.models import build_model
from cycseq.models.kriging import kernels
from cycseq.models.kriging.model import ConditionKriging
from cycseq.models.kriging.tasks import NOISE
from cycseq.run.parts import fit_parts, parts_of
from cycseq.score.metrics import HEADLINE_OF_EFFECTS
from cycseq.score.settings import EvaluateSettings
from cycseq.split.base import EffectParts, Split
from evidence_certainty import tidy_coverage, tidy_reliability
from evidence_data import SOURCES, Case

MAIN = "ConditionKriging"
LEFT_OUT = "without"
METRICS_OF_EFFECTS = ",".join((*HEADLINE_OF_EFFECTS, "retrieval_cosine"))
SPECIFIC, RETRIEVAL = "cosine_delta_specific", "retrieval_cosine_centred"
ASKED: tuple[tuple[str, str, str, str, float], ...] = (
    ("replogle", "unseen-perturbation", "K562", SPECIFIC, 0.35),
    ("replogle", "unseen-perturbation", "RPE1", SPECIFIC, 0.33),
    ("replogle", "unseen-pair", "K562", SPECIFIC, 0.45),
    ("replogle", "unseen-pair", "RPE1", SPECIFIC, 0.44),
    ("op3", "unseen-pair", "", "mse_ratio", 0.75),
    ("op3", "unseen-pair", "", SPECIFIC, 0.38),
    ("op3", "unseen-pair", "", RETRIEVAL, 0.89),
    ("op3", "unseen-context", "", "mse_ratio", 0.88),
    ("sciplex", "unseen-pair", "", "mse_ratio", 0.59),
)
"""Data, split, context ("" for all), metric, and what was to be reached. What was asked for of times and doses is not here: it is one error
over all conditions of the high dose together, and the table of results has means over conditions."""


@contextmanager
def without_kernels(leave_out: Callable[[str], bool]) -> Iterator[None]:
    """As if there were no kernels of some names."""

    def others(family: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
        return lambda table: (kernel for kernel in family(table) if not leave_out(kernel.name))

    with mock.patch.object(kernels, "KERNELS", tuple(others(family) for family in kernels.KERNELS)):
        yield


def leave_out_kernels(case: Case, data: Effects, split: Split, settings: Mapping[str, Any], folder: Path) -> None:
    """Fit again without each kernel that has a weight (of a source, without all of its own), and write a CSV for each; those that are there stay."""
    parts = parts_of(split, data)
    assert isinstance(parts, EffectParts)
    listed = folder / case.folder / "kernels.json"
    if not listed.exists():
        fitted = fit_parts(build_model(MAIN, settings), parts, split, seed=case.seed)
        assert isinstance(fitted, ConditionKriging)
        write_text(listed, json.dumps(weighing(fitted)))
    real = reference_of_effects(parts, EvaluateSettings(metrics=METRICS_OF_EFFECTS))
    for name, own in json.loads(listed.read_text()).items():
        path = folder / case.folder / f"without_{slug(name)}_0.csv"
        if path.exists():
            continue
        with without_kernels(lambda kernel, own=own: kernel in own):
            scores = model_result(real, parts, split, MAIN, dict(settings), seed=case.seed).scores
        scores = scores[scores["model"] == MAIN].assign(model=f"{MAIN} ({LEFT_OUT} {name})")
        write_text(path, scores.to_csv(index=False))


def slug(name: str) -> str:
    """A name for files."""
    return re.sub(r"\W+", "-", name)


def weighing(model: ConditionKriging) -> dict[str, list[str]]:
    """The kernels that any task gives a weight, those of one source of knowledge together."""
    weights = [learned.weights for learned in model.tasks.values()]
    names = dict.fromkeys(name for one in weights for name, w in one.items() if name != NOISE and max(w.values()) > 0)
    together: dict[str, list[str]] = {}
    for name in names:
        source = next((s.name for s in model.sources if name == s.name or name.startswith(f"{s.name}, ")), name)
        together.setdefault(source, []).append(name)
    return together


def certainty_rows(folder: Path) -> Iterator[pd.DataFrame]:
    """What a benchmark on effects counted of intervals and probabilities, as rows of the tidy table."""
    for name, tidy in (("coverage", tidy_coverage), ("reliability", tidy_reliability)):
        path = folder / f"{name}.csv"
        table = pd.read_csv(path, keep_default_na=False, na_values={"observed": [""], "stated": [""]})
        for (model, seed, split), rows in table[table["model"] == MAIN].groupby(["model", "seed", "split"]):
            yield tidy(rows).assign(model=model, seed=seed, split=split)


def warnings_in(folder: Path) -> list[str]:
    """What the tool says of a benchmark's splits: what was measured together across contexts."""
    splits = json.loads((folder / "benchmark.json").read_text())["splits"]
    with_any = [split["warnings"] for split in splits if split["warnings"]]
    if not with_any:
        return []
    return [f"**What the tool says of {len(with_any)} of {len(splits)} splits.** {' '.join(with_any[0])}", ""]


def asked_table(groups: Mapping[tuple[str, str], Any]) -> list[str]:
    """The figures that were asked for beside what was reached, and the best baseline's own."""
    lines = [
        "",
        "### Figures that were asked for",
        "",
        "| data | split | context | metric | asked | here | best baseline |",
        "|---|---|---|---|---|---|---|",
    ]
    before = len(lines)
    for data, split, context, metric, asked in ASKED:
        group = groups.get((data, split))
        if group is None or np.isnan(group.mean(MAIN, metric)):
            continue
        rows = group.values[(group.values["metric"] == metric)]
        means = rows[rows["context"] == context if context else slice(None)].groupby("model")["value"].mean()
        if MAIN not in means:
            continue
        rival = next((name for name in group.baselines(metric) if name in means), "")
        sign, met = ("<=", means[MAIN] <= asked) if metric == "mse_ratio" else (">=", means[MAIN] >= asked)
        here = f"{means[MAIN]:.3f}" if met else f"**{means[MAIN]:.3f}**"
        theirs = f"{rival} {means[rival]:.3f}" if rival else ""
        lines.append(f"| {SOURCES[data].title} | {split} | {context} | {metric} | {sign} {asked} | {here} | {theirs} |")
    return [*lines, "", "Bold: not reached."] if len(lines) > before else []
