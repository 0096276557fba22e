"""Several studies in one table of effects: whose contexts are whose, and how strong the same effect comes out in each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from cycseq.data.effect_means import mean_of_measured
from cycseq.data.effects import WITH_MAGNITUDE, Effects

STUDY = "study"  # obs column; the contexts of a study are named ``study/context``
MIN_SHARED = 3  # perturbations that two studies must share to tell their amplitudes from each other
_Means = tuple[Float[np.ndarray, "perturbations genes"], Float[np.ndarray, "perturbations genes"], pd.Index]
SAME_UNIT = ("se", "sd", "noise_sd")  # layers in the unit of the effect


def studies_of(effects: Effects) -> dict[str, str]:
    """The study of every context; nothing where there is one study or none is named."""
    obs = effects.adata.obs
    if STUDY not in obs or obs[STUDY].nunique() < 2:
        return {}
    pairs = obs[["context", STUDY]].astype(str).drop_duplicates().itertuples(index=False, name=None)
    return {context: study for context, study in pairs if context.startswith(f"{study}/")}


def learn_amplitudes(effects: Effects) -> dict[str, float]:
    """How strong effects come out in each study, beside the geometric mean of all; 1 where that cannot be told.

    The ratio of two studies is the square root of that of their mean squared effects, over the perturbations and genes that both
    have: the geometric mean of the slopes of each on the other. Each study's effect of a perturbation is its mean over the
    study's contexts, less the common response there. The sampling variance that `se` names is taken off, and values that it
    calls noisy count less. Logarithms of the ratios of all pairs are reconciled by least squares, weighted by the number of
    shared perturbations and the squared correlation; pairs that do not correlate are left out. Amplitudes are by study, and
    none where there are not several. Raises `DataError` if twice the value is not twice the effect (z-scores, ranks).
    """
    of_context = studies_of(effects)
    studies = sorted(set(of_context.values()))
    if len(studies) < 2:
        return {}
    effects.require_magnitude("an amplitude for each study")
    means = {study: _mean_effects(effects, [c for c, s in of_context.items() if s == study]) for study in studies}
    rows, ratios = [], []
    for one, other in combinations(range(len(studies)), 2):
        log_ratio = _log_ratio(means[studies[one]], means[studies[other]])
        if log_ratio is not None:
            ratio, weight = log_ratio
            rows.append(weight * (np.eye(len(studies))[other] - np.eye(len(studies))[one]))
            ratios.append(weight * ratio)
    logs = np.linalg.lstsq(np.array(rows), np.array(ratios), rcond=None)[0] if rows else np.zeros(len(studies))
    return {study: float(np.exp(value)) for study, value in zip(studies, logs, strict=True)}


def with_amplitudes(effects: Effects, amplitudes: Mapping[str, float], *, inverse: bool = False) -> Effects:
    """The effects times the amplitude of their study (``inverse``: divided by it); those of contexts of no study as they are."""
    prefixes = {f"{study}/": value for study, value in amplitudes.items()}
    each = [next((v for p, v in prefixes.items() if c.context.startswith(p)), 1.0) for c in effects.conditions()]
    factors = np.array(each, dtype=np.float32)[:, None]
    if (factors == 1.0).all():
        return effects
    if inverse:
        factors = np.reciprocal(factors)
    adata = effects.adata.copy()
    adata.X = effects.effect * factors
    for name in SAME_UNIT:
        if name in adata.layers:
            adata.layers[name] = np.asarray(adata.layers[name]) * factors
    return Effects(adata, effects.scale, effects.notes)


def may_have_amplitudes(effects: Effects) -> bool:
    """Whether there are several studies on a scale with a magnitude."""
    return effects.scale in WITH_MAGNITUDE and len(set(studies_of(effects).values())) > 1


def _mean_effects(effects: Effects, contexts: list[str]) -> _Means:
    """A study's effect of every perturbation, less its common response; its sampling variance, 0 where unknown; their names."""
    conditions, se = effects.conditions(), effects.layer("se")
    members: dict[str, list[int]] = {}
    specific = effects.effect.astype(np.float64)
    for context in contexts:
        rows = [i for i, c in enumerate(conditions) if c.context == context and not c.is_control]
        for row in rows:
            members.setdefault(conditions[row].perturbation, []).append(row)
        specific[rows] -= mean_of_measured(specific[rows])
    variance = np.zeros_like(specific) if se is None else np.nan_to_num(se.astype(np.float64)) ** 2
    means = np.array([mean_of_measured(specific[rows]) for rows in members.values()])
    noise = np.array([variance[rows].sum(axis=0) / len(rows) ** 2 for rows in members.values()])
    return means, noise, pd.Index(list(members))


def _log_ratio(one: _Means, other: _Means) -> tuple[float, float] | None:
    """The logarithm of the second amplitude over the first, and its weight; None where they share too little."""
    shared = one[2].intersection(other[2])
    if len(shared) < MIN_SHARED:
        return None
    sides = [(mean[at], noise[at]) for mean, noise, names in (one, other) for at in (names.get_indexer(shared),)]
    finite = np.isfinite(sides[0][0]) & np.isfinite(sides[1][0])
    if not finite.any():
        return None
    (a, noise_a), (b, noise_b) = ((effect[finite], variance[finite]) for effect, variance in sides)
    weights = 1 / (noise_a + noise_b + np.median(a**2 + b**2) + 1e-12)
    power_a, power_b = (weights @ (a**2 - noise_a), weights @ (b**2 - noise_b))
    together = weights @ (a * b)
    if min(power_a, power_b, together) <= 0:
        return None
    correlation = together / np.sqrt((weights @ a**2) * (weights @ b**2))
    return 0.5 * float(np.log(power_b / power_a)), float(np.sqrt(len(shared)) * correlation)
