"""Measured conditions predicted without themselves, training data alone: what is left out is what a prediction leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from cycseq.errors import ModelError
from cycseq.models.kriging.features import FeatureValues, feature_block, feature_covariances
from cycseq.models.kriging.field import Field, is_combination, parts_of, single_conditions
from cycseq.models.kriging.mixture import Posterior
from cycseq.models.kriging.recalibration import LeftOut, Recalibration, joined, learn_recalibration
from cycseq.models.kriging.settings import SPECIFIC_COMPONENTS, Stage

KINDS = ("context", "pair", "combination", "perturbation")
"""What was never measured: anything in the context, the perturbation there, the combination, the perturbation anywhere."""
MOST = 40
"""Conditions of one kind that are left out."""
MOST_GENES = 500
"""Genes, drawn at random, of each."""


@dataclass(frozen=True)
class KnownFeatures:
    """What features tell of perturbations, as it was learned."""

    stage: Stage
    names: Sequence[str]
    values: FeatureValues


def kind_of(field: Field, name: str, context: int) -> str | None:
    """Which of `KINDS` the prediction of a condition is; None where the condition itself was measured."""
    strength, rows = field.settings.strength, field.measured.rows(name)
    if context in field.measured.context[rows]:
        return None
    if name not in strength and (not is_combination(name) or any(part not in strength for part in parts_of(name))):
        return "perturbation"
    if context not in field.measured.context:
        return "context"
    return "combination" if name not in strength else "pair"


def learn_recalibrations(field: Field, features: KnownFeatures | None, *, seed: int) -> dict[str, Recalibration]:
    """For each kind of prediction that the measured conditions can stand for."""
    rng = np.random.default_rng(seed)
    n_genes = field.measured.delta.shape[1]
    genes = np.sort(rng.choice(n_genes, min(n_genes, MOST_GENES), replace=False))
    field = field.of_genes(genes)
    learned = {}
    for kind, parts in (
        ("context", _contexts(field, rng)),
        ("pair", _pairs(field, rng)),
        ("combination", _combinations(field, rng)),
        ("perturbation", _perturbations(field, genes, features, rng)),
    ):
        found = list(parts)
        recalibration = learn_recalibration(joined(found)) if found else None
        if recalibration is not None:
            learned[kind] = recalibration
    return learned


def _contexts(field: Field, rng: np.random.Generator) -> Iterator[LeftOut]:
    """Every context in turn, with all that was measured there; some of its perturbations are predicted."""
    measured = field.measured
    contexts = np.unique(measured.context)
    if len(contexts) < 2:
        return
    contexts = _some(contexts, MOST, rng)
    for context in contexts:
        here = measured.context == context
        others = field.without(here)
        rows = [i for i in np.flatnonzero(here) if _can_be_told(others, measured.names[i])]
        for i in _some(np.array(rows, dtype=np.int64), max(MOST // len(contexts), 2), rng):
            yield _left_out(field, others, int(i), int(context))


def _pairs(field: Field, rng: np.random.Generator) -> Iterator[LeftOut]:
    """Single perturbations, each in one context where others were measured too; the unit is the context."""
    measured = field.measured
    single = np.flatnonzero(single_conditions(measured))
    names, context = np.asarray(measured.names), measured.context
    able = [i for i in single if (names[single] == names[i]).sum() > 1 and (context[single] == context[i]).sum() > 1]
    for i in _some(np.array(able, dtype=np.int64), MOST, rng):
        others = field.without(np.arange(len(names)) == i)
        yield _left_out(field, others, int(i), int(context[i]))


def _combinations(field: Field, rng: np.random.Generator) -> Iterator[LeftOut]:
    """Combinations, each wherever it was measured; their parts are measured."""
    names = np.asarray(field.measured.names)
    strength = field.settings.strength
    both = sorted({name for name in names if name not in strength and all(part in strength for part in parts_of(name))})
    for unit, name in enumerate(_some(np.array(both, dtype=object), MOST, rng)):
        others = field.without(names == name)
        for i in np.flatnonzero(names == name)[:2]:
            yield _left_out(field, others, int(i), unit)


def _perturbations(
    field: Field, genes: Int[np.ndarray, "genes"], features: KnownFeatures | None, rng: np.random.Generator
) -> Iterator[LeftOut]:
    """Single perturbations wherever they were measured, from what others do and, where they have some, their features."""
    settings, names = field.settings, sorted(field.settings.strength)
    if settings.common is None:
        return
    told = {} if features is None else {name: i for i, name in enumerate(features.names)}
    names = [name for name in names if not told or name in told]
    block = covariances = None
    if features is not None:
        block, covariances = feature_block(field, features.names), feature_covariances(features.values, len(told))
    for unit, name in enumerate(_some(np.array(names, dtype=object), MOST, rng)):
        rows = field.measured.rows(name)
        others = field.without(np.asarray(field.measured.names) == name)
        for i in rows[:2]:
            at = field.measured.context[[i]]
            own = settings.typical_slope * field.specific(name, at).mean / len(settings.strength)
            typical = (field.typical[:, at] - own) * len(settings.strength) / max(len(settings.strength) - 1, 1)
            new = others.unmeasured(typical, settings.gene_variance, settings.specific)
            if features is not None and block is not None and covariances is not None:
                place = told[name]
                told_by = features.stage.krige(
                    block.without(place), covariances, np.array([place]), n_components=SPECIFIC_COMPONENTS
                )
                new = moved(told_by, typical)
            yield _left_out(field, others, int(i), unit, {name: new})


def moved(posterior: Posterior, by: np.ndarray) -> Posterior:
    """The same around another mean; nothing of it rests on an observation of the targets."""
    mixture = None if posterior.mixture is None else posterior.mixture.shifted(by)
    mean = posterior.mean + by
    return Posterior(mean, np.broadcast_to(posterior.variance, mean.shape), np.zeros_like(mean), mixture=mixture)


def _left_out(field: Field, others: Field, row: int, unit: int, new: dict[str, Posterior] | None = None) -> LeftOut:
    """A measured condition beside what the others say of it; genes that are 0 in all of its cells are left out."""
    measured = field.measured
    mixture = others.response(measured.names[row], new, measured.context[[row]]).mixture
    if mixture is None:
        msg = "a response without its mixture cannot be recalibrated."
        raise ModelError(msg)
    y, noise = measured.delta[row], measured.cell_noise[row] + measured.control_noise[row]
    varies = y != 0
    condition, of_unit = (np.full(int(varies.sum()), float(value)) for value in (row, unit))
    return LeftOut(mixture.at(varies, 0), y[varies], noise[varies], condition, of_unit)


def _can_be_told(field: Field, name: str) -> Bool[np.ndarray, ""] | bool:
    return name in field.settings.strength or all(part in field.settings.strength for part in parts_of(name))


def _some(values: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """All, or so many drawn at random, in order."""
    return values if len(values) <= most else values[np.sort(rng.choice(len(values), most, replace=False))]
